"""A small U-Net of depth-wise blocks, with which DCVC-DC makes the picture from decoded features.

Source: DCVC-DC (Li et al. 2023), official code; U-Net, Ronneberger et al. 2015.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.blocks import SubpixelUp
from codec_lib.layers.depth_conv import DepthConvBlock

REFINE = 4
"""Blocks at the coarsest scale."""


class UNet(nn.Module):
    """(N, channels, H, W) to the same shape, H and W multiples of 4.

    widths: at full, half and quarter size. What goes up is doubled in size by a sub-pixel convolution, concatenated to what
    was there on the way down, and merged by a block.
    """

    def __init__(self, channels: int, widths: tuple[int, int, int] = (32, 64, 128)):
        super().__init__()
        full, half, quarter = widths
        self.down1 = DepthConvBlock(channels, full)
        self.down2 = DepthConvBlock(full, half)
        self.down4 = DepthConvBlock(half, quarter)
        self.refine = nn.Sequential(*(DepthConvBlock(quarter, quarter) for _ in range(REFINE)))
        self.up2 = SubpixelUp(quarter, half)
        self.merge2 = DepthConvBlock(2 * half, half)
        self.up1 = SubpixelUp(half, full)
        self.merge1 = DepthConvBlock(2 * full, channels)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.down1(x)
        x2 = self.down2(F.max_pool2d(x1, 2))
        x4 = self.refine(self.down4(F.max_pool2d(x2, 2)))
        x2 = self.merge2(torch.cat([x2, self.up2(x4)], dim=1))
        return self.merge1(torch.cat([x1, self.up1(x2)], dim=1))
