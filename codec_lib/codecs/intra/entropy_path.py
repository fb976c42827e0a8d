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
from codec_lib.entropy.integer import FRAC, LIMIT, export, pack, self_check, set_quantise
from codec_lib.entropy.two_step import TwoSteps, compand, compand_lookup, compand_steps, float_head, integer_head
from codec_lib.layers.blocks import interpolate_anchors

UNIT = 2**MEAN_FRAC


def relative(quality: int, config: IntraConfig) -> Tensor:
    """A quality as the (1,) relative position in [0, 1] that gains and tables are read at."""
    return torch.tensor([quality / (config.n_qualities - 1)], dtype=torch.float32)


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

    def packed(self) -> dict[str, Tensor]:
        """Tensors for the checkpoint, in small integer types."""
        return pack(self.state_dict())

    def check(self) -> None:
        """Prove on this device that sums are exact. Raises InexactLayer."""
        self_check(self)


class FloatEntropy(TwoSteps, nn.Module):
    """The float twin: same weights before rounding, ordinary arithmetic, outputs rounded at the very end.

    Its streams decode only where every rounding comes out the same, so they are marked as not portable.
    """

    portable = False

    def __init__(self, config: IntraConfig, model: EntropyModel):
        super().__init__()
        self.config, self.model = config, model
        set_quantise(model, False)

    def z_classes(self, quality: int) -> Tensor:
        position = self.model.z_position(relative(quality, self.config).to(self.model.quality.device))
        return position.flatten().round().clamp(0, N_CLASSES - 1)

    def features(self, z_hat: Tensor, quality: int) -> Tensor:
        return self.model.features(z_hat, relative(quality, self.config).to(z_hat.device), quantise=False)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return float_head(self.model.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        seen = compand(y16 / UNIT).clamp(-LIMIT / UNIT, LIMIT / UNIT)
        return float_head(self.model.prior_2(torch.cat([features, seen], dim=1)))

    def check(self) -> None:
        """Nothing can be promised for floats."""

