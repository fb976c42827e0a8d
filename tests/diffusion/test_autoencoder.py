"""The autoencoder: published size, shapes, a round trip through files, folders in diffusers' format."""

import pytest
import torch

from codec_lib.checkpoint import compact, widened
from codec_lib.diffusion.autoencoder import (
    PROFILES,
    Autoencoder,
    AutoencoderConfig,
    load_autoencoder,
    save_autoencoder,
    start_linear,
)
from codec_lib.errors import MissingWeights, UsageError

TINY = AutoencoderConfig(unfold=4, latent_channels=4, widths=(32, 32), scale=1.7)


def test_paper_profile_has_stable_diffusions_size():
    """Stable Diffusion 2.1's autoencoder has 83.65 M parameters."""
    with torch.device("meta"):
        model = Autoencoder(PROFILES["paper"])
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(83.65, abs=0.005)


def test_lab_profile_fits_a_checkpoint():
    with torch.device("meta"):
        model = Autoencoder()
    assert 2 * sum(p.numel() for p in model.parameters()) < 16e6


@pytest.mark.parametrize("config", [TINY, AutoencoderConfig(unfold=1, latent_channels=4, widths=(32, 32, 32, 32))], ids=["4", "1"])
def test_latents_are_eight_times_smaller(config):
    model = Autoencoder(config).eval()
    with torch.no_grad():
        latent = model.encode(torch.rand(2, 3, 64, 48))
        assert latent.shape == (2, 4, 8, 6)
        assert model.decode(latent).shape == (2, 3, 64, 48)


def test_files_give_back_what_was_saved(tmp_path):
    torch.manual_seed(0)
    model = Autoencoder(TINY).eval()
    model.load_state_dict({n: t.float() for n, t in widened(compact(model.state_dict(), ("scale", "linear."))).items()})  # as shipped
    save_autoencoder(tmp_path / "a.safetensors", model)
    loaded = load_autoencoder(tmp_path / "a.safetensors")
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded.encode(x), model.encode(x)) and loaded.config == TINY


def test_a_folder_in_diffusers_format(tmp_path):
    torch.manual_seed(0)
    config = AutoencoderConfig(unfold=1, latent_channels=4, widths=(32, 32, 32, 32), attention=True, linear=False, scale=0.5)
    model = Autoencoder(config).eval()
    model.network.save_pretrained(tmp_path / "vae")
    x = torch.rand(1, 3, 32, 32)
    for folder in (tmp_path, tmp_path / "vae"):
        loaded = load_autoencoder(folder)
        assert torch.allclose(loaded.encode(x), model.encode(x), atol=1e-6) and loaded.config == config
    with pytest.raises(MissingWeights, match="holds no autoencoder"):
        (tmp_path / "empty").mkdir()
        load_autoencoder(tmp_path / "empty")


def test_a_stride_that_is_not_eight_is_refused():
    with pytest.raises(UsageError, match="stride of 8"):
        Autoencoder(AutoencoderConfig(unfold=2, widths=(32, 32)))


def test_it_begins_as_principal_components():
    """Whole from as many components as there are numbers; else the best matrix: what is lost is the variance that is left."""
    torch.manual_seed(0)
    pictures = torch.nn.functional.interpolate(torch.rand(4, 3, 12, 12), size=(64, 64), mode="bicubic").clamp(0, 1)
    for channels in (4, 192):
        model = Autoencoder(AutoencoderConfig(latent_channels=channels, widths=(32, 32), scale=3.0)).eval()
        start_linear(model, pictures)
        with torch.no_grad():
            latent = model.encode(pictures)
            lost = (model.decode(latent) - pictures).square().sum(dim=(1, 2, 3)).mean().item() / 64  # of each block
        blocks = torch.nn.functional.pixel_unshuffle(pictures - pictures.mean(dim=(0, 2, 3), keepdim=True), 8)
        blocks = blocks.transpose(0, 1).flatten(1).double()
        values = torch.linalg.eigvalsh(blocks @ blocks.T / blocks.shape[1])
        assert lost == pytest.approx(values[: 192 - channels].sum().item(), rel=1e-3, abs=1e-4)
        assert model.posterior(pictures)[1].unique().tolist() == [-6.0]
    spread = (latent / 3).square().mean(dim=(0, 2, 3))  # in pixels of [-1, 1] variances are four times larger
    assert torch.allclose(spread[:8], (4 * values.flip(0)[:8]).sqrt().float(), rtol=1e-3)


def test_the_linear_path_stays_as_it_began():
    model = Autoencoder(TINY)
    assert not any(p.requires_grad for p in model.linear.parameters())
    assert Autoencoder(AutoencoderConfig(linear=False, widths=(32, 32))).linear is None
