"""Training the image prior from the command line: a folder of clips in, a checkpoint and its card out, twice."""

from dataclasses import replace

import pytest
import torch

from codec_lib.diffusion.autoencoder import AutoencoderConfig, load_autoencoder
from codec_lib.diffusion.denoiser import DenoiserConfig, load_denoiser
from codec_lib.training import autoencoder, denoiser
from codec_lib.video import clips, write_video

VAE = AutoencoderConfig(unfold=8, latent_channels=4, widths=(32,))
UNET = DenoiserConfig(latent_channels=4, widths=(16, 16), attention=(False, True), heads=(1, 1), context_tokens=2, context_width=8,
                      groups=8)


@pytest.fixture
def tiny(monkeypatch):
    """Profiles of a few thousand parameters, and a distance that needs no weights."""

    def distance(a, b):
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)

    monkeypatch.setitem(autoencoder.PROFILES, "lab", VAE)
    monkeypatch.setitem(denoiser.PROFILES, "lab", UNET)
    network = torch.nn.Module()
    network.forward = distance
    monkeypatch.setattr(autoencoder, "load_lpips", lambda net: network)
    monkeypatch.setattr(autoencoder, "STARTING_CROPS", 4)


@pytest.fixture
def folder(tmp_path):
    """Two of the sample clips, a few frames each, and one that must not be trained on."""
    for name, where in (("pan", "data"), ("zoom", "data"), ("tilt", "data/dev")):
        (tmp_path / where).mkdir(exist_ok=True)
        video = clips(f"sample:{name}", frames=7)[0]
        write_video(replace(video, yuv=None), tmp_path / where / f"{name}.y4m")
    return tmp_path


def test_autoencoder_and_denoiser_are_trained_exported_and_described(cli, tiny, folder):
    shown = cli("train", "vae", "--data", folder / "data", "--out", folder / "runs" / "vae", "--steps", 3, "--batch", 2)
    assert shown.status == 0, shown.err
    made = folder / "runs" / "vae" / "vae-lab.safetensors"
    assert str(made) in shown.out
    model = load_autoencoder(made)
    assert replace(model.config, scale=1.0) == VAE and 0.1 < model.config.scale < 10
    card = made.with_suffix(".md").read_text()
    for words in ("3 steps of 2 crops of 256x256", "4 video frames", "`linear`", "psnr"):
        assert words in card, words

    out = folder / "runs" / "unet"
    shown = cli("train", "unet", "--data", folder / "data", "--out", out, "--steps", 3, "--batch", 2, "--autoencoder", made)
    assert shown.status == 0, shown.err
    assert load_denoiser(out / "unet-lab.safetensors").config == UNET
    assert "error_600" in (out / "unet-lab.md").read_text()

    again = cli("train", "vae", "--data", folder / "data", "--out", folder / "runs" / "vae", "--steps", 4, "--batch", 2, "--resume")
    assert again.status == 0, again.err
    weights = (model.linear, load_autoencoder(made).linear)
    assert torch.equal(*(w.synthesis.weight for w in weights)), "the linear path is neither trained nor begun anew"


def test_a_denoiser_needs_an_autoencoder(cli, folder):
    shown = cli("train", "unet", "--data", folder / "data", "--steps", 1)
    assert shown.status == 2 and "--autoencoder" in shown.err and len(shown.err.strip().splitlines()) == 1
