"""Streams whose probabilities depend on floats: lab networks with the papers' prior, and DCVC-DC's kinds of networks."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_conditional import moving_video, tiny_context_codec, tiny_model
from tiny_intra import tiny_codec as tiny_intra_codec
from tiny_paper import TINY_PAPER, tiny_paper_codec, tiny_paper_model

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.entropy_path import IntegerEntropy
from codec_lib.codecs.conditional.export import load_parts, round_as_shipped, save_parts
from codec_lib.codecs.conditional.fit import fit_tables
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.model import Reference
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import NOT_PORTABLE, Packet, read_stream, write_stream
from codec_lib.entropy.fit import initial_tables
from codec_lib.errors import BitstreamError, MissingWeights, UsageError

CODECS = {"lab-context": tiny_context_codec, "paper": tiny_paper_codec}
TESTS = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("profile", CODECS)
def test_decoder_finds_the_encoders_symbols_and_frames(profile):
    codec, video = CODECS[profile](), moving_video(6)
    coded, stream = list(codec.code(video, 9)), codec.encode(video, 9)
    header, packets = read_stream(stream)
    assert header.flags == NOT_PORTABLE and header.profile == profile
    found = list(codec._read(header, packets))
    for t, (a, b) in enumerate(zip(coded, found, strict=True)):
        assert a.state.t == b.state.t == t
        assert len(a.symbols) == (2 if t == 0 else {"lab-context": 3, "paper": 4}[profile])
        assert all(np.array_equal(x, y) for x, y in zip(a.symbols, b.symbols, strict=True))
        assert all(len(np.unique(s)) > 2 for s in a.symbols)  # an untrained model, and yet it has something to say
        assert torch.equal(a.state.frame, b.state.frame)


@pytest.mark.parametrize("profile", CODECS)
def test_a_new_process_decodes_the_same(profile, tmp_path):
    codec, video = CODECS[profile](), moving_video(4, 64, 64)
    (tmp_path / "stream").write_bytes(codec.encode(video, 12))
    program = f"""
