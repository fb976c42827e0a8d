"""DiffVC assembled: the stream and what is shown of it are two things."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from tiny_conditional import moving_video, tiny_motion
from tiny_diffvc import SMALL, tiny_autoencoder, tiny_diffvc, tiny_latent_model, tiny_networks

from codec_lib.checkpoint import load_checkpoint, save_checkpoint
from codec_lib.codecs.conditional import motion_stream
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.diffvc import load
from codec_lib.codecs.diffvc.config import ERROR_OF_LATENTS, LatentConfig
from codec_lib.codecs.diffvc.export import (
    GENERATOR,
    GeneratorConfig,
    load_codec_parts,
    load_generator,
    made,
    save_codec,
    save_generator,
    stream_digest,
)
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.codecs.diffvc.picture import Gates
from codec_lib.codecs.diffvc.prior import find_prior
from codec_lib.diffusion.reuse import calls_per_period
from codec_lib.entropy.container import read_header, read_stream
from codec_lib.entropy.fit import initial_tables
from codec_lib.errors import BitstreamError, MissingWeights, UsageError
from codec_lib.layers.blocks import relative
from codec_lib.video import clips


class Named(NamedTuple):
    """Stands for a prior."""

    unet_digest: str
    folder: None = None

    def autoencoder(self):
        return tiny_autoencoder(seed=1)


@pytest.mark.parametrize("path", ["integer", "float"])
def test_decoder_finds_the_encoders_symbols_and_frames(path):
    codec, video = tiny_diffvc(path), moving_video(4)
    stream = codec.encode(video, 9)
    written = list(codec.code(video, 9))
    found = list(codec._read(*read_stream(stream)))
    for a, b in zip(written, found, strict=True):
        assert all(np.array_equal(s, t) for s, t in zip(a.symbols, b.symbols, strict=True))
        assert torch.equal(a.state.frame, b.state.frame)
    header = read_header(stream)
    assert header.codec == "diffvc" and header.frames == 4


def test_what_is_shown_is_drawn_and_the_stream_does_not_depend_on_it():
    video = moving_video(4)
    stream = tiny_diffvc(diffusion=False).encode(video, 9)
    assert tiny_diffvc().encode(video, 9) == stream
    one, other, structured = tiny_diffvc(), tiny_diffvc(diffusion=False), tiny_diffvc()
    structured.structure = Structure(intra_period=2)
    assert one.encoder == other.encoder and one.encoder != structured.encoder
    assert one.encoder != tiny_diffvc("float").encoder is not None
    plain, shown = tiny_diffvc(diffusion=False).decode(stream), tiny_diffvc().decode(stream)
    assert shown.frames.shape == plain.frames.shape == video.frames.shape
    assert torch.equal(shown.frames[0], plain.frames[0])  # an I frame
    assert all(not torch.equal(a, b) for a, b in zip(shown.frames[1:], plain.frames[1:], strict=True))
    assert tiny_diffvc().symbols_sha256(stream) == tiny_diffvc(diffusion=False).symbols_sha256(stream)


def test_decoding_twice_shows_the_same():
    codec, video = tiny_diffvc(), moving_video(3)
    stream = codec.encode(video, 5)
    assert torch.equal(codec.decode(stream).frames, codec.decode(stream).frames)
    assert torch.equal(codec.decode(stream).frames, tiny_diffvc().decode(stream).frames)


def test_calls_of_the_network_follow_i_frames_and_depth():
    codec = tiny_diffvc(sampling=Sampling(steps=4, depth=1))
    codec.structure = Structure(intra_period=3, cut=float("inf"))
    calls = []
    codec.generator.denoiser.register_forward_hook(lambda *_: calls.append(1))
    stream = codec.encode(moving_video(7), 9)  # I P P I P P I
    assert not calls  # nothing is drawn while coding
    codec.decode(stream)
    assert len(calls) == 2 * calls_per_period(2, 4, 1)
    calls.clear()
    codec.symbols_sha256(stream)
    assert not calls


def test_in_the_loop_what_was_drawn_is_what_the_next_frame_moves():
    video, free = moving_video(4), tiny_diffvc()
    codec = tiny_diffvc(loop=True)
    stream, plain = codec.encode(video, 9), free.encode(video, 9)
    assert stream != plain and not codec.portable and free.portable and codec.encoder is None
    written = list(codec.code(video, 9))
    shown = codec.decode(stream)
    for frame, coded in zip(shown.frames, written, strict=True):
        assert torch.equal(frame, coded.state.frame[0, :, :video.height, :video.width])
    assert torch.equal(shown.frames[:2], free.decode(plain).frames[:2])  # the first P frame is drawn from the same I frame
    assert torch.equal(tiny_diffvc(loop=True).decode(stream).frames, shown.frames)


def test_odd_sizes_and_a_single_frame():
    codec = tiny_diffvc()
    for frames, height, width in ((1, 70, 90), (2, 1, 1), (2, 65, 130)):
        video = moving_video(frames, height, width)
        assert codec.decode(codec.encode(video, 3)).frames.shape == video.frames.shape


def test_the_ratio_rises_with_the_quality():
    codec = tiny_diffvc()
    assert codec.ratio(0) < codec.ratio(8) < codec.ratio(15)


def test_damage_is_named_and_frames_before_it_are_had():
    codec = tiny_diffvc()
    stream = bytearray(codec.encode(moving_video(4, 64, 64), 9))
    stream[-3] ^= 0x55
    with pytest.raises(BitstreamError):
        codec.decode(bytes(stream))
    assert len(codec.decode(bytes(stream), salvaged=True)) == 3


def test_checkpoints_give_back_what_was_saved(tmp_path):
    model = tiny_latent_model()
    file = tmp_path / "diffvc-lab.safetensors"
    digest = save_codec(file, model, initial_tables(), tiny_motion(), "01020304", "0a0b0c0d")
    parts = load_codec_parts(file, tiny_autoencoder())
    assert parts.needs == {"vae": "0a0b0c0d"} and parts.intra == "01020304" and parts.digest.hex() == digest[:8]
    assert parts.model.config == SMALL
    assert stream_digest(parts, bytes.fromhex("01020304")) == parts.digest
    others = [stream_digest(parts, bytes([n] * 4)) for n in (1, 2)]
    assert len({parts.digest, *others}) == 3 and all(len(d) == 4 for d in others), "another I-frame codec is another codec"
    drawn = [stream_digest(parts, bytes.fromhex("01020304"), bytes([n] * 4)) for n in (1, 2)]
    assert len({parts.digest, *others, *drawn}) == 5, "so is another generator in the coding loop"
    denoiser, control, prompt = tiny_networks()
    config = GeneratorConfig(SMALL.signal_channels + SMALL.widths[0], 8, prior="aa", codec="bb", gates=True)
    torch.nn.init.normal_(denoiser.empty)
    gates = Gates()
    torch.nn.init.normal_(gates.conv_out.bias)
    save_generator(tmp_path / "g.safetensors", config, denoiser, control, prompt, gates)
    other = tiny_networks(trained=False)[0]
    found, told, opened = load_generator(tmp_path / "g.safetensors", other, Named("aa"), "bb")
    assert torch.allclose(other.empty, denoiser.empty, atol=0.02)
    for a, b in ((found, control), (told, prompt), (opened, gates)):
        assert all(torch.allclose(p, q, atol=0.02) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    load_generator(tmp_path / "g.safetensors", tiny_networks(trained=False)[0], Named("aa"), None)  # whatever codec it followed
    with pytest.raises(MissingWeights, match="trained with denoiser aa, and cc is there"):
        load_generator(tmp_path / "g.safetensors", other, Named("cc"), "bb")
    assert made(GeneratorConfig(20, 8, "none"), denoiser)[1] is None


@pytest.mark.parametrize(("wrong", "message"), [
    (lambda t: {n: v for n, v in t.items() if n != "prompt.first.bias"}, "lacks the tensor first.bias"),
    (lambda t: {n: v for n, v in t.items() if not n.startswith("prompt.")}, "lacks the tensor first.bias"),
    (lambda t: {n: v for n, v in t.items() if n != "denoiser.empty"}, "lacks the tensor denoiser.empty"),
    (lambda t: t | {"gates.more": torch.zeros(1)}, "a part that its configuration does not have, gates.more"),
])
def test_a_generator_s_checkpoint_holds_all_of_it_and_nothing_else(tmp_path, wrong, message):
    denoiser, control, prompt = tiny_networks()
    path = tmp_path / "g.safetensors"
    save_generator(path, GeneratorConfig(SMALL.signal_channels + SMALL.widths[0], 8), denoiser, control, prompt)
    tensors, values, _ = load_checkpoint(path, GENERATOR)
    save_checkpoint(path, wrong(tensors), values, GENERATOR)
    with pytest.raises(UsageError, match=message):
        load_generator(path, tiny_networks()[0], Named(""), None)


def test_what_cannot_be_asked_for():
    with pytest.raises(UsageError, match="no profile"):
        load(profile="huge")
    with pytest.raises(UsageError, match="no variants"):
        load("diffvc:ld")
    with pytest.raises(UsageError, match="no option 'quickly'"):
        load(quickly=True)
    with pytest.raises(UsageError, match="outside 0"):
        load(depth=70)
    with pytest.raises(UsageError, match="a viewer has no choice"):
        load(profile="lab-loop", depth=10)
    with pytest.raises(UsageError, match="takes true or false, not 'no'"):
        load(diffusion="no")
    with pytest.raises(UsageError, match="takes a folder, not 2024"):
        load(prior=2024)
    with pytest.raises(UsageError, match="entropy path"):
        load(entropy="maybe")


def test_errors_of_latents_come_out_of_the_autoencoder_as_stated():
    """`ERROR_OF_LATENTS` stands between two scales of lambda: it is measured, on the shipped autoencoder and a bundled clip."""
    autoencoder = find_prior("lab", None).autoencoder().eval()
    x = clips("sample:parallax", frames=1)[0].frames[:, :, :256, :320].float() / 255
    with torch.inference_mode():
        y = autoencoder.encode(x)
        noise = 0.2 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))
        off = 255 * (autoencoder.decode(y + noise) - autoencoder.decode(y))
    assert (off.pow(2).sum() / 3 / noise.pow(2).sum()).item() == pytest.approx(ERROR_OF_LATENTS, rel=0.05)


def test_motion_is_worth_as_much_as_what_it_saves():
    """A motion search minimises errors of pixels, so it is told lambda in pixels; in latents' own it would send every detail."""
    config, u = LatentConfig(), torch.tensor([0.0, 1.0])
    assert torch.allclose(config.pixel_lambdas(u), config.lambdas(u) / ERROR_OF_LATENTS)
    assert torch.equal(ConditionalConfig().pixel_lambdas(u), ConditionalConfig().lambdas(u))
    weights = []
    codec, video = tiny_diffvc(diffusion=False), moving_video(2)
    codec.structure = Structure()  # one pass
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(motion_stream, "search", lambda now, before, weight, previous: weights.append(weight) or
                      np.zeros((2, now.shape[0] // 8 + 1, now.shape[1] // 8 + 1), np.int16))
        codec.encode(video, 9)
    expected = 1 / float(codec.config.pixel_lambdas(relative(9, codec.config)))
    assert weights == [pytest.approx(expected)]
