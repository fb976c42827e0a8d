"""The two-step prior that looks at the temporal context, as encoders and decoders run it: floats, rounded at the very end.

Its streams decode only where every rounding comes out the same, so they are marked as not portable.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.entropy_path import TwoStepPath, relative
from codec_lib.codecs.conditional.fused_path import FusedEntropy, plain
from codec_lib.codecs.conditional.prior import TemporalEntropyModel
from codec_lib.codecs.conditional.state import Earlier
from codec_lib.entropy.density import N_CLASSES
from codec_lib.entropy.integer import FRAC, LIMIT, set_quantise
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.two_step import compand, float_head


class ContextEntropy(TwoStepPath, nn.Module):
    """A trained `TemporalEntropyModel` as it is."""

    portable = False

    def __init__(self, config: ConditionalConfig, model: TemporalEntropyModel):
        super().__init__()
        self.config, self.model = config, model
        set_quantise(model, False)

    def z_classes(self, quality: int) -> Tensor:
        position = self.model.z_position(relative(quality, self.config).to(self.model.quality.device))
        return position.flatten().round().clamp(0, N_CLASSES - 1)

    def features(self, z_hat: Tensor, earlier: Earlier, nodes: Tensor, quality: int, context: Tensor) -> Tensor:
        """context: the coarsest one. The rest as in `IntegerEntropy`. Returns real values (N, f, h, w)."""
        u, u_ref = (relative(q, self.config).to(z_hat.device) for q in (quality, earlier.quality))
        expected = None if earlier.features is None else plain(earlier.features)
        return self.model.features(plain(z_hat), plain(earlier.y16 / UNIT), expected, nodes, u, u_ref, False, context)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return float_head(self.model.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        seen = compand(plain(y16 / UNIT)).clamp(-LIMIT / 2**FRAC, LIMIT / 2**FRAC)
        return float_head(self.model.prior_2(torch.cat([features, seen], dim=1)))

    def check(self) -> None:
        """Nothing can be promised for floats."""


def float_path(config: ConditionalConfig, model: nn.Module) -> ContextEntropy | FusedEntropy:
    """The path of an entropy model that looks at the temporal context."""
    return FusedEntropy(model) if config.spatial_prior == "quadtree" else ContextEntropy(config, model)
