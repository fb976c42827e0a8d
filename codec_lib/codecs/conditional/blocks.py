"""The kinds of blocks that a configuration can give to a scale."""

from __future__ import annotations

from torch import nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.blocks import scaled_blocks
from codec_lib.layers.residual import NarrowResidual, Residual
from codec_lib.layers.unet import UNet

BLOCKS = {
    "residual": lambda channels, c: Residual(channels),
    "narrow": lambda channels, c: NarrowResidual(channels),
    "unet": lambda channels, c: UNet(channels, c.unet_widths),
}
"""One block of each kind, (N, channels, H, W) to the same shape. "bottleneck" comes with a gain: see `group`."""


def group(kind: str, channels: int, count: int, c: ConditionalConfig) -> nn.ModuleList:
    """The blocks of one scale, for `codec_lib.layers.blocks.run`: bottlenecks with a quality-dependent gain in front, or
    ``count`` blocks of another kind."""
    if kind == "bottleneck":
        return scaled_blocks(channels, count, c.anchors)
    return nn.ModuleList(BLOCKS[kind](channels, c) for _ in range(count))
