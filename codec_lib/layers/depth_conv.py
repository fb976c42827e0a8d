"""The depth-wise block of DCVC-DC: one filter a channel mixes positions, 1x1 convolutions mix channels.

Source: DCVC-DC (Li et al. 2023), official code; the shape is that of ConvNeXt and of transformers, a mixer and then a
feed-forward part, each with its shortcut.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.residual import SLOPE, STEEP


class DepthConvBlock(nn.Module):
    """1x1, depth-wise 3x3, 1x1 to the new width; then 1x1 to four times the width and back. About 9 c^2 MACs a position.

    (N, channels_in, H, W) to (N, channels_out, H, W). Where the widths differ the first shortcut is a 1x1 convolution. The
    feed-forward part is never wider than 1024 channels unless that is less than twice its input.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.enter = nn.Conv2d(channels_in, channels_in, 1)
        self.depth = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in)
        self.leave = nn.Conv2d(channels_in, channels_out, 1)
        self.shortcut = nn.Identity() if channels_in == channels_out else nn.Conv2d(channels_in, channels_out, 1)
        inner = max(min(4 * channels_out, 1024), 2 * channels_out)
        self.widen = nn.Conv2d(channels_out, inner, 1)
        self.narrow = nn.Conv2d(inner, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shortcut(x) + self.leave(self.depth(F.leaky_relu(self.enter(x), SLOPE)))
        h = self.narrow(F.leaky_relu(self.widen(x), STEEP))
        return x + F.leaky_relu(h, STEEP)
