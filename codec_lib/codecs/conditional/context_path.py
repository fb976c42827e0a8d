"""The two-step prior that looks at the temporal context, as encoders and decoders run it: floats, rounded at the very end.

Its streams decode only where every rounding comes out the same, so they are marked as not portable.
"""

from __future__ import annotations

from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.entropy_path import TwoStepPath
from codec_lib.codecs.conditional.fused_path import FusedEntropy, plain
from codec_lib.codecs.conditional.state import Earlier
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.two_step import FloatTwoSteps
from codec_lib.layers.blocks import relative


class ContextEntropy(TwoStepPath, FloatTwoSteps):
    """A trained `TemporalEntropyModel` as it is."""

    def features(self, z_hat: Tensor, earlier: Earlier, nodes: Tensor, quality: int, context: Tensor) -> Tensor:
        """context: the coarsest one. The rest as in `IntegerEntropy`. Returns real values (N, f, h, w)."""
        u, u_ref = (relative(q, self.config).to(z_hat.device) for q in (quality, earlier.quality))
        expected = None if earlier.features is None else plain(earlier.features)
        return self.model.features(plain(z_hat), plain(earlier.y16 / UNIT), expected, nodes, u, u_ref, False, context)

    def latents(self, y16: Tensor) -> Tensor:
        return plain(super().latents(y16))


def float_path(config: ConditionalConfig, model: nn.Module) -> ContextEntropy | FusedEntropy:
    """The path of an entropy model that looks at the temporal context."""
    return FusedEntropy(model) if config.spatial_prior == "quadtree" else ContextEntropy(config, model)
