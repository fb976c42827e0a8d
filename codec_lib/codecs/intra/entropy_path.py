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
from torch import Tensor

from codec_lib.codecs.intra.model import EntropyModel, IntraConfig
from codec_lib.entropy.density import MEAN_FRAC, N_CLASSES
from codec_lib.entropy.integer import FRAC, LIMIT
from codec_lib.entropy.two_step import FloatTwoSteps, IntegerTwoSteps
from codec_lib.layers.blocks import interpolate_anchors, relative

UNIT = 2**MEAN_FRAC


class IntegerEntropy(IntegerTwoSteps):
    """Integers only; identical on every machine. Made from a trained `EntropyModel`, or empty for loading."""

    def __init__(self, config: IntraConfig, trained: EntropyModel | None = None):
        source = trained or EntropyModel(config)
        super().__init__(source, ("h_s", "prior_1", "prior_2"))
        u = torch.linspace(0, 1, config.n_qualities)
        with torch.no_grad():
            offset = interpolate_anchors(source.quality, u).clamp(-LIMIT / UNIT, LIMIT / UNIT) * 2**FRAC
            z_class = 8 * interpolate_anchors(source.z_class, u)
        self.register_buffer("quality_offset", (offset + 0.5).floor())  # (Q, f)
        self.register_buffer("z_class_table", (z_class + 0.5).floor().clamp(0, N_CLASSES - 1))  # (Q, C_z)

    def z_classes(self, quality: int) -> Tensor:
        return self.z_class_table[quality]

    def features(self, z_hat: Tensor, quality: int) -> Tensor:
        """z_hat: integers in [-127, 127], (N, C_z, h, w). Returns integers (N, f, 4h, 4w)."""
        h = self.h_s(z_hat) + self.quality_offset[quality][:, None, None]
        return h.clamp(-LIMIT, LIMIT)

    @torch.no_grad()
    def trainable(self, config: IntraConfig) -> EntropyModel:
        """A model to go on training with: the shipped integers as real weights, tables read at their anchors."""
        model = EntropyModel(config)
        self.give(model)
        anchors = torch.linspace(0, config.n_qualities - 1, config.anchors).round().long()
        model.quality.copy_(self.quality_offset[anchors] / 2**FRAC)
        model.z_class.copy_(self.z_class_table[anchors] / 8)
        return model


class FloatEntropy(FloatTwoSteps):
    """The float twin: same weights before rounding, ordinary arithmetic."""

    def features(self, z_hat: Tensor, quality: int) -> Tensor:
        return self.model.features(z_hat, relative(quality, self.config).to(z_hat.device), quantise=False)
