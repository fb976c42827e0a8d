"""The denoiser: published size, shapes, files, folders in diffusers' format, and sampling with it."""

import json

import pytest
import torch
from safetensors.torch import save_file

from codec_lib.checkpoint import compact, widened
from codec_lib.diffusion.denoiser import PROFILES, Denoiser, DenoiserConfig, load_denoiser, save_denoiser
from codec_lib.diffusion.noise import gaussian_noise
from codec_lib.diffusion.samplers import ddim, ddpm, sample
from codec_lib.diffusion.schedule import scaled_linear
from codec_lib.errors import MissingWeights, UsageError

TINY = DenoiserConfig(latent_channels=4, widths=(16, 32), attention=(False, True), heads=(2, 2), context_tokens=3, context_width=8,
                      groups=8)


def test_paper_profile_has_stable_diffusions_size():
    """Stable Diffusion 2.1's U-Net has 865.9 M parameters. The empty context is ours."""
    with torch.device("meta"):
        model = Denoiser(PROFILES["paper"])
    assert sum(p.numel() for p in model.network.parameters()) / 1e6 == pytest.approx(865.9, abs=0.05)


def test_lab_profile_fits_a_checkpoint():
    with torch.device("meta"):
        model = Denoiser()
    count = sum(p.numel() for p in model.parameters())
    assert 2 * count < 16e6 and count / 1e6 == pytest.approx(7.72, abs=0.01)


def test_context_is_heard():
    torch.manual_seed(0)
    model = Denoiser(TINY).eval()
    y_n = torch.randn(2, 4, 8, 6)
    with torch.no_grad():
        assert model(y_n, 10).shape == y_n.shape
        assert torch.equal(model(y_n, 10), model(y_n, 10, model.empty.expand(2, -1, -1)))
        assert not torch.allclose(model(y_n, 10), model(y_n, 10, torch.ones(2, 5, 8)))


def test_files_give_back_what_was_saved(tmp_path):
    torch.manual_seed(0)
    model = Denoiser(TINY).eval()
    model.load_state_dict({n: t.float() for n, t in widened(compact(model.state_dict())).items()})  # as shipped
    save_denoiser(tmp_path / "u.safetensors", model)
    y_n = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        assert torch.equal(load_denoiser(tmp_path / "u.safetensors")(y_n, 500), model(y_n, 500))


@pytest.mark.parametrize(("said", "prediction"), [(None, "noise"), ("epsilon", "noise"), ("v_prediction", "velocity")])
def test_a_folder_in_diffusers_format(tmp_path, said, prediction):
    torch.manual_seed(0)
    model = Denoiser(TINY).eval()
    model.network.save_pretrained(tmp_path / "unet")
    if said:
        (tmp_path / "scheduler").mkdir()
        (tmp_path / "scheduler" / "scheduler_config.json").write_text(json.dumps({"prediction_type": said}))
    loaded = load_denoiser(tmp_path)
    y_n, context = torch.randn(1, 4, 8, 8), torch.randn(1, 3, 8)
    with torch.no_grad():
        assert torch.allclose(loaded(y_n, 500, context), model(y_n, 500, context), atol=1e-6)
    assert loaded.config.prediction == prediction and loaded.config.widths == TINY.widths
    assert load_denoiser(tmp_path / "unet").config.prediction == prediction
    if said:
        (tmp_path / "scheduler" / "scheduler_config.json").write_text("{")
        with pytest.raises(UsageError, match="is damaged"):
            load_denoiser(tmp_path)
    with pytest.raises(MissingWeights, match="holds no U-Net"):
        (tmp_path / "nothing").mkdir()
        load_denoiser(tmp_path / "nothing")


@pytest.mark.parametrize("step", [ddpm, ddim()], ids=["ddpm", "ddim"])
def test_sampling_repeats_itself(step):
    torch.manual_seed(0)
    model = Denoiser(TINY).eval()
    schedule = scaled_linear().respaced(5)
    start = gaussian_noise((1, 4, 8, 8), seed=1, step=len(schedule) + 1)
    with torch.no_grad():
        runs = [sample(model.predictor(schedule), start, schedule, step, lambda n: gaussian_noise((1, 4, 8, 8), seed=1, step=n))
                for _ in range(2)]
    assert torch.equal(*runs) and runs[0].isfinite().all()


@pytest.mark.parametrize(("harm", "said"), [("shape", "cannot be loaded as a U-Net"), ("bytes", "cannot be loaded as a U-Net"),
                                            ("json", "cannot be loaded as a U-Net"), ("missing", "lack 1 tensors of the U-Net")])
def test_a_damaged_folder_is_named(tmp_path, harm, said):
    torch.manual_seed(0)
    network = Denoiser(TINY).network
    if harm == "missing":
        state = network.state_dict()
        state.pop("conv_out.bias")
        network.save_pretrained(tmp_path)
        save_file(state, tmp_path / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    else:
        network.save_pretrained(tmp_path)
    config, weights = tmp_path / "config.json", tmp_path / "diffusion_pytorch_model.safetensors"
    if harm == "shape":
        config.write_text(config.read_text().replace("32", "48"))
    elif harm == "bytes":
        weights.write_bytes(b"nonsense")
    elif harm == "json":
        config.write_text("{")
    with pytest.raises(UsageError, match=said):
        load_denoiser(tmp_path)
