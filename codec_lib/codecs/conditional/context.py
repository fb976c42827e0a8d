"""Temporal context mining: what the decoder knows of a frame before a bit of its latents has been read.

The decoded frame before and a feature that its decoder left behind are turned into contexts at three scales and a first
prediction of the frame, with the decoded motion to say what has gone where.

Source: DCVC-TCM (Sheng et al. 2022) and DCVC-DC (Li et al. 2023). There features are extracted and then warped, at
full resolution and at two smaller ones (`alignment`). At lab size the frame is warped at full resolution, with a cubic
spline, and folded into channels afterwards, since full-resolution convolutions are what costs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.alignment import FeatureAlignment
from codec_lib.codecs.conditional.blocks import group
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.space import Pixels
from codec_lib.layers.blocks import QualityScale, interpolate_anchors, run, zeroed
from codec_lib.layers.warping import shrink_flow, warp

ADAPTOR_OF = (0, 1, 0, 2)
"""Which of three adaptors takes the feature, by the frame's number modulo 4: frames alternate in quality, and so do features
(DCVC-DC, hierarchical quality structure)."""
STEP_RANGE = 0.25
"""Steps in relative quality from one frame to the next that tables of steps cover, either way."""
STEP_ANCHORS = 5
STILL, MARGIN = 1 / 16, 4
"""Pixels that something may move and still stand still, and how far around what moves predictions are corrected."""


def at_step(table: Tensor, step: Tensor) -> Tensor:
    """Read a table of steps in quality (STEP_ANCHORS, C) at steps (N,) in [-1, 1]: (N, C)."""
    return interpolate_anchors(table, (step / (2 * STEP_RANGE) + 0.5).clamp(0, 1))


def moving(flow: Tensor, stride: int = 1) -> Tensor:
    """1 around places that move, 0 where things stand still: float32 (N, 1, H/stride, W/stride), from a flow (N, 2, H, W) in pixels.

    What stands still is predicted by what was decoded, and correcting that again in every frame wears it away: on a textured clip
    from a fixed camera it cost a sixth of the bits of the first five P frames, and 0.3 dB.
    """
    moves = (flow.abs().amax(dim=1, keepdim=True) > STILL).float()
    return F.max_pool2d(F.max_pool2d(moves, 2 * MARGIN + 1, 1, MARGIN), stride)


def correction_scale(channels: int, c: ConditionalConfig) -> QualityScale:
    """Gains for what a network adds to a frame that is right but for quantisation: it starts in proportion to the quantiser's
    step. A correction as large at high qualities as at low ones does more harm than good there, again in every frame."""
    return QualityScale(channels, c.anchors, first=1.0, last=c.step(c.lambda_high) / c.step(c.lambda_low))


class Contexts(NamedTuple):
    """x_bar: prediction of the signal, float32 (N, 3, H, W) where that is the frame. c0, c1, c2: contexts at the scales, finest
    first; where there are two scales, c2 is None. moves: see `moving`, at the signal's size; None where features are what is moved."""

    x_bar: Tensor
    c0: Tensor
    c1: Tensor
    c2: Tensor | None = None
    moves: Tensor | None = None


class ContextMining(nn.Module):
    """Decoded frame, feature and motion to `Contexts`. space: what is coded."""

    def __init__(self, c: ConditionalConfig, space: nn.Module | None = None):
        super().__init__()
        self.space = space or Pixels(c)
        self.fold, self.scales, self.warps_frame, self.centre = c.fold, c.scales, c.alignment == "frame", c.centre
        pixels = c.signal_channels * c.fold**2
        self.adaptor_i = nn.Conv2d(pixels, c.feature_channels, 3, padding=1)  # in place of a feature, after an I frame
        width = pixels + c.feature_channels if self.warps_frame else c.feature_channels
        for i, (scale, out) in enumerate(zip(c.scales, c.widths, strict=True)):
            enter = nn.Conv2d(width, out, 3, stride=2 if i else 1, padding=1)
            self.add_module(f"down{scale}" if i else "stem", enter)
            self.add_module(f"blocks{scale}", group(c.context_kinds[i], out, c.context_blocks[i], c))
            width = out
        if self.warps_frame:
            self.quality_step = nn.Parameter(torch.zeros(STEP_ANCHORS, c.widths[0]))  # what the reference is worth beside this frame
            self.tail = zeroed(nn.Conv2d(c.widths[0], pixels, 3, padding=1))
            self.tail_scale = correction_scale(pixels, c)
        else:
            self.align = FeatureAlignment(c)
        adaptors = len(set(ADAPTOR_OF)) if c.feature_adaptors else 0
        self.adaptors = nn.ModuleList(nn.Conv2d(c.feature_channels, c.feature_channels, 1) for _ in range(adaptors))

    def forward(self, x_ref: Tensor, feature: Tensor | None, flow: Tensor, u: Tensor, u_ref: Tensor, t: int = 0) -> Contexts:
        """x_ref: what the space has `seen` of the frame before, itself (N, 3, H, W) where frames are coded; feature: (N, F, H/fold,
        W/fold), None after an I frame; flow: (N, 2, H, W) in pixels; u, u_ref: relative qualities of this frame and of the one
        before, (N,); t: this frame's number."""
        if feature is not None and self.adaptors:
            feature = self.adaptors[ADAPTOR_OF[t % len(ADAPTOR_OF)]](feature)
        if not self.warps_frame:
            return self._from_warped_features(x_ref, feature, flow, u)
        return self._from_warped_frame(x_ref, feature, flow, u, at_step(self.quality_step, u - u_ref))

    def _from_warped_frame(self, x_ref: Tensor, feature: Tensor | None, flow: Tensor, u: Tensor, offset: Tensor) -> Contexts:
        """offset: (N, C), what the step in quality adds to the first features."""
        x_tilde = self.space(x_ref, flow)
        folded = F.pixel_unshuffle(x_tilde - self.centre, self.fold)
        feature = self.adaptor_i(folded) if feature is None else warp(feature, shrink_flow(flow, self.scales[0]))
        contexts = self._extract(torch.cat([folded, feature], dim=1), u, offset)
        correction = F.pixel_shuffle(self.tail_scale(self.tail(contexts[0]), u), self.fold).float()
        moves = moving(flow, self.scales[0] // self.fold)
        return Contexts(x_tilde + correction * moves, *contexts, *[None] * (3 - len(contexts)), moves)

    def _from_warped_features(self, x_ref: Tensor, feature: Tensor | None, flow: Tensor, u: Tensor) -> Contexts:
        x_tilde = self.space(x_ref, flow)
        if feature is None:
            feature = self.adaptor_i(F.pixel_unshuffle(self.space.still(x_ref) - self.centre, self.fold))
        return Contexts(x_tilde, *self.align(self._extract(feature, u), x_tilde, flow))

    def _extract(self, h: Tensor, u: Tensor, offset: Tensor | None = None) -> list[Tensor]:
        """Features at the three scales, finest first."""
        found = []
        for i, scale in enumerate(self.scales):
            h = getattr(self, f"down{scale}" if i else "stem")(h)
            if offset is not None and i == 0:
                h = h + offset[:, :, None, None].to(h.dtype)
            h = run(getattr(self, f"blocks{scale}"), h, u)
            found.append(h)
        return found
