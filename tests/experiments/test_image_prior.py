"""Table `image-prior`: the linear predictor's error is what a fit finds, and the table says what was measured."""

import pytest
import torch
from torch.nn import functional as F

from codec_lib.diffusion.autoencoder import Autoencoder, AutoencoderConfig, save_autoencoder
from codec_lib.diffusion.denoiser import Denoiser, DenoiserConfig, save_denoiser
from codec_lib.errors import MissingWeights, UsageError
from codec_lib.experiments import image_prior
from codec_lib.experiments.image_prior import LEVELS, LINEAR, UNET, VAE, ZERO, covariance, linear_errors, window_moments
from codec_lib.experiments.records import all_values
from codec_lib.experiments.tables import table, text_table
from codec_lib.video import write_video

TINY_VAE = AutoencoderConfig(unfold=4, latent_channels=4, widths=(32, 32))
TINY_UNET = DenoiserConfig(latent_channels=4, widths=(16, 32), attention=(False, True), heads=(2, 2), context_tokens=2,
                           context_width=8, groups=8)


def smooth_latents(seed=0, channels=3, frames=2, side=24):
    """Latents whose neighbours, in place and among channels, have something to do with each other, of mean one."""
    random = torch.Generator().manual_seed(seed)
    grain = torch.randn(frames, channels, side + 2, side + 2, generator=random, dtype=torch.float64)
    return 1 + F.conv2d(grain, torch.randn(channels, channels, 3, 3, generator=random, dtype=torch.float64) / 4)


@pytest.mark.parametrize("snr", [0.05, 1.0, 20.0])
def test_the_closed_form_is_what_least_squares_finds(snr):
    """Noise is drawn for every window anew; the fit sees 20 draws of it and is judged on 20 others."""
    latents, k, channels = smooth_latents(), 3, 3
    x = F.unfold(latents, k).transpose(1, 2).flatten(0, 1).repeat(20, 1)
    a, s = (snr / (1 + snr)) ** 0.5, (1 / (1 + snr)) ** 0.5
    random, middle = torch.Generator().manual_seed(1), torch.arange(channels) * k * k + k * k // 2

    def drawn():
        eps = torch.randn(x.shape, generator=random, dtype=x.dtype)
        return torch.cat([a * x + s * eps, torch.ones(len(x), 1, dtype=x.dtype)], 1), eps[:, middle]

    filters = torch.linalg.lstsq(*drawn()).solution
    y, eps = drawn()
    found = (y @ filters - eps).square().mean().item()
    derived = linear_errors(covariance([window_moments(latents, k)]), torch.tensor([snr]), channels).item()
    assert found == pytest.approx(derived, rel=0.02)


def test_the_closed_form_knows_its_limits():
    white = torch.eye(18, dtype=torch.float64)  # nothing to learn from neighbours: each latent stands for itself
    snr = torch.tensor([1e-6, 0.5, 1e6])
    assert linear_errors(white, snr, 2).tolist() == pytest.approx([1e-6, 1 / 3, 1], rel=1e-5)
    flat = torch.ones(9, 9, dtype=torch.float64)  # all nine are one: nine looks at it
    assert linear_errors(flat, snr, 1).tolist() == pytest.approx([1e-6, 0.5 / 5.5, 1 / 9], rel=1e-4)


def test_clips_count_alike_whatever_their_size():
    small, large = smooth_latents(1, side=8), smooth_latents(2, side=24)
    both = covariance([window_moments(small), window_moments(large)])
    means = [window_moments(v)[0] for v in (small, large)]
    apart = (means[0] - means[1]) / 2
    inside = sum(covariance([window_moments(v)]) for v in (small, large)) / 2
    assert torch.allclose(both, inside + apart[:, None] * apart)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Tiny random networks where the shipped ones are looked for, and a folder for results."""
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(image_prior, "checkpoint_path", lambda name, profile: tmp_path / f"{name}-{profile}.safetensors")
    torch.manual_seed(0)
    save_autoencoder(tmp_path / "vae-lab.safetensors", Autoencoder(TINY_VAE))
    save_denoiser(tmp_path / "unet-lab.safetensors", Denoiser(TINY_UNET))
    return tmp_path


def test_the_table_is_measured_saved_and_shown(trained, clip_maker):
    paths = []
    for name, width in (("one", 72), ("two", 96)):
        paths.append(trained / f"{name}.y4m")
        write_video(clip_maker(width, 64, frames=9, name=name), paths[-1])
    made = table("image-prior", recompute=True, clips=list(map(str, paths)))
    frames, levels = ([row for row in made["rows"] if row["what"] == what] for what in ("frames", "noise"))
    assert [row["of"] for row in frames] == ["one", "two", "mean"]
    assert frames[2]["psnr"] == pytest.approx((frames[0]["psnr"] + frames[1]["psnr"]) / 2)
    assert [row["of"] for row in levels] == [f"n = {n}" for n in LEVELS]
    for row in levels:
        assert row[ZERO] == pytest.approx(1, abs=0.1) and 0 < row[LINEAR] < 1 < row[UNET] + 0.5
    assert [row[LINEAR] for row in levels] == sorted((row[LINEAR] for row in levels), reverse=True)
    known = all_values(trained / "results")
    for row in made["rows"]:
        assert all(known[record].value == row[column] for column, record in row["ids"].items())
    assert set(made["provenance"]["checkpoint_digest"]) == {VAE, UNET} and "n = 600" in text_table(made)
    again = table("image-prior", recompute=True, clips=list(map(str, paths)))
    assert again["rows"] == made["rows"]


def test_clips_that_cannot_be_used_are_refused(trained, clip_maker, tiny_file):
    with pytest.raises(UsageError, match="at least 64x64"):
        image_prior.measure([str(tiny_file)])
    write_video(clip_maker(64, 64, frames=1), trained / "a.y4m")
    with pytest.raises(UsageError, match="two clips are called 'a'"):
        image_prior.measure([str(trained / "a.y4m")] * 2)


def test_without_checkpoints_it_says_what_to_train(tmp_path, monkeypatch):
    monkeypatch.setattr(image_prior, "checkpoint_path", lambda name, profile: tmp_path / f"{name}-{profile}.safetensors")
    with pytest.raises(MissingWeights, match="train vae"):
        image_prior.measure()
