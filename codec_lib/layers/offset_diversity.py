"""Group-based offset diversity: a feature map looked up at several places at once, a few channels at each.

A flow says where a pixel came from; near occlusions and in fine detail no single answer is right. So each group of channels
is looked up at several offsets around the flow, weighted by masks, and what was found is fused.

Source: DCVC-DC (Li et al. 2023), section 3.3 and official code; offset diversity, Chan et al. 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.residual import STEEP
from codec_lib.layers.warping import warp

OFFSETS = 2
"""Places that each group is looked up at."""
REACH = 40.0
"""Offsets lie within so many pixels of the flow, horizontally and vertically."""


class OffsetDiversity(nn.Module):
    """Aligns features (N, C, H, W) with the current frame.

    channels: C. guide: channels of the picture that is looked at too. hidden: width of the network that predicts offsets and
    masks, at half size. groups: of channels that share an offset; it divides C, and 2 C / groups channels are fused by each filter.
    """

    def __init__(self, channels: int, guide: int, hidden: int, groups: int):
        super().__init__()
        self.groups = groups
        seen = channels + guide + 2  # features and picture, moved by the flow, and the flow
        self.predict = nn.Sequential(
            nn.Conv2d(seen, hidden, 3, stride=2, padding=1), nn.LeakyReLU(STEEP),
            nn.Conv2d(hidden, hidden, 3, padding=1), nn.LeakyReLU(STEEP),
            nn.Conv2d(hidden, 3 * OFFSETS * groups, 3, padding=1),
        )
        self.fuse = nn.Conv2d(OFFSETS * channels, channels, 1, groups=groups)

    def forward(self, feature: Tensor, moved: Tensor, x_tilde: Tensor, flow: Tensor) -> Tensor:
        """feature: as it lies in the reference; moved: warped by the flow; x_tilde: the picture (N, guide, H, W) warped by it;
        flow: (N, 2, H, W) in pixels. Returns (N, C, H, W)."""
        (n, c), size = feature.shape[:2], feature.shape[-2:]
        found = self.predict(torch.cat([moved, x_tilde, flow], dim=1))
        found = F.interpolate(found, scale_factor=2, mode="bilinear", align_corners=False)
        look_ups = OFFSETS * self.groups
        offset = REACH * torch.tanh(found[:, : 2 * look_ups].float()).unflatten(1, (look_ups, 2)) + flow[:, None]
        mask = torch.sigmoid(found[:, 2 * look_ups :])
        # All groups once for the first offset, then all for the second: each filter of `fuse` spans two groups and no
        # group twice, which is how groups get to know of each other.
        parts = feature.reshape(n, 1, self.groups, c // self.groups, *size).expand(-1, OFFSETS, -1, -1, -1, -1)
        parts = warp(parts.reshape(n * look_ups, c // self.groups, *size), offset.flatten(0, 1))
        parts = parts * mask.reshape(n * look_ups, 1, *size)
        return self.fuse(parts.reshape(n, OFFSETS * c, *size))
