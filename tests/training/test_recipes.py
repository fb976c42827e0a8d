"""The recipes learn: a few steps of each on a tiny model and two pictures."""

from dataclasses import replace

import pytest
import torch
from tiny_pictures import Distance, two_pictures

from codec_lib.diffusion.autoencoder import Autoencoder, AutoencoderConfig, load_autoencoder
from codec_lib.diffusion.denoiser import Denoiser, DenoiserConfig
from codec_lib.errors import UsageError
from codec_lib.training import autoencoder, denoiser
from codec_lib.training.loop import train

VAE = AutoencoderConfig(unfold=4, latent_channels=4, widths=(32, 32))
UNET = DenoiserConfig(latent_channels=4, widths=(32, 32), attention=(False, True), heads=(2, 2), context_tokens=2,
                      context_width=8)


@pytest.fixture
def pictures(tmp_path):
    return two_pictures(tmp_path)


def test_the_autoencoder_learns_and_its_latents_get_unit_variance(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(autoencoder, "load_lpips", lambda net: Distance())
    torch.manual_seed(0)
    recipe = autoencoder.AutoencoderRecipe(pictures, Autoencoder(VAE), batch=2)
    recipe.warmup_steps = 5
    before = recipe.validate()["psnr"]
    result = train(recipe, tmp_path / "run", minutes=5, steps=60)
    assert result["validation"]["psnr"] > before + 3
    autoencoder.export(recipe, tmp_path / "vae.safetensors", batches=4)
    loaded = load_autoencoder(tmp_path / "vae.safetensors")
    with torch.no_grad():
        spread = torch.cat([loaded.encode(pictures.batch(8)) for _ in range(4)]).std().item()
    assert spread == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("side", "seen"), [(32, 32), (None, 64), (128, 64)])
def test_lpips_is_taken_of_a_part_of_each_crop(pictures, monkeypatch, side, seen):
    shapes = []

    class Watched(Distance):
        def forward(self, a, b):
            shapes.append((a.shape, b.shape))
            return super().forward(a, b)

    monkeypatch.setattr(autoencoder, "load_lpips", lambda net: Watched())
    recipe = autoencoder.AutoencoderRecipe(pictures, Autoencoder(VAE), batch=2, lpips_side=side)
    loss, figures = recipe.loss(0.0)
    assert shapes == [((2, 3, seen, seen),) * 2] and loss.item() == figures["loss"]


def test_training_begins_as_principal_components(pictures, monkeypatch):
    monkeypatch.setattr(autoencoder, "load_lpips", lambda net: Distance())
    models = autoencoder.started(Autoencoder(VAE), pictures), Autoencoder(VAE)
    begun, random = (autoencoder.AutoencoderRecipe(pictures, m).validate()["psnr"] for m in models)
    assert begun > random + 3
    without = autoencoder.started(Autoencoder(replace(VAE, linear=False)), pictures)
    assert without.linear is None


def test_the_denoiser_learns(pictures, tmp_path):
    torch.manual_seed(0)
    recipe = denoiser.DenoiserRecipe(pictures, Autoencoder(VAE), Denoiser(UNET), batch=4)
    recipe.warmup_steps = 5
    before = recipe.validate()
    after = train(recipe, tmp_path / "run", minutes=5, steps=60)["validation"]
    assert all(after[k] < before[k] for k in ("error_600", "error_800", "error_1000"))


def test_a_batch_is_drawn_from_a_pool_that_is_renewed(pictures, monkeypatch):
    monkeypatch.setattr(denoiser, "POOL", 6)
    recipe = denoiser.DenoiserRecipe(pictures, Autoencoder(VAE), Denoiser(UNET), batch=4, fresh=2)
    count = iter(range(100))
    monkeypatch.setattr(recipe, "latents", lambda n: torch.tensor([next(count) for _ in range(n)]))
    assert sorted(recipe.drawn().tolist()) == [0, 1, 2, 3]
    for newest in (5, 7, 9):
        drawn = recipe.drawn().tolist()
        assert len(set(drawn)) == 4 and recipe.pool.tolist() == list(range(max(0, newest - 5), newest + 1))
        assert set(drawn) <= set(recipe.pool.tolist())


def test_latents_of_another_width_are_refused(pictures):
    with pytest.raises(UsageError, match="makes 4 channels"):
        denoiser.DenoiserRecipe(pictures, Autoencoder(VAE), Denoiser(DenoiserConfig()), batch=1)
