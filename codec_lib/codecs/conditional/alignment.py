"""Features of the frame before, moved to where they are in this one: the finest scale with care, and all scales fused.

Source: DCVC-DC (Li et al. 2023), sections 3.2 and 3.3, and its official code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.blocks import SubpixelUp
from codec_lib.layers.offset_diversity import OffsetDiversity
from codec_lib.layers.residual import Residual
from codec_lib.layers.warping import shrink_flow, warp


class ContextFusion(nn.Module):
    """Tells every scale what the coarser ones know: contexts of ``widths`` channels, finest first, to the same shapes."""

    def __init__(self, widths: tuple[int, int, int]):
        super().__init__()
        fine, middle, coarse = widths
        self.up_coarse = nn.Sequential(SubpixelUp(coarse, middle, 3), Residual(middle))
        self.up_middle = nn.Sequential(SubpixelUp(2 * middle, fine, 3), Residual(fine))
        self.coarse, self.middle, self.fine = (
            nn.Sequential(nn.Conv2d(seen, width, 3, padding=1), Residual(width))
            for seen, width in ((coarse, coarse), (2 * middle, middle), (2 * fine, fine))
        )

    def forward(self, contexts: list[Tensor]) -> list[Tensor]:
        c0, c1, c2 = contexts
        with_c2 = torch.cat([self.up_coarse(c2), c1], dim=1)
        with_c1 = torch.cat([self.up_middle(with_c2), c0], dim=1)
        return [c0 + self.fine(with_c1), c1 + self.middle(with_c2), c2 + self.coarse(c2)]


class FeatureAlignment(nn.Module):
    """Warps the extracted features of each scale and fuses them."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        self.scales, self.fold = c.scales, c.fold
        self.diverse = OffsetDiversity(c.widths[0], c.signal_channels, hidden=c.widths[1], groups=c.offset_groups)
        self.fusion = ContextFusion(c.widths)

    def forward(self, features: list[Tensor], x_tilde: Tensor, flow: Tensor) -> list[Tensor]:
        """features: of the frame before, finest first. x_tilde: its signal, warped, (N, 3, H, W) where frames are coded. flow:
        (N, 2, H, W), pixels."""
        flows = [shrink_flow(flow, scale) for scale in self.scales]
        moved = [warp(f, v) for f, v in zip(features, flows, strict=True)]
        moved[0] = self.diverse(features[0], moved[0], F.avg_pool2d(x_tilde, self.fold), flows[0])
        return self.fusion(moved)
