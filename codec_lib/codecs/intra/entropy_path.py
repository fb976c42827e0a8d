"""The probability path of the `intra` codec as encoders and decoders run it: symbols in, integers out.

Two interchangeable forms. `IntegerEntropy` is what ships; `FloatEntropy` is its float twin, kept to measure what integers
cost and to show how float streams break. Both answer to the same four questions:

    z_classes(quality)        scale class of each hyper-latent channel
    features(z_hat, quality)  what the hyper-latents say
    step_1(features)          mean (in sixteenths) and scale class of every latent, knowing z only
    step_2(features, y16)     the same, knowing the latents of step 1 (in sixteenths, zero elsewhere)

All tensors are integers carried in float32 except the features of the float twin.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.intra.model import EntropyModel, IntraConfig
from codec_lib.entropy.density import MEAN_FRAC, N_CLASSES
from codec_lib.entropy.integer import FRAC, LIMIT, QConv2d, export, pack, self_check
from codec_lib.entropy.two_step import FloatTwoSteps, TwoSteps, compand_lookup, compand_steps, integer_head
from codec_lib.layers.blocks import interpolate_anchors, relative

UNIT = 2**MEAN_FRAC


class IntegerEntropy(TwoSteps, nn.Module):
    """Integers only; identical on every machine. Made from a trained `EntropyModel`, or empty for loading."""

    portable = True

    def __init__(self, config: IntraConfig, trained: EntropyModel | None = None):
        super().__init__()
        source = trained or EntropyModel(config)
        self.h_s, self.prior_1, self.prior_2 = export(source.h_s), export(source.prior_1), export(source.prior_2)
        u = torch.linspace(0, 1, config.n_qualities)
        with torch.no_grad():
            offset = interpolate_anchors(source.quality, u).clamp(-LIMIT / UNIT, LIMIT / UNIT) * 2**FRAC
            z_class = 8 * interpolate_anchors(source.z_class, u)
        self.register_buffer("quality_offset", (offset + 0.5).floor())  # (Q, f)
        self.register_buffer("z_class_table", (z_class + 0.5).floor().clamp(0, N_CLASSES - 1))  # (Q, C_z)
        self.register_buffer("compand_table", compand_steps())  # shipped, not recomputed at load

    def z_classes(self, quality: int) -> Tensor:
        return self.z_class_table[quality]

    def features(self, z_hat: Tensor, quality: int) -> Tensor:
        """z_hat: integers in [-127, 127], (N, C_z, h, w). Returns integers (N, f, 4h, 4w)."""
        h = self.h_s(z_hat) + self.quality_offset[quality][:, None, None]
        return h.clamp(-LIMIT, LIMIT)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_2(torch.cat([features, compand_lookup(self.compand_table, y16)], dim=1)))

    @torch.no_grad()
    def trainable(self, config: IntraConfig) -> EntropyModel:
        """A model to go on training with: the shipped integers as real weights, tables read at their anchors."""
        model = EntropyModel(config)
        for name in ("h_s", "prior_1", "prior_2"):
            for layer, shipped in zip(getattr(model, name), getattr(self, name), strict=True):
                if isinstance(layer, QConv2d):
                    layer.take(shipped)
        anchors = torch.linspace(0, config.n_qualities - 1, config.anchors).round().long()
        model.quality.copy_(self.quality_offset[anchors] / 2**FRAC)
        model.z_class.copy_(self.z_class_table[anchors] / 8)
        return model

    def packed(self) -> dict[str, Tensor]:
        """Tensors for the checkpoint, in small integer types."""
        return pack(self.state_dict())

    def check(self) -> None:
        """Prove on this device that sums are exact. Raises InexactLayer."""
        self_check(self)


class FloatEntropy(FloatTwoSteps):
    """The float twin: same weights before rounding, ordinary arithmetic."""

    def features(self, z_hat: Tensor, quality: int) -> Tensor:
        return self.model.features(z_hat, relative(quality, self.config).to(z_hat.device), quantise=False)
