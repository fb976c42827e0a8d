"""Sizes of the `conditional` codec."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from codec_lib.errors import UsageError

CODINGS = ("both", "conditional", "residual")
BLOCK = 16
"""Side of the blocks of the linear transforms: the stride of y."""


@dataclass(frozen=True)
class ConditionalConfig:
    """Sizes of the P-frame networks. Defaults are the lab profile."""

    coding: str = "both"
    """What the prediction is used for. "residual": it is subtracted before coding and added after, and the codec sees the
    difference only. "conditional": nothing is subtracted, the networks get contexts. "both": contexts, and the linear
    part of the transforms works on the difference (conditional residual coding, Brand et al. 2023)."""
    widths: tuple[int, int, int] = (96, 160, 224)  # channels at 1/4, 1/8, 1/16 of the frame
    context_blocks: tuple[int, int, int] = (2, 2, 1)  # residual bottlenecks at each of these scales
    analysis_blocks: tuple[int, int, int] = (2, 2, 2)
    synthesis_blocks: tuple[int, int, int] = (4, 3, 3)
    feature_channels: int = 64  # feature handed to the next frame, at 1/4
    y_channels: int = 384  # latents, at 1/16
    z_channels: int = 64  # hyper-latents, at 1/64
    hyper_width: int = 128
    prior_features: int = 192  # what both prior steps read
    prior_width: int = 256
    intra_channels: int = 384  # latents of the I-frame codec, which the first P frame's prior looks at
    n_qualities: int = 64
    anchors: int = 8
    lambda_low: float = 0.0006
    lambda_high: float = 0.2

    def __post_init__(self):
        if self.coding not in CODINGS:
            raise UsageError(f"coding '{self.coding}' does not exist: choose from {', '.join(CODINGS)}")

    def step(self, lam: float) -> float:
        """Best quantiser step at high rate, as in `IntraConfig.step`."""
        return math.sqrt(18 / (math.log(2) * lam * 255**2))

    def lambdas(self, u: Tensor) -> Tensor:
        """Rate-distortion trade at relative quality u, log-spaced."""
        return self.lambda_low * (self.lambda_high / self.lambda_low) ** u


PROFILES = {"lab": ConditionalConfig()}


def profile_config(profile: str) -> ConditionalConfig:
    """Sizes of a profile. Raises UsageError for one that does not exist."""
    if profile not in PROFILES:
        raise UsageError(f"conditional has no profile '{profile}': choose from {', '.join(PROFILES)}")
    return PROFILES[profile]
