"""Temporal context mining: what the decoder knows of a frame before a bit of it has been read.

The decoded frame before and a feature that its decoder left behind are warped by the decoded motion, and turned into
contexts at three scales and a first prediction of the frame.

Source: DCVC-TCM (Sheng et al. 2022) and DCVC-DC (Li et al. 2023), papers.md 4.1. There features are warped at full resolution
and at two smaller ones; here the frame is warped at full resolution, with a bicubic filter, and folded into channels
afterwards, since full-resolution convolutions are what costs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.blocks import interpolate_anchors, run, scaled_blocks, zeroed
from codec_lib.layers.warping import shrink_flow, warp

FOLD = 4
"""Pixels on a side that are folded into channels: the networks' finest scale is 1/4."""
STEP_RANGE = 0.25
"""Steps in relative quality from one frame to the next that tables of steps cover, either way."""
STEP_ANCHORS = 5


def at_step(table: Tensor, step: Tensor) -> Tensor:
    """Read a table of steps in quality (STEP_ANCHORS, C) at steps (N,) in [-1, 1]: (N, C)."""
    return interpolate_anchors(table, (step / (2 * STEP_RANGE) + 0.5).clamp(0, 1))


class Contexts(NamedTuple):
    """x_bar: prediction of the frame, float32 (N, 3, H, W). c0, c1, c2: contexts at 1/4, 1/8 and 1/16."""

    x_bar: Tensor
    c0: Tensor
    c1: Tensor
    c2: Tensor


class ContextMining(nn.Module):
    """Decoded frame, feature and motion to `Contexts`."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        w4, w8, w16 = c.widths
        self.adaptor_i = nn.Conv2d(3 * FOLD**2, c.feature_channels, 3, padding=1)  # in place of a feature, after an I frame
        self.stem = nn.Conv2d(3 * FOLD**2 + c.feature_channels, w4, 3, padding=1)
        self.quality_step = nn.Parameter(torch.zeros(STEP_ANCHORS, w4))  # what the reference is worth beside this frame
        self.blocks4 = scaled_blocks(w4, c.context_blocks[0], c.anchors)
        self.down8 = nn.Conv2d(w4, w8, 3, stride=2, padding=1)
        self.blocks8 = scaled_blocks(w8, c.context_blocks[1], c.anchors)
        self.down16 = nn.Conv2d(w8, w16, 3, stride=2, padding=1)
        self.blocks16 = scaled_blocks(w16, c.context_blocks[2], c.anchors)
        self.tail = zeroed(nn.Conv2d(w4, 3 * FOLD**2, 3, padding=1))

    def forward(self, x_ref: Tensor, feature: Tensor | None, flow: Tensor, u: Tensor, u_ref: Tensor) -> Contexts:
        """x_ref: decoded frame (N, 3, H, W); feature: (N, F, H/4, W/4), None after an I frame; flow: (N, 2, H, W) in pixels;
        u, u_ref: relative qualities of this frame and of the one before, (N,)."""
        x_tilde = warp(x_ref, flow, "bicubic")
        folded = F.pixel_unshuffle(x_tilde - 0.5, FOLD)
        feature = self.adaptor_i(folded) if feature is None else warp(feature, shrink_flow(flow, FOLD))
        h = self.stem(torch.cat([folded, feature], dim=1))
        c0 = run(self.blocks4, h + at_step(self.quality_step, u - u_ref)[:, :, None, None].to(h.dtype), u)
        c1 = run(self.blocks8, self.down8(c0), u)
        c2 = run(self.blocks16, self.down16(c1), u)
        x_bar = x_tilde + F.pixel_shuffle(self.tail(c0), FOLD).float()
        return Contexts(x_bar, c0, c1, c2)
