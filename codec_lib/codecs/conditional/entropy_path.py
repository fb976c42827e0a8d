"""The probability path of P frames as encoders and decoders run it: symbols in, integers out.

`IntegerEntropy` is what ships; `FloatEntropy` is its float twin, kept to measure what integers cost. Both answer to

    z_classes(quality)                     scale class of each hyper-latent channel
    features(z_hat, earlier, nodes, ...)   what hyper-latents, the frame before and motion say
    step_1(features), step_2(features, y16)   what two-step coding asks for

as do, for priors that look at floats, `context_path` and `fused_path`.
All tensors are integers carried in float32, except the features of the float twin.
"""

from __future__ import annotations

import torch
from torch import Tensor

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context import STEP_ANCHORS, STEP_RANGE
from codec_lib.codecs.conditional.prior import TemporalEntropyModel, shift_cells, unevenness
from codec_lib.codecs.conditional.state import Earlier as Earlier
from codec_lib.entropy.density import N_CLASSES
from codec_lib.entropy.integer import FRAC, LIMIT, set_exact
from codec_lib.entropy.two_step import IntegerTwoSteps, TwoSteps
from codec_lib.errors import UsageError
from codec_lib.layers.blocks import interpolate_anchors


class TwoStepPath(TwoSteps):
    """What the forms of the two-step prior have in common: hyper-latents have scale classes, and latents come in steps of 1."""

    z_tables = None

    def quant_step(self, features: Tensor) -> float:
        return 1.0


class IntegerEntropy(TwoStepPath, IntegerTwoSteps):
    """Integers only; identical on every machine. Made from a trained `TemporalEntropyModel`, or empty for loading.

    Raises UsageError for a configuration whose prior looks at floats.
    """

    def __init__(self, config: ConditionalConfig, trained: TemporalEntropyModel | None = None):
        if not config.portable:
            raise UsageError("this prior looks at the temporal context, in floats: it has no integer form")
        source = trained or TemporalEntropyModel(config)
        super().__init__(source, ("h_s", "temporal", "temporal_i", "prior_1", "prior_2"))
        last = config.n_qualities - 1
        with torch.no_grad():
            u = torch.arange(last + 1) / last
            steps = torch.arange(-last, last + 1) / last
            offset, step = source.quality_offset(u), source.step_offset(steps)
            z_class = 8 * interpolate_anchors(source.z_class, u)
        self.register_buffer("quality_offset", _on_grid(offset))  # (Q, f)
        self.register_buffer("step_offset", _on_grid(step))  # (2 Q - 1, f)
        self.register_buffer("z_class_table", (z_class + 0.5).floor().clamp(0, N_CLASSES - 1))  # (Q, C_z)

    def z_classes(self, quality: int) -> Tensor:
        return self.z_class_table[quality]

    def features(self, z_hat: Tensor, earlier: Earlier, nodes: Tensor, quality: int, context: Tensor | None = None) -> Tensor:
        """z_hat: integers (N, C_z, h/4, w/4); nodes: integers (N, 2, 2h + 1, 2w + 1). Returns integers (N, f, h, w). No context
        is looked at."""
        seen = self.companded(shift_cells(earlier.y16, nodes))
        seen = torch.cat([seen, unevenness(nodes)], dim=1)
        if earlier.features is None:
            before = self.temporal_i(seen)
        else:
            before = self.temporal(torch.cat([seen, shift_cells(earlier.features, nodes)], dim=1))
        step = quality - earlier.quality + (len(self.step_offset) - 1) // 2
        offset = self.quality_offset[quality] + self.step_offset[step]
        return (self.h_s(z_hat) + before + offset[:, None, None]).clamp(-LIMIT, LIMIT)

    @torch.no_grad()
    def trainable(self, config: ConditionalConfig) -> TemporalEntropyModel:
        """A model to go on training with: the shipped integers as real weights, tables read at their anchors."""
        model, last = TemporalEntropyModel(config), config.n_qualities - 1
        self.give(model)
        anchors = torch.linspace(0, last, config.anchors).round().long()
        steps = (last + last * STEP_RANGE * torch.linspace(-1, 1, STEP_ANCHORS)).round().long()
        model.quality.copy_(self.quality_offset[anchors] / 2**FRAC)
        model.quality_step.copy_(self.step_offset[steps] / 2**FRAC)
        model.z_class.copy_(self.z_class_table[anchors] / 8)
        return model


def _on_grid(offset: Tensor) -> Tensor:
    """Real values to integers of the hidden grid."""
    return ((offset.clamp(-LIMIT / 2**FRAC, LIMIT / 2**FRAC) * 2**FRAC) + 0.5).floor()


class FloatEntropy(IntegerEntropy):
    """The float twin: the same weights, nothing rounded between layers, outputs rounded at the very end.

    Its streams decode only where every rounding comes out the same, so they are marked as not portable.
    """

    portable = False

    def __init__(self, config: ConditionalConfig, trained: TemporalEntropyModel | None = None):
        super().__init__(config, trained)
        set_exact(self, False)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale_class = super().step_1(features)
        return mean.round(), scale_class

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        mean, scale_class = super().step_2(features, y16)
        return mean.round(), scale_class

    def check(self) -> None:
        """Nothing can be promised for floats."""
