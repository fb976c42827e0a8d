"""Noise schedules: how much signal is left after n steps of noise.

Steps are counted as in the papers: n = 0 is the clean signal, n = N the noisiest state. A network trained on T = 1000
steps is told a *timestep* in 0 ... T - 1; a schedule that keeps N of the T steps remembers which. So a respaced schedule
is a schedule like any other, and samplers need not know about respacing.

Sources: Ho et al. 2020 (linear), Nichol and Dhariwal 2021 (cosine; respacing), Stable Diffusion 2.1's configuration
(scaled linear).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from codec_lib.errors import UsageError

TRAIN_STEPS = 1000
SPACINGS = ("leading", "trailing", "linspace")


@dataclass(frozen=True, eq=False)
class Schedule:
    """Signal levels of N steps.

    alpha_bar: float64 (N + 1,), share of the signal's variance left after n steps; alpha_bar[0] is that of the state that
        a sampler ends in, 1 for a clean one; never rising.
    timesteps: int64 (N + 1,), what the network is told at step n; timesteps[0] is -1 and never used.
    """

    alpha_bar: Tensor
    timesteps: Tensor

    def __post_init__(self):
        if self.alpha_bar.ndim != 1 or len(self.alpha_bar) < 2 or self.alpha_bar.shape != self.timesteps.shape:
            raise UsageError("a schedule needs alpha_bar and timesteps of one length, at least 2")
        if not (self.alpha_bar.diff() <= 0).all() or self.alpha_bar[0] > 1 or self.alpha_bar[-1] < 0:
            raise UsageError("alpha_bar must not rise, nor leave 0 to 1")

    def __len__(self) -> int:
        """Number of steps N."""
        return len(self.alpha_bar) - 1

    @property
    def alpha(self) -> Tensor:
        """alpha_n = alpha_bar_n / alpha_bar_{n-1}, (N + 1,) with alpha[0] = 1."""
        ratio = self.alpha_bar[1:] / self.alpha_bar[:-1]
        return torch.cat([torch.ones(1, dtype=ratio.dtype), ratio])

    @property
    def beta(self) -> Tensor:
        """beta_n = 1 - alpha_n: variance of the noise that step n adds, (N + 1,) with beta[0] = 0."""
        return 1 - self.alpha

    @property
    def snr(self) -> Tensor:
        """Signal-to-noise ratio alpha_bar_n / (1 - alpha_bar_n), (N + 1,); infinite where there is no noise."""
        return self.alpha_bar / (1 - self.alpha_bar)

    def respaced(self, steps: int, spacing: str = "leading", offset: int = 0, last_alpha_bar: float = 1.0) -> Schedule:
        """Keep ``steps`` of the N steps.

        spacing: which ones. With ratio r = N // steps, counted in timesteps: "leading" keeps 0, r, 2r, ... plus
            ``offset``; "trailing" keeps N - 1 and every N / steps below; "linspace" spreads them from 0 to N - 1.
        last_alpha_bar: level of the state after the last step (diffusers' ``set_alpha_to_one=False`` is alpha_bar[1]).
        """
        n = len(self)
        if not 1 <= steps <= n:
            raise UsageError(f"{steps} steps cannot be kept of {n}")
        if spacing == "leading":
            kept = torch.arange(steps) * (n // steps) + offset
        elif spacing == "trailing":
            kept = torch.tensor([round(n - i * n / steps) - 1 for i in range(steps)]).flip(0)
        elif spacing == "linspace":
            kept = torch.linspace(0, n - 1, steps, dtype=torch.float64).round().long()
        else:
            raise UsageError(f"unknown spacing '{spacing}': choose from {', '.join(SPACINGS)}")
        if kept[-1] >= n:
            raise UsageError(f"offset {offset} moves the last of {steps} kept steps beyond {n - 1}")
        first = torch.tensor([last_alpha_bar], dtype=self.alpha_bar.dtype)
        return Schedule(torch.cat([first, self.alpha_bar[kept + 1]]),
                        torch.cat([torch.tensor([-1]), self.timesteps[kept + 1]]))

    def until(self, n: int) -> Schedule:
        """The first n steps only: for sampling that starts from a partly noised signal."""
        if not 1 <= n <= len(self):
            raise UsageError(f"step {n} is outside 1 ... {len(self)}")
        return Schedule(self.alpha_bar[: n + 1], self.timesteps[: n + 1])


def from_betas(beta: Tensor) -> Schedule:
    """Schedule of the noise variances beta_1 ... beta_N, float64 (N,): alpha_bar_n = prod_{i <= n} (1 - beta_i)."""
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - beta.double(), 0)])
    return Schedule(alpha_bar, torch.arange(-1, len(beta)))


def scaled_linear(steps: int = TRAIN_STEPS, first: float = 0.00085, last: float = 0.012) -> Schedule:
    """Square roots of beta evenly spaced; the defaults are Stable Diffusion's, 2.1 included."""
    return from_betas(torch.linspace(math.sqrt(first), math.sqrt(last), steps, dtype=torch.float64) ** 2)


def linear(steps: int = TRAIN_STEPS, first: float = 1e-4, last: float = 0.02) -> Schedule:
    """beta evenly spaced (Ho et al. 2020, section 4)."""
    return from_betas(torch.linspace(first, last, steps, dtype=torch.float64))


def cosine(steps: int = TRAIN_STEPS, s: float = 0.008, largest_beta: float = 0.999) -> Schedule:
    """alpha_bar_n proportional to cos^2((n / N + s) / (1 + s) pi / 2), beta bounded (Nichol and Dhariwal 2021, eq. 17)."""
    n = torch.arange(steps + 1, dtype=torch.float64)
    f = torch.cos((n / steps + s) / (1 + s) * math.pi / 2) ** 2
    return from_betas((1 - f[1:] / f[:-1]).clamp(max=largest_beta))
