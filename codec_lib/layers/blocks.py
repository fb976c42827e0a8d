"""Convolutional building blocks shared by the lab-size codecs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBottleneck(nn.Module):
    """1x1 (c to c/2), 3x3, 1x1 (c/2 to c) with ReLU between and an identity shortcut: 3.25 c^2 MACs a position.

    Source: ELIC (He et al. 2022), its residual bottleneck. The last convolution starts at a tenth of the usual
    size, so that a deep stack starts close to the identity.
    """

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.squeeze = nn.Conv2d(channels, half, 1)
        self.mix = nn.Conv2d(half, half, 3, padding=1)
        self.expand = nn.Conv2d(half, channels, 1)
        with torch.no_grad():
            self.expand.weight.mul_(0.1)
            self.expand.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.squeeze(x))  # (N, c/2, H, W)
        h = F.relu(self.mix(h))  # (N, c/2, H, W)
        return x + self.expand(h)  # (N, c, H, W)


class SubpixelUp(nn.Module):
    """Twice the height and width: a convolution (1x1 unless ``kernel`` says otherwise) to 4 c channels, then pixel shuffle."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(channels_in, 4 * channels_out, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


class QualityScale(nn.Module):
    """One positive gain a channel, moving with the quality: how one network serves all rates.

    The logarithms of the gains are learned at ``anchors`` evenly spaced qualities and interpolated linearly between
    them, so gains are interpolated geometrically (the variable-rate scheme of DCVC-HEM and DCVC-DC).

    channels: width of the feature map.
    anchors: learned points, at least 2.
    first, last: gains at the lowest and highest quality before training.
    """

    def __init__(self, channels: int, anchors: int, first: float = 1.0, last: float = 1.0):
        super().__init__()
        start = torch.tensor(np.linspace(math.log(first), math.log(last), anchors), dtype=torch.float32)
        self.log_gain = nn.Parameter(start[:, None].repeat(1, channels))  # (anchors, channels)

    def gain(self, u: Tensor) -> Tensor:
        """Gains at relative quality ``u`` in [0, 1], shape (N,). Returns (N, channels)."""
        return interpolate_anchors(self.log_gain, u).exp()

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return x * self.gain(u)[:, :, None, None].to(x.dtype)  # (N, C, H, W)


class SharedQualityScale(nn.Module):
    """One fixed positive gain a channel, times one for all channels that moves with the quality.

    The form in which DCVC-HEM and DCVC-DC have their gains: q = q_basic * q_scale, a learned q_scale at each anchor. Here too the
    logarithms are learned and interpolated, so gains stay positive. All start at 1.

    channels: width of the feature map. anchors: learned points, at least 2.
    """

    def __init__(self, channels: int, anchors: int):
        super().__init__()
        self.log_basic = nn.Parameter(torch.zeros(channels))
        self.log_gain = nn.Parameter(torch.zeros(anchors, 1))

    def gain(self, u: Tensor) -> Tensor:
        """Gains at relative quality ``u`` in [0, 1], shape (N,). Returns (N, channels)."""
        return (self.log_basic + interpolate_anchors(self.log_gain, u)).exp()

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        return x * self.gain(u)[:, :, None, None].to(x.dtype)  # (N, C, H, W)


def interpolate_anchors(table: Tensor, u: Tensor) -> Tensor:
    """Read rows of ``table`` (A, C) at relative positions ``u`` (N,) in [0, 1] by linear interpolation: (N, C)."""
    position = u.to(table.dtype) * (table.shape[0] - 1)
    low = position.floor().clamp(0, table.shape[0] - 2)
    t = (position - low)[:, None]
    low = low.long()
    return table[low] * (1 - t) + table[low + 1] * t


def zeroed(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution whose output starts at zero."""
    nn.init.zeros_(conv.weight)
    nn.init.zeros_(conv.bias)
    return conv


def scaled_blocks(channels: int, count: int, anchors: int) -> nn.ModuleList:
    """``count`` residual bottlenecks with one quality-dependent gain in front."""
    return nn.ModuleList([QualityScale(channels, anchors), *(ResidualBottleneck(channels) for _ in range(count))])


def run(blocks: nn.ModuleList, x: Tensor, u: Tensor) -> Tensor:
    """Apply blocks one after the other to x (N, C, H, W); those that are gains are told the relative qualities u (N,)."""
    for block in blocks:
        x = block(x, u) if isinstance(block, QualityScale) else block(x)
    return x


def relative(quality: int, config) -> Tensor:
    """A quality as the (1,) relative position in [0, 1] that gains and tables are read at. config: knows ``n_qualities``."""
    return torch.tensor([quality / (config.n_qualities - 1)], dtype=torch.float32)
