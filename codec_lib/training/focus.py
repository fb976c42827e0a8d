"""Sequences that are out of focus: what lies behind a near thing is smooth, and photographs for training are sharp all over.

A generator that has seen little smooth ground draws faint patterns on it, which nobody would miss and everybody sees.
"""

from __future__ import annotations

import math
import random

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

LEAST, MOST = 1.0, 6.0
"""Standard deviation of the blur in pixels."""
WHOLE = 0.5
"""Share of the sequences that are blurred all over; in the others the blur sets in along a line."""


def out_of_focus(frames: Tensor, rng: random.Random) -> Tensor:
    """Blur frames, uint8 (T, 3, H, W), as far as ``rng`` says, the same in all of them: same shape and type. Motion stays what it was."""
    sigma = math.exp(rng.uniform(math.log(LEAST), math.log(MOST)))
    x = frames.float()
    blurred = torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror"))
    return (x + _where(*frames.shape[-2:], rng) * (blurred - x)).round().clamp(0, 255).to(torch.uint8)


def _where(height: int, width: int, rng: random.Random) -> Tensor:
    """How much is blurred, 0 to 1: (H, W)."""
    if rng.random() < WHOLE:
        return torch.ones(height, width)
    angle, middle, ramp = rng.uniform(0, 2 * math.pi), rng.uniform(-0.25, 0.25), rng.uniform(0.1, 0.5)
    y, x = torch.meshgrid(torch.linspace(-0.5, 0.5, height), torch.linspace(-0.5, 0.5, width), indexing="ij")
    return ((x * math.cos(angle) + y * math.sin(angle) - middle) / ramp + 0.5).clamp(0, 1)
