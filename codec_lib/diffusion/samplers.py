"""Samplers: from a noisy state back to a signal, one step at a time.

Every sampler is one function of one signature: what the next state is, given the state and the predicted clean signal.

    step(schedule, y_n, y0_pred, n, noise) -> y_{n-1}

and `sample` runs any of them. `ddpm` draws from the posterior (Ho et al. 2020, algorithm 2), `ddim(eta)` follows Song et
al. 2021, eq. 12: eta = 0 draws nothing, eta = 1 is DDPM's variance.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from codec_lib.diffusion.process import level, posterior_coefficients, signal_and_noise, to_noise
from codec_lib.diffusion.schedule import Schedule

Step = Callable[[Schedule, Tensor, Tensor, int, Tensor | None], Tensor]
Predict = Callable[[Tensor, int], Tensor]
"""predict(y_n, n): the clean signal that a network sees in the state y_n of step n."""
Noise = Callable[[int], Tensor]
"""noise(n): the standard normal noise that step n may use; the same each time it is asked."""


def ddpm(schedule: Schedule, y_n: Tensor, y0_pred: Tensor, n: int, noise: Tensor | None) -> Tensor:
    """y_{n-1} = a_n y0_pred + b_n y_n + sigma_n noise. The step to a clean signal adds none, and noise may be None there."""
    a, b, sigma = posterior_coefficients(schedule)
    mean = level(a, n, y_n) * y0_pred + level(b, n, y_n) * y_n
    return mean if sigma[n] == 0 else mean + level(sigma, n, y_n) * noise


def ddim(eta: float = 0.0) -> Step:
    """The DDIM step: keep the direction of the noise, and replace a share of it, sigma = eta sigma_n, by a new draw.

    y_{n-1} = sqrt(alpha_bar_{n-1}) y0_pred + sqrt(1 - alpha_bar_{n-1} - sigma^2) eps + sigma noise.
    """

    def step(schedule: Schedule, y_n: Tensor, y0_pred: Tensor, n: int, noise: Tensor | None) -> Tensor:
        eps = to_noise(schedule, y_n, y0_pred, n, "data")
        sigma = eta * posterior_coefficients(schedule)[2]
        direction = (1 - schedule.alpha_bar.roll(1) - sigma**2).clamp(min=0).sqrt()  # entry n: of the state n - 1
        signal, _ = signal_and_noise(schedule, n - 1, y_n)
        ahead = signal * y0_pred + level(direction, n, y_n) * eps
        return ahead if sigma[n] == 0 else ahead + level(sigma, n, y_n) * noise

    return step


def sample(predict: Predict, y_n: Tensor, schedule: Schedule, step: Step = ddpm, noise: Noise | None = None,
           watch: Callable[[int, Tensor, Tensor], None] | None = None) -> Tensor:
    """Run all steps of ``schedule`` from its noisiest state; to start lower, give ``schedule.until(n)``.

    noise: needed by samplers that draw. watch: called as watch(n, y0_pred, y_{n-1}) after each step.
    Returns the state after the last step, which is the signal where alpha_bar[0] is 1.
    """
    for n in range(len(schedule), 0, -1):
        y0_pred = predict(y_n, n)
        y_n = step(schedule, y_n, y0_pred, n, noise(n) if noise else None)
        if watch:
            watch(n, y0_pred, y_n)
    return y_n
