"""The probability path of P frames as encoders and decoders run it: symbols in, integers out.

`IntegerEntropy` is what ships; `FloatEntropy` is its float twin, kept to measure what integers cost, and the only form of a
prior that looks at the temporal context. Both answer to

    z_classes(quality)                     scale class of each hyper-latent channel
    features(z_hat, earlier, nodes, ...)   what hyper-latents, the frame before and motion say
    step_1(features), step_2(features, y16)   what two-step coding asks for

as does, for the quadtree prior, `fused_path`. All tensors are integers carried in float32 except the features of the float twin.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.fused_path import FusedEntropy, plain
from codec_lib.codecs.conditional.prior import TemporalEntropyModel, shift_cells, unevenness
from codec_lib.codecs.conditional.state import Earlier as Earlier
from codec_lib.entropy.density import N_CLASSES
from codec_lib.entropy.integer import FRAC, LIMIT, export, pack, self_check, set_quantise
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.two_step import TwoSteps, compand, compand_lookup, compand_steps, float_head, integer_head
from codec_lib.errors import UsageError
from codec_lib.layers.blocks import interpolate_anchors


def relative(quality: int, config: ConditionalConfig) -> Tensor:
    """A quality as the (1,) relative position in [0, 1] that gains and tables are read at."""
    return torch.tensor([quality / (config.n_qualities - 1)], dtype=torch.float32)


class TwoStepPath(TwoSteps):
    """What both forms of the two-step prior have in common: hyper-latents have scale classes, and latents come in steps of 1."""

    z_tables = None

    def quant_step(self, features: Tensor) -> float:
        return 1.0


class IntegerEntropy(TwoStepPath, nn.Module):
    """Integers only; identical on every machine. Made from a trained `TemporalEntropyModel`, or empty for loading.

    Raises UsageError for a configuration whose prior looks at floats.
    """

    portable = True

    def __init__(self, config: ConditionalConfig, trained: TemporalEntropyModel | None = None):
        super().__init__()
        if not config.portable:
            raise UsageError("this prior looks at the temporal context, in floats: it has no integer form, use entropy 'float'")
        source = trained or TemporalEntropyModel(config)
        for name in ("h_s", "temporal", "temporal_i", "prior_1", "prior_2"):
            setattr(self, name, export(getattr(source, name)))
        last = config.n_qualities - 1
        with torch.no_grad():
            u = torch.arange(last + 1) / last
            steps = torch.arange(-last, last + 1) / last
            offset, step = source.quality_offset(u), source.step_offset(steps)
            z_class = 8 * interpolate_anchors(source.z_class, u)
        self.register_buffer("quality_offset", _on_grid(offset))  # (Q, f)
        self.register_buffer("step_offset", _on_grid(step))  # (2 Q - 1, f)
        self.register_buffer("z_class_table", (z_class + 0.5).floor().clamp(0, N_CLASSES - 1))  # (Q, C_z)
        self.register_buffer("compand_table", compand_steps())  # shipped, not recomputed at load

    def z_classes(self, quality: int) -> Tensor:
        return self.z_class_table[quality]

    def features(self, z_hat: Tensor, earlier: Earlier, nodes: Tensor, quality: int, context: Tensor | None = None) -> Tensor:
        """z_hat: integers (N, C_z, h/4, w/4); nodes: integers (N, 2, 2h + 1, 2w + 1). Returns integers (N, f, h, w). No context
        is looked at."""
        seen = compand_lookup(self.compand_table, shift_cells(earlier.y16, nodes))
        seen = torch.cat([seen, unevenness(nodes)], dim=1)
        before = (self.temporal_i if earlier.from_intra else self.temporal)(seen)
        step = quality - earlier.quality + (len(self.step_offset) - 1) // 2
        offset = self.quality_offset[quality] + self.step_offset[step]
        return (self.h_s(z_hat) + before + offset[:, None, None]).clamp(-LIMIT, LIMIT)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_2(torch.cat([features, compand_lookup(self.compand_table, y16)], dim=1)))

    def packed(self) -> dict[str, Tensor]:
        """Tensors for the checkpoint, in small integer types."""
        return pack(self.state_dict())

    def check(self) -> None:
        """Prove on this device that sums are exact. Raises InexactLayer."""
        self_check(self)


def _on_grid(offset: Tensor) -> Tensor:
    """Real values to integers of the hidden grid."""
    return ((offset.clamp(-LIMIT / 2**FRAC, LIMIT / 2**FRAC) * 2**FRAC) + 0.5).floor()


class FloatEntropy(TwoStepPath, nn.Module):
    """The float twin: same weights before rounding, ordinary arithmetic, outputs rounded at the very end.

    Its streams decode only where every rounding comes out the same, so they are marked as not portable.
    """

    portable = False

    def __init__(self, config: ConditionalConfig, model: TemporalEntropyModel):
        super().__init__()
        self.config, self.model = config, model
        set_quantise(model, False)

    def z_classes(self, quality: int) -> Tensor:
        position = self.model.z_position(relative(quality, self.config).to(self.model.quality.device))
        return position.flatten().round().clamp(0, N_CLASSES - 1)

    def features(self, z_hat: Tensor, earlier: Earlier, nodes: Tensor, quality: int, context: Tensor | None = None) -> Tensor:
        u, u_ref = (relative(q, self.config).to(z_hat.device) for q in (quality, earlier.quality))
        return self.model.features(plain(z_hat), plain(earlier.y16 / UNIT), earlier.from_intra, nodes, u, u_ref, False, context)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return float_head(self.model.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        seen = compand(plain(y16) / UNIT).clamp(-LIMIT / 2**FRAC, LIMIT / 2**FRAC)
        return float_head(self.model.prior_2(torch.cat([features, seen], dim=1)))

    def check(self) -> None:
        """Nothing can be promised for floats."""


def float_path(config: ConditionalConfig, model: nn.Module) -> FloatEntropy | FusedEntropy:
    """The path that runs an entropy model in floats."""
    return FusedEntropy(model) if config.spatial_prior == "quadtree" else FloatEntropy(config, model)


def natural_path(config: ConditionalConfig, model: nn.Module) -> IntegerEntropy | FloatEntropy | FusedEntropy:
    """The path that an entropy model was trained for: integers where it can have them."""
    return IntegerEntropy(config, model) if config.portable else float_path(config, model)
