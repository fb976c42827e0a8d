"""Samplers: whole trajectories equal to those of diffusers, and the right distribution where it is known."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from codec_lib.diffusion.process import to_data
from codec_lib.diffusion.samplers import ddim, ddpm, sample
from codec_lib.diffusion.schedule import cosine, linear, scaled_linear

SD_OPTIONS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}
KINDS = {"noise": "epsilon", "data": "sample", "velocity": "v_prediction"}


def network(y_n, timestep):
    """Something that is no denoiser, but smooth and different at each step."""
    return torch.tanh(0.7 * y_n + 0.3 * torch.sin(y_n * 3 + float(timestep) / 90))


def trajectory(scheduler, y_n, noises, **options):
    states = []
    for t in scheduler.timesteps:
        out = network(y_n, t)
        y_n = scheduler.step(out, t, y_n, **options(t) if callable(options) else options, **noises(t)).prev_sample
        states.append(y_n)
    return states


def ours(schedule, y_n, step, kind, noise):
    states = []

    def predict(y_n, n):
        return to_data(schedule, y_n, network(y_n, schedule.timesteps[n]), n, kind)

    sample(predict, y_n, schedule, step, noise, watch=lambda n, y0_pred, y_n: states.append(y_n))
    return states


def assert_equal(mine, theirs):
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-5 * max(1, b.abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "spacing"), [(1000, "leading"), (50, "leading"), (50, "trailing"), (10, "trailing"), (25, "linspace")])
def test_ddpm_follows_diffusers(kind, steps, spacing, monkeypatch):
    theirs = DDPMScheduler(prediction_type=KINDS[kind], timestep_spacing=spacing, **SD_OPTIONS)
    theirs.set_timesteps(steps)
    # diffusers keeps its tables in float32, which alone costs 2e-5 over 1000 steps; test_process.py compares the tables
    theirs.alphas_cumprod = scaled_linear().alpha_bar[1:]
    schedule = scaled_linear().respaced(steps, spacing)
    assert theirs.timesteps.tolist() == schedule.timesteps[1:].flip(0).tolist()
    start = torch.randn(2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    draws = torch.randn(steps + 1, 2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    n_of = {int(t): n for n, t in enumerate(schedule.timesteps) if n}
    current = {}
    import diffusers.schedulers.scheduling_ddpm as module

    monkeypatch.setattr(module, "randn_tensor", lambda *a, **k: draws[current["n"]])

    def noises(t):
        current["n"] = n_of[int(t)]
        return {}

    expected = trajectory(theirs, start, noises)
    assert_equal(ours(schedule, start, ddpm, kind, lambda n: draws[n]), expected)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "spacing", "to_one"), [(50, "leading", True), (20, "trailing", True), (50, "leading", False)])
def test_ddim_follows_diffusers(kind, eta, steps, spacing, to_one):
    theirs = DDIMScheduler(prediction_type=KINDS[kind], timestep_spacing=spacing, set_alpha_to_one=to_one, **SD_OPTIONS)
    theirs.set_timesteps(steps)
    full = scaled_linear()
    schedule = full.respaced(steps, spacing, last_alpha_bar=1.0 if to_one else full.alpha_bar[1].item())
    start = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    draws = torch.randn(steps + 1, 2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    n_of = {int(t): n for n, t in enumerate(schedule.timesteps) if n}
    expected = trajectory(theirs, start, lambda t: {"eta": eta, "variance_noise": draws[n_of[int(t)]] if eta else None})
    assert_equal(ours(schedule, start, ddim(eta), kind, lambda n: draws[n]), expected)


def test_ddim_with_eta_one_is_ddpm():
    schedule = linear().respaced(20)
    y_n, y_0, noise = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for n in range(1, 21):
        assert torch.allclose(ddim(1.0)(schedule, y_n, y_0, n, noise), ddpm(schedule, y_n, y_0, n, noise), atol=1e-9)


@pytest.mark.parametrize("step", [ddpm, ddim(), ddim(0.7)], ids=["ddpm", "ddim", "ddim-0.7"])
@pytest.mark.parametrize("make", [scaled_linear, linear, cosine])
def test_samples_of_a_gaussian_have_its_mean_and_variance(make, step):
    """For a Gaussian signal the best prediction is known in closed form, so a right sampler gives back mean and variance."""
    mean, deviation = 1.5, 0.4
    schedule = make()
    schedule = schedule.respaced(200)
    generator = torch.Generator().manual_seed(0)
    a = schedule.alpha_bar

    def predict(y_n, n):
        gain = a[n].sqrt() * deviation**2 / (a[n] * deviation**2 + 1 - a[n])
        return mean + gain * (y_n - a[n].sqrt() * mean)

    count = 20_000
    y_n = a[-1].sqrt() * mean + (a[-1] * deviation**2 + 1 - a[-1]).sqrt() * torch.randn(count, dtype=torch.float64, generator=generator)
    out = sample(predict, y_n, schedule, step, lambda n: torch.randn(count, dtype=torch.float64, generator=generator))
    assert out.mean().item() == pytest.approx(mean, abs=5 * deviation / count**0.5 + 2e-3)
    # posterior sampling with the mean alone loses a little variance at each step; 200 steps keep it within 4 %
    assert out.std().item() == pytest.approx(deviation, rel=0.04)


def test_a_partial_start_gives_back_a_signal_near_the_one_it_started_from():
    schedule = scaled_linear().respaced(50).until(10)
    y_0 = torch.linspace(-1, 1, 1000, dtype=torch.float64)
    eps = torch.randn(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y_n = schedule.alpha_bar[-1].sqrt() * y_0 + (1 - schedule.alpha_bar[-1]).sqrt() * eps
    assert torch.allclose(sample(lambda y_n, n: y_0, y_n, schedule, ddim()), y_0, atol=1e-9)
