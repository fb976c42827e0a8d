"""Optical flow by a pyramid of small networks: each scale corrects the flow of the one below it.

Source: SpyNet (Ranjan and Black 2017), in the four-level form that the DCVC codecs train together with everything else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.warping import warp

LEVELS = 4
WIDTHS = (32, 64, 32, 16)


def correction(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Network of one level: two frames and a flow, (N, 8, H, W), to what the flow lacks, (N, 2, H, W). 7x7 convolutions."""
    channels = (8, *widths, 2)
    layers = []
    for a, b in zip(channels, channels[1:], strict=False):
        layers += [nn.Conv2d(a, b, 7, padding=3), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class SpyNet(nn.Module):
    """Flow from a frame to its reference, by backward warping: the reference has at p + flow(p) what the frame has at p.

    current, reference: (N, 3, H, W) in [0, 1], H and W multiples of 16. Returns (N, 2, H, W), (x, y) in pixels.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        self.levels = nn.ModuleList(correction(widths) for _ in range(LEVELS))

    def forward(self, current: Tensor, reference: Tensor) -> Tensor:
        pyramid = [(current, reference)]
        for _ in range(LEVELS - 1):
            pyramid.append(tuple(F.avg_pool2d(x, 2) for x in pyramid[-1]))
        flow = None
        for level, (x, x_ref) in zip(self.levels, reversed(pyramid), strict=True):
            if flow is None:
                flow = torch.zeros(len(x), 2, *x.shape[-2:], device=x.device)
            else:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=False)
            flow = flow + level(torch.cat([x, warp(x_ref, flow), flow], dim=1)).float()
        return flow
