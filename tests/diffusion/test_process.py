"""Schedules and the Gaussian process: published values, diffusers, Monte Carlo, algebra."""

import math

import pytest
import torch
from diffusers import DDPMScheduler

from codec_lib.diffusion import process, schedule
from codec_lib.diffusion.schedule import Schedule
from codec_lib.errors import UsageError

SD = schedule.scaled_linear()
SCHEDULES = {"scaled-linear": SD, "linear": schedule.linear(), "cosine": schedule.cosine()}


@pytest.mark.parametrize(("n", "alpha_bar", "signal", "noise"), [
    (101, 0.8930, 0.945, 0.327), (301, 0.5888, 0.767, 0.641), (481, 0.3023, 0.550, 0.835), (501, 0.2750, 0.524, 0.851),
    (701, 0.0819, 0.286, 0.958), (981, 0.0058, 0.076, 0.997), (999, 0.0047, 0.068, 0.998),
])
def test_stable_diffusion_values(n, alpha_bar, signal, noise):
    """The table `schedule` of data/papers/diffvc.yaml, whose steps are timesteps counted from 0."""
    at = n + 1
    assert SD.timesteps[at] == n
    assert SD.alpha_bar[at].item() == pytest.approx(alpha_bar, abs=5e-5)
    a, s = process.signal_and_noise(SD, at, torch.ones(1, dtype=torch.float64))
    assert (a.item(), s.item()) == (pytest.approx(signal, abs=5e-4), pytest.approx(noise, abs=5e-4))


@pytest.mark.parametrize(("name", "options"), [
    ("scaled-linear", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}),
    ("linear", {"beta_schedule": "linear"}),
    ("cosine", {"beta_schedule": "squaredcos_cap_v2"}),
])
def test_schedules_are_those_of_diffusers(name, options):
    theirs = DDPMScheduler(num_train_timesteps=1000, **options).alphas_cumprod
    assert torch.allclose(SCHEDULES[name].alpha_bar[1:].float(), theirs, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_of_noise_add_up_to_the_closed_form(name):
    """alpha_bar_n and 1 - alpha_bar_n by running the steps on mean and variance instead of samples."""
    s = SCHEDULES[name]
    mean = torch.cumprod(s.alpha.sqrt(), 0)
    variance = [torch.zeros((), dtype=torch.float64)]
    for n in range(1, len(s) + 1):
        variance.append(s.alpha[n] * variance[-1] + s.beta[n])
    assert torch.allclose(mean, s.alpha_bar.sqrt(), rtol=1e-9)
    assert torch.allclose(torch.stack(variance), 1 - s.alpha_bar, atol=1e-12)
    assert torch.allclose(s.snr[1:], s.alpha_bar[1:] / torch.stack(variance)[1:])
    assert s.snr[0] == math.inf


@pytest.mark.parametrize(("n", "steps"), [(1, 1000), (300, 1000), (1000, 1000), (1, 50), (25, 50), (50, 50)])
def test_posterior_by_monte_carlo(n, steps):
    """Regress y_{n-1} on y_0 and y_n over samples of the process: slopes and residual are a_n, b_n and sigma_n."""
    s = SD.respaced(steps)
    generator = torch.Generator().manual_seed(n)
    count = 400_000
    y_0, e_1, e_2 = torch.randn(3, count, dtype=torch.float64, generator=generator)
    before = process.add_noise(s, y_0, e_1, n - 1)
    y_n = process.noise_step(s, before, e_2, n)
    x = torch.stack([y_0, y_n], 1)
    slopes = torch.linalg.lstsq(x, before[:, None]).solution[:, 0]
    rest = before - x @ slopes
    a, b, sigma = (v[n] for v in process.posterior_coefficients(s))
    # standard errors of the two slopes: residual variance times the inverse of the moments
    error = (rest.var() * torch.linalg.inv(x.T @ x).diag()).sqrt() + 1e-9
    assert ((slopes - torch.stack([a, b])).abs() < 4.5 * error).all()
    assert rest.std().item() == pytest.approx(sigma.item(), rel=4.5 / math.sqrt(2 * count), abs=1e-9)
    at = process.posterior_mean(s, y_0, y_n, n)
    assert torch.allclose(at, a * y_0 + b * y_n)


@pytest.mark.parametrize("kind", process.PREDICTIONS)
def test_predictions_convert_into_each_other(kind):
    generator = torch.Generator().manual_seed(0)
    y_0, eps = torch.randn(2, 4, 3, 5, dtype=torch.float64, generator=generator)
    n = torch.tensor([1, 250, 700, 1000])
    y_n = process.add_noise(SD, y_0, eps, n)
    output = process.target(SD, y_0, eps, n, kind)
    assert torch.allclose(process.to_data(SD, y_n, output, n, kind), y_0, atol=1e-9)
    assert torch.allclose(process.to_noise(SD, y_n, output, n, kind), eps, atol=1e-9)


def test_velocity_is_that_of_diffusers():
    theirs = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    y_0, eps = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    n = torch.tensor([1, 500, 1000])
    assert torch.allclose(process.target(SD, y_0, eps, n, "velocity"), theirs.get_velocity(y_0, eps, n - 1), atol=1e-5)
    assert torch.allclose(process.add_noise(SD, y_0, eps, n), theirs.add_noise(y_0, eps, n - 1), atol=1e-5)


@pytest.mark.parametrize("spacing", schedule.SPACINGS)
def test_respacing_keeps_levels_and_steps(spacing):
    kept = SD.respaced(50, spacing)
    assert len(kept) == 50 and kept.alpha_bar[0] == 1
    assert torch.equal(kept.alpha_bar[1:], SD.alpha_bar[kept.timesteps[1:] + 1])
    assert torch.equal(SD.respaced(1000, spacing).alpha_bar, SD.alpha_bar)
    assert torch.equal(kept.until(20).alpha_bar, kept.alpha_bar[:21])


@pytest.mark.parametrize(("make", "says"), [
    (lambda: SD.respaced(0), "0 steps"), (lambda: SD.respaced(1001), "1001 steps"),
    (lambda: SD.respaced(50, "random"), "unknown spacing 'random'"), (lambda: SD.respaced(50, offset=30), "offset 30"),
    (lambda: SD.until(0), "outside 1"), (lambda: Schedule(torch.tensor([0.5, 1.0]), torch.tensor([-1, 0])), "must not rise"),
    (lambda: process.to_data(SD, torch.ones(1), torch.ones(1), 3, "score"), "unknown prediction 'score'"),
])
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(UsageError, match=says):
        make()
