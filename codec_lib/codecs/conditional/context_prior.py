"""The papers' temporal prior: what the coarsest context says of the latents, in floats.

A decoder whose convolutions round differently by one unit loses the stream, so streams made with it are marked as not portable.

Source: DCVC-TCM (Sheng et al. 2022) and DCVC-DC (Li et al. 2023), temporal prior encoder.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.residual import STEEP


class ContextPrior(nn.Module):
    """Coarsest context to (N, channels_out, h, w) at the latents' size: two 3x3 convolutions, strided as needed."""

    def __init__(self, c: ConditionalConfig, middle: int, channels_out: int):
        super().__init__()
        strides = [2] * c.halvings + [1] * (2 - c.halvings)
        self.first = nn.Conv2d(c.widths[-1], middle, 3, stride=strides[0], padding=1)
        self.second = nn.Conv2d(middle, channels_out, 3, stride=strides[1], padding=1)

    def forward(self, context: Tensor) -> Tensor:
        return self.second(F.leaky_relu(self.first(context.float()), STEEP))
