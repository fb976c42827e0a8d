"""Residual blocks of two 3x3 convolutions, and those that halve or double the size on the way.

Source: the DCVC-DC codec (Li et al. 2023, "Neural Video Compression with Diverse Contexts") and its official code; strided
and sub-pixel residual blocks come from Cheng et al. 2020 by way of CompressAI.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.blocks import SubpixelUp

SLOPE, STEEP = 0.01, 0.1
"""Negative slopes of leaky rectifiers: the usual one, and the one that ends a branch."""


class Residual(nn.Module):
    """Rectify, 3x3, rectify, 3x3, identity shortcut: 18 c^2 MACs a position.

    channels: width of input and output, (N, c, H, W) to the same shape.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(F.leaky_relu(x, SLOPE))
        return x + self.second(F.leaky_relu(h, SLOPE))


class NarrowResidual(nn.Module):
    """The same with half the width between the two convolutions and a rectifier at the end: 9 c^2 MACs a position."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.second = nn.Conv2d(channels // 2, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(F.leaky_relu(x, STEEP))
        h = self.second(F.leaky_relu(h, STEEP))
        return x + F.leaky_relu(h, STEEP)


class ResidualDown(nn.Module):
    """Half the height and width: 3x3 of stride 2 and 3x3, with a 1x1 over every second row and column as shortcut.

    That is a 1x1 of stride 2, written so that none is: on CPUs PyTorch's gradient of one whose weights are in channels_last
    writes beyond its memory (seen with 2.15: aborts and segmentation faults while training).
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(F.leaky_relu(self.first(x), SLOPE))
        return self.shortcut(x[..., ::2, ::2]) + F.leaky_relu(h, STEEP)


class ResidualUp(nn.Module):
    """Twice the height and width: a sub-pixel convolution and 3x3, with a sub-pixel convolution as shortcut."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.first = SubpixelUp(channels_in, channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.shortcut = SubpixelUp(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(F.leaky_relu(self.first(x), SLOPE))
        return self.shortcut(x) + F.leaky_relu(h, STEEP)
