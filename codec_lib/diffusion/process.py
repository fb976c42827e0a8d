"""The Gaussian process behind diffusion: adding noise, and what is known about the state before.

All functions take a `Schedule` and a step n: an int, or an int64 tensor (N,) with one step for each sample of a batch.
States and signals are tensors (N, ...) of any shape after the first dimension.

Source: Ho et al. 2020, eqs. 4 to 7; velocity: Salimans and Ho 2022, section 4. In the symbols of the book: y_0 is the
clean signal, y_n the state after n steps, eps the noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from codec_lib.diffusion.schedule import Schedule
from codec_lib.errors import UsageError

PREDICTIONS = ("noise", "data", "velocity")


def level(values: Tensor, n: int | Tensor, like: Tensor) -> Tensor:
    """values[n] in the type of ``like``, shaped so that it multiplies ``like`` (N, ...)."""
    picked = values.to(like.device)[n].to(like.dtype)
    return picked.reshape(-1, *[1] * (like.ndim - 1)) if picked.ndim else picked


def signal_and_noise(schedule: Schedule, n: int | Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar_n) and sqrt(1 - alpha_bar_n)."""
    return (level(schedule.alpha_bar.sqrt(), n, like), level((1 - schedule.alpha_bar).sqrt(), n, like))


def add_noise(schedule: Schedule, y_0: Tensor, eps: Tensor, n: int | Tensor) -> Tensor:
    """y_n = sqrt(alpha_bar_n) y_0 + sqrt(1 - alpha_bar_n) eps: n steps of noise at once."""
    a, s = signal_and_noise(schedule, n, y_0)
    return a * y_0 + s * eps


def noise_step(schedule: Schedule, y_before: Tensor, eps: Tensor, n: int | Tensor) -> Tensor:
    """y_n = sqrt(1 - beta_n) y_{n-1} + sqrt(beta_n) eps: one step of noise, from the state before it."""
    return level(schedule.alpha.sqrt(), n, y_before) * y_before + level(schedule.beta.sqrt(), n, y_before) * eps


def posterior_coefficients(schedule: Schedule) -> tuple[Tensor, Tensor, Tensor]:
    """a_n, b_n and sigma_n of q(y_{n-1} | y_n, y_0) = N(a_n y_0 + b_n y_n, sigma_n^2), each float64 (N + 1,).

    a_n = sqrt(alpha_bar_{n-1}) beta_n / (1 - alpha_bar_n), b_n = sqrt(alpha_n) (1 - alpha_bar_{n-1}) / (1 - alpha_bar_n),
    sigma_n^2 = beta_n (1 - alpha_bar_{n-1}) / (1 - alpha_bar_n). Entry 0 stands for no step and is (1, 0, 0).
    """
    before, now = schedule.alpha_bar[:-1], schedule.alpha_bar[1:]
    beta, alpha = schedule.beta[1:], schedule.alpha[1:]
    a = before.sqrt() * beta / (1 - now)
    b = alpha.sqrt() * (1 - before) / (1 - now)
    sigma = (beta * (1 - before) / (1 - now)).sqrt()
    start = torch.zeros(1, dtype=a.dtype)
    return torch.cat([start + 1, a]), torch.cat([start, b]), torch.cat([start, sigma])


def posterior_mean(schedule: Schedule, y_0: Tensor, y_n: Tensor, n: int | Tensor) -> Tensor:
    """Mean of y_{n-1} given y_n and the clean signal."""
    a, b, _ = posterior_coefficients(schedule)
    return level(a, n, y_n) * y_0 + level(b, n, y_n) * y_n


def target(schedule: Schedule, y_0: Tensor, eps: Tensor, n: int | Tensor, prediction: str) -> Tensor:
    """What a network that predicts "noise", "data" or "velocity" = sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) y_0 learns."""
    a, s = signal_and_noise(schedule, n, y_0)
    return _choose(prediction, eps, y_0, lambda: a * eps - s * y_0)


def to_data(schedule: Schedule, y_n: Tensor, output: Tensor, n: int | Tensor, prediction: str) -> Tensor:
    """The clean signal that a network's output stands for."""
    a, s = signal_and_noise(schedule, n, y_n)
    if prediction == "noise":
        return (y_n - s * output) / a
    return _choose(prediction, None, output, lambda: a * y_n - s * output)


def to_noise(schedule: Schedule, y_n: Tensor, output: Tensor, n: int | Tensor, prediction: str) -> Tensor:
    """The noise that a network's output stands for."""
    a, s = signal_and_noise(schedule, n, y_n)
    if prediction == "data":
        return (y_n - a * output) / s
    return _choose(prediction, output, None, lambda: a * output + s * y_n)


def _choose(prediction: str, noise, data, velocity):
    if prediction not in PREDICTIONS:
        raise UsageError(f"unknown prediction '{prediction}': choose from {', '.join(PREDICTIONS)}")
    return {"noise": lambda: noise, "data": lambda: data, "velocity": velocity}[prediction]()
