"""Backward warping: each pixel of the result looks up where it came from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from codec_lib.layers.precision import in_float32


def warp(x: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample x at p + flow(p) for each pixel p; beyond the border the nearest pixel counts.

    x: (N, C, H, W). flow: (N, 2, H, W), (x, y) in pixels of x. mode: "bilinear" or "bicubic". Returns float32 (N, C, H, W).
    Float32 whatever autocast says: in bfloat16 a position beyond 256 would be known to two pixels only.
    """
    height, width = x.shape[-2:]
    with in_float32(x):
        flow = flow.float()
        columns = torch.arange(width, device=x.device) + flow[:, 0]
        rows = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
        grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
        return F.grid_sample(x.float(), grid, mode=mode, padding_mode="border", align_corners=False)


def shrink_flow(flow: Tensor, factor: int) -> Tensor:
    """A flow for features ``factor`` times smaller: averaged over their pixels, in their pixels."""
    return F.avg_pool2d(flow, factor) / factor
