"""The intra codec: streams of any size, two forms of one entropy model, agreement of estimate and file."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_intra import TINY, noise_video, tiny_codec, tiny_model

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.intra.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.intra.export import load_parts, save_parts
from codec_lib.codecs.intra.fit import fit_tables
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import read_header, read_stream, write_stream
from codec_lib.entropy.fit import initial_tables
from codec_lib.entropy.integer import set_quantise
from codec_lib.entropy.stream_errors import CorruptStream, SymbolMismatch, WrongCheckpoint
from codec_lib.entropy.stream_fields import varint
from codec_lib.entropy.two_step import code_in_two_steps
from codec_lib.errors import BitstreamError, MissingWeights, UsageError
from codec_lib.layers.blocks import relative


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (64, 64), (65, 63), (70, 130)])
@pytest.mark.parametrize("frames", [1, 5])
def test_any_size_and_length_comes_back(size, frames):
    codec, video = tiny_codec(), noise_video(frames, *size)
    stream = codec.encode(video, 7)
    decoded = codec.decode(stream)
    assert decoded.frames.shape == video.frames.shape
    assert decoded.fps == video.fps
    header = read_header(stream)
    assert (header.codec, header.quality, header.frames) == ("intra", 7, frames)


@pytest.mark.parametrize("path", ["integer", "float"])
def test_decoder_finds_the_encoders_symbols(path):
    codec, video = tiny_codec(path), noise_video(3)
    z, y, _ = codec.latents(video.frames, 9)
    header, packets = read_stream(codec.encode(video, 9))
    found = [symbols for symbols, _ in codec._symbols(header, packets)]
    assert np.array_equal(np.concatenate([f[0] for f in found]), z)
    assert np.array_equal(np.concatenate([f[1] for f in found]), y)
    assert len(np.unique(y)) > 5 and len(np.unique(z)) > 5
    assert header.flags == (0 if path == "integer" else 1)


def test_batch_and_layout_change_no_bit_and_no_symbol():
    video = noise_video(5)
    streams = {tiny_codec(batch=b, channels_last=c).encode(video, 3) for b in (1, 2, 5) for c in (True, False)}
    digests = {tiny_codec(batch=b, channels_last=c).symbols_sha256(s) for s in streams for b in (1, 4) for c in (True, False)}
    assert len(digests) == len(streams)  # g_a is float: encoders may differ, decoders of one stream may not


def test_rounding_to_the_cheaper_integer_saves_bytes():
    video = noise_video(1, 64, 64)
    sizes = [len(tiny_codec(rdo_weight=w).encode(video, 9)) for w in (math.inf, 30.0, 10.0)]
    assert sizes[0] > sizes[1] > sizes[2]


def test_trained_form_and_shipped_form_quantise_alike():
    model, video = tiny_model(), noise_video(2, 64, 128)
    model.quantise = True
    set_quantise(model.entropy, True)
    codec = IntraCodec(model, IntegerEntropy(TINY, model.entropy), initial_tables(), bytes(4), rdo_weight=math.inf)
    quality = 5
    u = relative(quality, TINY).expand(2)
    with torch.no_grad():
        y = model.g_a(video.frames.float() / 255, u)
        z_hat = model.h_a(y).round().clamp(-127, 127)
        e = model.entropy
        y_hat, _ = code_in_two_steps(y, e.features(z_hat, u, True), e.prior_1, e.prior_2, quantise=True)
        trained = model.g_s(y_hat, u)
    decoded = codec.decode(codec.encode(video, quality)).frames
    expected = (trained.clamp(0, 1) * 255).round()
    # not one rounding off in the latents: what is left is the order of additions in g_s
    assert (decoded.float() - expected).abs().max() <= 1


def test_file_bits_stay_close_to_the_cross_entropy_of_the_tables():
    codec, video = tiny_codec(), noise_video(4, 128, 192)
    z, y, classes = codec.latents(video.frames, 12)
    z_classes = np.stack([codec.z_classes(z.shape[1:], 12)] * 4)
    bits = codec.tables.bits(y.ravel(), classes.ravel()) + codec.tables.bits(z.ravel(), z_classes.ravel())
    size = 8 * len(codec.encode(video, 12))
    assert bits <= size <= 1.005 * bits + 64 * 8


def test_fitted_tables_do_not_cost_more_than_gaussian_ones():
    model, codec = tiny_model(), tiny_codec()
    pictures = noise_video(4, 128, 128).frames
    tables = fit_tables(model, [pictures] * 4, range(TINY.n_qualities))
    _, y, classes = codec.latents(pictures, 8)
    assert tables.bits(y.ravel(), classes.ravel()) < codec.tables.bits(y.ravel(), classes.ravel())


def test_checkpoint_round_trip_gives_the_same_streams(tmp_path):
    model, video = tiny_model(), noise_video()
    model.load_state_dict({n: t.half().float() if "log_gain" not in n else t for n, t in model.state_dict().items()})
    path = tmp_path / "intra-tiny.safetensors"
    digest = save_parts(path, model, initial_tables())
    for kind in ("integer", "float"):
        loaded, entropy, tables, short = load_parts(path, kind)
        assert short.hex() == digest[:8]
        fresh = IntegerEntropy(TINY, model.entropy) if kind == "integer" else FloatEntropy(TINY, model.entropy)
        expected = IntraCodec(model, fresh, initial_tables(), short).encode(video, 4)
        assert IntraCodec(loaded, entropy, tables, short).encode(video, 4) == expected


def test_stream_of_another_checkpoint_is_refused():
    stream = tiny_codec().encode(noise_video(), 2)
    other = tiny_codec()
    other.checkpoint = b"\5\6\7\x08"
    with pytest.raises(WrongCheckpoint, match="01020304"):
        other.decode(stream)


def test_symbols_that_do_not_match_are_reported_not_shown():
    codec = tiny_codec()
    header, packets = read_stream(codec.encode(noise_video(3), 2))
    packets[1] = type(packets[1])(packets[1].payload, packets[1].digest ^ 1)
    with pytest.raises(SymbolMismatch, match="packet 1") as info:
        codec.decode(write_stream(header, packets))
    assert info.value.packet == 1
    assert len(codec.decode(write_stream(header, packets), salvaged=True)) == 1  # the frame before it


def packet_starts(stream):
    """Where each packet begins: a packet is the length of its payload as a varint, 6 bytes, and the payload."""
    sizes = [len(varint(len(p.payload))) + 6 + len(p.payload) for p in read_stream(stream)[1]]
    return [len(stream) - sum(sizes[i:]) for i in range(len(sizes))]


def largest_difference(a, b):
    return (a.int() - b.int()).abs().max().item()


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_frames_before_the_damage_can_be_had(batch, how):
    codec, video = tiny_codec(batch=batch), noise_video(6, 64, 64)
    stream = codec.encode(video, 10)
    whole = codec.decode(stream).frames
    assert all(largest_difference(a, b) > 1 for a, b in pairwise(whole))  # frames can be told from each other
    for damaged, start in enumerate(packet_starts(stream)):
        at = start + 20
        bad = stream[:at] if how == "cut" else stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :]
        with pytest.raises(BitstreamError, match=f"packet {damaged}") as info:
            codec.decode(bad)
        assert info.value.packet == damaged
        if damaged == 0:
            with pytest.raises(CorruptStream, match="nothing can be salvaged"):
                codec.decode(bad, salvaged=True)
            continue
        saved = codec.decode(bad, salvaged=True)
        assert saved.frames.shape == (damaged, 3, 64, 64) and saved.fps == video.fps
        # a shorter batch may add up in another order in g_s, which is float: at most one rounding off
        assert largest_difference(saved.frames, whole[:damaged]) <= (0 if batch == 1 else 1)


def test_quality_out_of_range_and_unknown_options_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="0 to 15"):
        tiny_codec().encode(noise_video(), 16)
    with pytest.raises(UsageError, match="profile"):
        load_codec("intra@huge")
    with pytest.raises(UsageError, match="integer or float"):
        load_codec("intra", entropy="double")
    with pytest.raises(MissingWeights, match="train intra"):
        load_codec("intra", checkpoint=tmp_path / "none.safetensors")


def test_checkpoint_within_its_size():
    path = checkpoint_path("intra", "lab")
    assert path.stat().st_size < 16 * 2**20
    assert path.with_suffix(".md").is_file()
