"""Sizes of DiffVC: the contextual codec is the `conditional` codec's classes, put to work on latents of an autoencoder; those of
the image prior, and so of the ControlNet, come with the prior's own weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from torch import Tensor

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.profiles import INTRA_PROFILE
from codec_lib.codecs.conditional.profiles import PAPER as DCVC_DC
from codec_lib.errors import UsageError

ERROR_OF_LATENTS = 5800.0
"""What a squared error of one in the lab autoencoder's latents comes to in pixels: squared error on the 0..255 scale, mean over R, G
and B, summed over the frame. Its decoder is nearly linear: noise of 0.05 to 0.5 gave 5770 to 5880 on three clips."""


@dataclass(frozen=True)
class LatentConfig(ConditionalConfig):
    """Defaults are the lab profile: latents of 16 channels at 1/8, contexts at 1/8 and 1/16, symbols at 1/16.

    The rate-distortion trade is bpp + lambda * squared error of latents, summed over channels and positions, a pixel. It ends where
    the autoencoder shows little of what more bits would say.
    """

    coding: str = "difference"
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
    lambda_low: float = 0.25
    lambda_high: float = 16.0

    def step(self, lam: float) -> float:
        """Best quantiser step at high rate: of s^2 / 12 squared error and -log2 s bits a coefficient, s^2 = 6 / (lambda ln 2)."""
        return math.sqrt(6 / (math.log(2) * lam))

    def pixel_lambdas(self, u: Tensor) -> Tensor:
        """See `ConditionalConfig.pixel_lambdas`. An error that is small beside a latent comes out of the autoencoder enlarged."""
        return self.lambdas(u) / ERROR_OF_LATENTS


PROFILES = {
    "lab": LatentConfig(),
    "paper": LatentConfig(**asdict(DCVC_DC) | {
        "signal_channels": 4, "signal_stride": 8, "latent_stride": 32,
        "lambda_low": LatentConfig.lambda_low, "lambda_high": LatentConfig.lambda_high}),
}
"""Sizes of the contextual codec, which is trained for squared error.

`paper`: DCVC-DC's networks with Stable Diffusion's latents (4 channels at 1/8) in place of frames, so that contexts C0, C1, C2 lie
at 1/8, 1/16 and 1/32; symbols at 1/32, where a cell holds 64 numbers of the latent, and motion as a learned flow, found in
pixels. What DiffVC changed of DCVC-DC's widths and strides is not known: this is the reading with fewest changes,
and its widths and strides are fields."""
WEIGHTS = {"mse": "lab"}
"""The size, and weights, of a profile that has none of its own. In `mse` nothing is trained for LPIPS but the generator: its I frames are
those of least squared error. So its plain pictures are DiffVC's backbone before anyone has thought of viewers."""
INTRA = {"lab": "perceptual", "mse": INTRA_PROFILE, "paper": INTRA_PROFILE}
"""Profile of the `intra` codec that codes the I frames. The contextual codec was trained with those of `INTRA_PROFILE`."""
STEPS = {"lab": 10}
"""Steps N in which a size draws if nothing is said, where they are not the paper's fifty. On P frames of two dev clips (parkour, coffee;
8 frames) at qualities 12 and 36, half of the steps reused, what is drawn in ten has 1 to 12 % less LPIPS than in fifty, and what is shown,
blended with the I frame, 0.8 % less to 1.0 % more; ten are a fifth of the calls."""
LOOP = "-loop"
"""What is added to a profile's name where the generator stands inside the coding loop."""


def resolve(profile: str) -> tuple[str, str, bool]:
    """Size of a profile, a key of `PROFILES`; profile of its I frames; and whether the generator is in the loop. Raises UsageError for a
    profile that does not exist."""
    name = profile.removesuffix(LOOP)
    if name not in INTRA:
        raise UsageError(f"diffvc has no profile '{profile}': choose from {', '.join(INTRA)}, with {LOOP} added for the generator in "
                         "the coding loop")
    return WEIGHTS.get(name, name), INTRA[name], name != profile


def require_size(profile: str) -> str:
    """The profile again, if it can be trained. Raises UsageError for one that does not exist or has no weights of its own."""
    size = resolve(profile)[0]
    if size != profile:
        raise UsageError(f"profile {profile} has the weights of {size}: train that")
    return size
