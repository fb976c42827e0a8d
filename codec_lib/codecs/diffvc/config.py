"""Sizes of DiffVC's contextual codec: the `conditional` codec's classes, put to work on latents of an autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass

from codec_lib.codecs.conditional.config import ConditionalConfig


@dataclass(frozen=True)
class LatentConfig(ConditionalConfig):
    """Defaults are the lab profile: latents of 16 channels at 1/8, contexts at 1/8 and 1/16, symbols at 1/16.

    The rate-distortion trade is bpp + lambda * squared error of latents, summed over channels and positions, a pixel.
    """

    signal_channels: int = 16
    signal_stride: int = 8
    fold: int = 1
    widths: tuple[int, ...] = (192, 256)
    context_blocks: tuple[int, ...] = (3, 3)
    analysis_blocks: tuple[int, ...] = (3, 3)
    synthesis_blocks: tuple[int, ...] = (4, 3)
    context_kinds: tuple[str, ...] = ("bottleneck",) * 2
    analysis_kinds: tuple[str, ...] = ("bottleneck",) * 2
    synthesis_kinds: tuple[str, ...] = ("bottleneck",) * 2
    analysis_merges: tuple[str, ...] = ("1x1",) * 2
    synthesis_merges: tuple[str, ...] = ("1x1",) * 2
    y_channels: int = 64  # as many as the latents of a cell have numbers
    z_channels: int = 32
    hyper_width: int = 96
    prior_features: int = 160
    prior_width: int = 224
    lambda_low: float = 0.5
    lambda_high: float = 50.0

    def step(self, lam: float) -> float:
        """Best quantiser step at high rate: of s^2 / 12 squared error and -log2 s bits a coefficient, s^2 = 6 / (lambda ln 2)."""
        return math.sqrt(6 / (math.log(2) * lam))
