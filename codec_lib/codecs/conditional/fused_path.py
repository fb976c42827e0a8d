"""The papers' entropy model as encoders and decoders run it: floats, rounded to tables at the very end.

Its streams decode only where every rounding comes out the same, so they are marked as not portable.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.fused_prior import FusedEntropyModel
from codec_lib.codecs.conditional.state import Earlier
from codec_lib.entropy.density import MEAN_FRAC, N_CLASSES
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.priors import quadtree_masks
from codec_lib.entropy.tables import CodingTables


class FusedEntropy(nn.Module):
    """A `FusedEntropyModel` with the tables of its hyper-latents: those shipped, or made from it where none are given."""

    portable = False
    masks = staticmethod(quadtree_masks)

    def __init__(self, model: FusedEntropyModel, z_tables: CodingTables | None = None):
        super().__init__()
        self.model, self.z_tables = model, z_tables or model.z.tables()

    def z_classes(self, quality: int) -> Tensor:
        """One table a channel, at all qualities."""
        return torch.arange(len(self.z_tables))

    def features(self, z_hat: Tensor, earlier: Earlier | None, nodes: Tensor | None, quality: int, context: Tensor | None = None
                 ) -> Tensor:
        """z_hat: integers (1, C_z, h/4, w/4). earlier: latents of the frame before, if any. Nodes and quality are not looked at."""
        y_ref = None if earlier is None or earlier.from_intra else plain(earlier.y16 / UNIT)
        return self.model.features(plain(z_hat), y_ref, context)

    def quant_step(self, features: Tensor) -> Tensor:
        return self.model.quant_step(features)

    def step(self, index: int, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        mean, position = self.model.head(index, features, plain(y16 / UNIT))
        return (mean * 2**MEAN_FRAC).round(), position.round().clamp(0, N_CLASSES - 1)

    def check(self) -> None:
        """Nothing can be promised for floats."""


def plain(x: Tensor) -> Tensor:
    """x with its numbers in the order of its dimensions. An encoder and a decoder come by the same numbers in different ways; what
    is laid out differently in memory may be convolved by another routine, and rounded differently."""
    return x.clone(memory_format=torch.contiguous_format)
