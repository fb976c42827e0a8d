"""DiffVC's paper profile: its sizes, and all of it at work on a tiny prior in diffusers' format."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from tiny_conditional import moving_video
from tiny_intra import tiny_model as tiny_intra_model
from tiny_paper import TINY_PAPER
from tiny_prior import save_tiny_prior

from codec_lib import checkpoint
from codec_lib.checkpoint import network_sha256
from codec_lib.codecs import diffvc as room
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.diffvc.config import PROFILES
from codec_lib.codecs.diffvc.control import Control
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.prior import find_prior
from codec_lib.codecs.diffvc.prompt import TextPrompt, quantisation_ratio
from codec_lib.codecs.intra.export import save_parts as save_intra
from codec_lib.diffusion.autoencoder import PROFILES as AUTOENCODERS
from codec_lib.diffusion.autoencoder import Autoencoder
from codec_lib.diffusion.denoiser import PROFILES as DENOISERS
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.entropy.container import read_stream
from codec_lib.entropy.fit import initial_tables
from codec_lib.errors import MissingWeights
from codec_lib.training import conditional
from codec_lib.video import write_video

PAPER = PROFILES["paper"]
SMALL_WIDTHS = ("widths", "feature_channels", "y_channels", "z_channels", "fine_width", "head_width", "unet_widths", "offset_groups",
                "motion_channels", "flow_widths", "n_qualities")
TINY = replace(PAPER, **{name: getattr(TINY_PAPER, name) for name in SMALL_WIDTHS})


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_networks_have_the_published_sizes():
    """Stable Diffusion 2.1's U-Net, and the ControlNet of its size with the stock stem."""
    with torch.device("meta"):
        denoiser = Denoiser(DENOISERS["paper"])
        assert size(denoiser.network) / 1e6 == pytest.approx(865.9, abs=0.05)
        assert size(ControlNetModel.from_config(stock(denoiser.network))) / 1e6 == pytest.approx(364.2, abs=0.05)


def stock(network: UNet2DConditionModel) -> dict:
    """Configuration of diffusers' ControlNet of a U-Net, with the stem for pictures at full resolution."""
    c, kinds = network.config, ControlNetModel.__init__.__annotations__
    return {n: v for n, v in c.items() if n in kinds} | {"conditioning_embedding_out_channels": (16, 32, 96, 256)}


def test_the_contextual_codec_is_dcvc_dc_s_on_latents():
    c = PAPER
    assert c.scales == (8, 16, 32) and c.latent_stride == 32 and c.stride == 128 and not c.portable
    with torch.device("meta"):
        model = ConditionalModel(c, Latents(Autoencoder(AUTOENCODERS["paper"]), c))
    gains = model.g_a.gain.log_basic, model.g_s.gain.log_basic
    assert [len(g) for g in gains] == [128, 64]  # q_enc, q_dec: data/papers/diffvc.yaml, conditions
    assert len(model.g_a.gain.log_gain) == 4 and c.n_qualities == 64


def test_ratios_of_gains_that_are_not_equally_many():
    assert quantisation_ratio(torch.tensor([[2.0, 4.0, 6.0]]), torch.tensor([[1.0, 3.0]])).tolist() == [2.0]


def test_a_control_network_sees_latent_and_context():
    with torch.device("meta"):
        control = Control(Denoiser(DENOISERS["paper"]), PAPER.signal_channels + PAPER.widths[0])
    zero_convolutions = [*control.network.controlnet_down_blocks, control.network.controlnet_mid_block]
    assert len(zero_convolutions) == 13
    assert control.network.controlnet_cond_embedding.conv_in.in_channels == 4 + 48


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A clip, a prior in diffusers' format, and a folder of checkpoints with an I-frame codec."""
    (tmp_path / "clips").mkdir()
    write_video(moving_video(8, 128, 128), tmp_path / "clips" / "moving.y4m")
    save_tiny_prior(tmp_path / "prior")
    monkeypatch.setattr(checkpoint, "CHECKPOINTS", tmp_path)
    save_intra(tmp_path / "intra-lab.safetensors", tiny_intra_model(), initial_tables())
    monkeypatch.setitem(PROFILES, "paper", TINY)
    monkeypatch.setattr(conditional, "FIT_CLIPS", 1)
    monkeypatch.setattr(conditional, "FIT_FRAMES", 3)
    return tmp_path


def test_it_is_trained_and_codes_with_weights_from_a_folder(cli, data):
    for name in ("diffvc", "diffvc-generator"):
        ran = cli("train", name, "--profile", "paper", "--prior", data / "prior", "--data", data / "clips", "--out",
                  data / "runs" / name, "--steps", 2, "--batch", 1, "--crop", 128, "--checkpoint", data / f"{name}-paper.safetensors")
        assert ran.status == 0, ran.err
    codec = room.load(profile="paper", prior=data / "prior", steps=2, depth=1, cut=float("inf"))
    assert isinstance(codec.generator.prompt, TextPrompt) and codec.generator.denoiser.config.context_tokens == 77
    video = moving_video(4, 100, 150)
    stream = codec.encode(video, 8)
    assert codec.decode(stream).frames.shape == video.frames.shape
    written, found = codec.code(video, 8), codec._read(*read_stream(stream))
    for a, b in zip(written, found, strict=True):
        assert all(np.array_equal(s, t) for s, t in zip(a.symbols, b.symbols, strict=True))
        assert torch.equal(a.state.frame, b.state.frame)
    with pytest.raises(MissingWeights, match="trained with vae checkpoint"):
        save_tiny_prior(data / "prior", seed=1)
        room.load(profile="paper", prior=data / "prior")


def test_what_is_missing_is_named(data):
    with pytest.raises(MissingWeights, match="does not ship: name its folder"):
        room.load(profile="paper")
    with pytest.raises(MissingWeights, match="is no folder"):
        room.load(profile="paper", prior=data / "nowhere")
    with pytest.raises(MissingWeights, match="holds no autoencoder"):
        room.load(profile="paper", prior=data / "clips")
    with pytest.raises(MissingWeights, match=r"no checkpoint 'diffvc-paper\.safetensors'"):
        room.load(profile="paper", prior=data / "prior")


def test_digests_are_of_weights(data):
    prior = find_prior("paper", data / "prior")
    vae = network_sha256(data / "prior", "vae", "autoencoder")
    assert prior.vae_digest == vae[:8] != prior.unet_digest and prior.folder == data / "prior"
    config = data / "prior" / "vae" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert find_prior("paper", data / "prior").vae_digest == prior.vae_digest
