"""The probability of a symbol: a Gaussian of known mean and scale, integrated over the symbol's unit bin.

Training needs it as a smooth function of mean and scale; coding needs it as one of a few shipped integer tables. The
two meet in the *scale classes*: log-spaced standard deviations, one table each (determinism.md's third point).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

N_CLASSES = 64
SIGMA_MIN, SIGMA_MAX = 0.11, 100.0
"""0.11 is the floor of Minnen et al. 2018 and of HEM, below which a zero costs nothing anyway."""
CLASS_STEP = math.log(SIGMA_MAX / SIGMA_MIN) / (N_CLASSES - 1)
"""Neighbouring classes differ by a factor exp(CLASS_STEP), about 1.114: a scale half a class off costs < 0.2 % bits."""
MEAN_FRAC = 4
"""Means are multiples of 1/16."""


def class_sigmas() -> Tensor:
    """Standard deviation of each scale class, float64 (64,), ascending from SIGMA_MIN to SIGMA_MAX."""
    return SIGMA_MIN * torch.exp(torch.arange(N_CLASSES, dtype=torch.float64) * CLASS_STEP)


def sigma_of(position: Tensor) -> Tensor:
    """Standard deviation at a real class position in [0, 63]: what training uses in place of a class index."""
    return SIGMA_MIN * torch.exp(position.clamp(0, N_CLASSES - 1) * CLASS_STEP)


def gaussian_bits(residual: Tensor, sigma: Tensor) -> Tensor:
    """Bits of a value ``residual`` away from the mean: -log2 of the Gaussian's mass within half a unit of it.

    residual, sigma: same shape. Evaluated in logarithms on the lower tail, so it stays exact and keeps its gradient
    however unlikely the value is.
    """
    r = residual.abs()
    upper = torch.special.log_ndtr((0.5 - r) / sigma)
    lower = torch.special.log_ndtr((-0.5 - r) / sigma)
    return -(upper + torch.log1p(-torch.exp((lower - upper).clamp_max(-1e-6)))) / math.log(2)


def laplace_bits(residual: Tensor, sigma: Tensor) -> Tensor:
    """The same for a Laplace distribution of standard deviation ``sigma``, whose scale is sigma / sqrt(2)."""
    r, scale = residual.abs(), sigma / math.sqrt(2)
    outside = (0.5 - r).clamp_max(0) / scale + torch.log(-torch.expm1(-1 / scale) / 2)
    near = r.clamp_max(0.5)  # the other branch must stay finite where it is not used: its gradient is multiplied by zero
    inside = torch.log1p(-(torch.exp((near - 0.5) / scale) + torch.exp((-near - 0.5) / scale)) / 2)
    return -torch.where(r < 0.5, inside, outside) / math.log(2)


DENSITIES = {"gaussian": gaussian_bits, "laplace": laplace_bits}