import hashlib, sys
sys.path[:0] = ["{TESTS}"]
from test_float_prior_streams import CODECS
codec = CODECS["{profile}"]()
stream = open("{tmp_path / 'stream'}", "rb").read()
print(codec.symbols_sha256(stream), hashlib.sha256(codec.decode(stream).frames.numpy().tobytes()).hexdigest())
"""
    path = f"{TESTS / 'codecs'}"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=path)
    frames = torch.cat([c.state.frame for c in codec.code(video, 12)])
    stream = (tmp_path / "stream").read_bytes()
    expected = [codec.symbols_sha256(stream), hashlib.sha256(frames.numpy().tobytes()).hexdigest()]
    assert result.stdout.split() == expected, result.stderr


@pytest.mark.parametrize("profile", CODECS)
def test_qualities_and_sizes(profile):
    codec = CODECS[profile]()
    video = moving_video(3, 65, 63)
    streams = {q: codec.encode(video, q) for q in (0, 15)}
    assert len({codec.symbols_sha256(s) for s in streams.values()}) == 2
    for stream in streams.values():
        assert codec.decode(stream).frames.shape == video.frames.shape


def test_file_bits_of_learned_motion_stay_close_to_the_information():
    codec, video = tiny_paper_codec(), moving_video(3, 128, 192)
    bits = 0.0
    for coded in codec.code(video, 12):
        if not coded.classes:
            bits += 8 * (len(coded.payload) - 1)
            continue
        for symbols, classes, path in zip(coded.symbols, (None, *coded.classes), (codec.motion, None, codec.entropy, None),
                                          strict=True):
            if path is None:
                bits += codec.tables.bits(symbols.ravel(), classes.ravel())
            else:
                channel = np.arange(len(symbols)).repeat(symbols[0].size)
                bits += path.z_tables.bits(symbols.ravel(), channel)
    size = 8 * len(codec.encode(video, 12))
    assert bits <= size <= 1.005 * bits + 64 * 8


def test_what_is_trained_estimates_what_is_written():
    """Bits and frames of the training form against those of a stream, for one P frame after an I frame."""
    codec, video = tiny_paper_codec(rdo_weight=float("inf")), moving_video(2, 128, 128)
    i_frame, p_frame = codec.code(video, 9)
    model, u = tiny_paper_model(), torch.tensor([9 / 15])
    model.quantise = True
    reference = Reference(i_frame.state.frame.float() / 255, None, torch.zeros(1, 32, 8, 8), u)
    with torch.no_grad():
        coded = model(video.frames[1:].float() / 255, reference, None, u)
    estimated = (coded.bits_y + coded.bits_z + coded.bits_motion).item()
    assert 8 * len(p_frame.payload) == pytest.approx(estimated, rel=0.05)
    assert (coded.reference.x_hat.clamp(0, 1) * 255 - p_frame.state.frame).abs().mean() < 1


def test_damage_is_named():
    codec = tiny_paper_codec()
    stream = codec.encode(moving_video(3, 64, 64), 9)
    header, packets = read_stream(stream)
    short = Packet(packets[1].payload[: len(packets[1].payload) // 2], packets[1].digest)
    for wrong in ([packets[0], short, packets[2]], [packets[0], packets[2], packets[1]]):
        with pytest.raises(BitstreamError, match="packet 1"):
            codec.decode(write_stream(header, wrong))


def test_a_prior_that_looks_at_floats_has_no_integer_form():
    with pytest.raises(UsageError, match="no integer form"):
        IntegerEntropy(tiny_model(temporal_prior="context").config)


@pytest.mark.parametrize("profile", CODECS)
def test_fitted_tables_and_the_checkpoint_round_trip(profile, tmp_path):
    codec = CODECS[profile]()
    model = tiny_paper_model() if profile == "paper" else tiny_model(temporal_prior="context")
    round_as_shipped(model)
    clips = [moving_video(3, 64, 64, seed=s) for s in range(2)]
    tables, motion = fit_tables(model, tiny_intra_codec(), clips, range(16))
    assert isinstance(motion, FusedEntropy if profile == "paper" else MotionCoder)
    density = model.config.density
    pairs = [(s.ravel(), k.ravel()) for c in codec.code(clips[0], 8) for s, k in zip(c.symbols[1:], c.classes, strict=False)
             if k is not None]
    assert sum(tables.bits(*p) for p in pairs) < sum(initial_tables(density).bits(*p) for p in pairs)
    path = tmp_path / "tiny.safetensors"
    save_parts(path, model, tables, motion, "01020304")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    parts = load_parts(path)
    assert parts.model.config == model.config and parts.intra == "01020304" and not parts.entropy.portable
    streams = []
    for m, entropy, motion_path in ((parts.model, parts.entropy, parts.motion), (model, CODECS[profile]().entropy, motion)):
        if m is model:
            entropy = type(parts.entropy)(*((model.entropy,) if profile == "paper" else (model.config, model.entropy)))
        again = ConditionalCodec(m, entropy, tables, motion_path, tiny_intra_codec(), b"\1\2\3\4", profile=profile,
                                 structure=Structure(cut=float("inf")))
        streams.append(again.encode(clips[0], 8))
    assert streams[0] == streams[1]
    with pytest.raises(UsageError, match="use entropy 'float'"):
        load_parts(path, "integer")


@pytest.mark.parametrize("profile", ["paper", "lab-context", "lab-residual"])
def test_profiles_without_a_checkpoint_say_how_to_get_one(profile):
    with pytest.raises(MissingWeights, match=f"train conditional --profile {profile}") as error:
        load_codec("conditional", profile=profile)
    assert "\n" not in str(error.value) and f"conditional-{profile}.safetensors" in str(error.value)


def test_tiny_paper_is_of_the_papers_kinds():
    from codec_lib.codecs.conditional.config import CHOICES
    from codec_lib.codecs.conditional.profiles import PAPER

    for field in (*CHOICES, "fold", "context_kinds", "analysis_kinds", "synthesis_kinds", "analysis_merges", "synthesis_merges",
                  "gain_scale", "linear", "feature_adaptors", "up_kernel", "anchors"):
        assert getattr(TINY_PAPER, field) == getattr(PAPER, field)
