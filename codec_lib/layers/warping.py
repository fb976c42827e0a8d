"""Backward warping: each pixel of the result looks up where it came from."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from codec_lib.layers.precision import in_float32

POLE = math.sqrt(3) - 2
"""Of the recursive filter that turns samples into coefficients of a cubic B-spline."""
RADIUS = 9
"""Coefficients look at so many samples on either side: the rest of the filter is below 2^-17."""


def warp(x: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """Sample x at p + flow(p) for each pixel p; beyond the border the nearest pixel counts.

    x: (N, C, H, W). flow: (N, 2, H, W), (x, y) in pixels of x. mode: "bilinear", or "spline": cubic B-spline interpolation,
    which keeps more of fine texture, frame after frame, than a bicubic kernel. Returns float32 (N, C, H, W).
    Float32 whatever autocast says: in bfloat16 a position beyond 256 would be known to two pixels only.
    """
    height, width = x.shape[-2:]
    with in_float32(x):
        flow = flow.float()
        columns = torch.arange(width, device=x.device) + flow[:, 0]
        rows = torch.arange(height, device=x.device)[:, None] + flow[:, 1]
        return {"bilinear": _bilinear, "spline": _spline}[mode](x.float(), columns, rows)


def _bilinear(x: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _spline(x: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Sixteen weighted coefficients a pixel, fetched as four bilinear samples.

    All weights of a B-spline are positive, so two neighbours with weights w0, w1 are (w0 + w1) times one linear sample
    between them (Sigg and Hadwiger, GPU Gems 2, 2005, chapter 20).
    """
    height, width = x.shape[-2:]
    c = spline_coefficients(x, ring=2)
    (left, right, share_x), (top, bottom, share_y) = (
        _pairs(p.clamp(0, side - 1) + 2) for p, side in ((columns, width), (rows, height)))
    share_x, share_y = share_x[:, None], share_y[:, None]
    upper = share_x * _bilinear(c, left, top) + (1 - share_x) * _bilinear(c, right, top)
    lower = share_x * _bilinear(c, left, bottom) + (1 - share_x) * _bilinear(c, right, bottom)
    return share_y * upper + (1 - share_y) * lower


def _pairs(position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where to sample the two pairs of coefficients around a position, and the first pair's share of the weight."""
    whole = position.floor()
    f = position - whole
    w1, w3 = 2 / 3 - f * f * (1 - f / 2), f**3 / 6
    first = (1 - f) ** 3 / 6 + w1
    return whole - 1 + w1 / first, whole + 1 + w3 / (1 - first), first


def spline_coefficients(x: Tensor, ring: int = 0) -> Tensor:
    """Coefficients of the cubic B-spline through the samples x (N, C, H, W), which are taken to go on beyond the border as at
    it; with ``ring`` more rows and columns of them on every side.

    The exact filter runs over the whole line, forth and back; its response falls by a factor of 3.7 a sample, so a short
    symmetric one does the same (Unser 1999, "Splines: a perfect fit for signal and image processing", box 2).
    """
    taps = math.sqrt(3) * torch.tensor([POLE ** abs(k) for k in range(-RADIUS, RADIUS + 1)], dtype=torch.float64)
    taps = (taps / taps.sum()).to(x).expand(x.shape[1], 1, 1, -1)
    x = F.pad(x, [RADIUS + ring] * 4, mode="replicate")
    # channels as groups: as a batch of pictures, eight of them took several times as long, and memory for every tap
    return F.conv2d(F.conv2d(x, taps, groups=len(taps)), taps.mT, groups=len(taps))


def shrink_flow(flow: Tensor, factor: int) -> Tensor:
    """A flow for features ``factor`` times smaller: averaged over their pixels, in their pixels."""
    return F.avg_pool2d(flow, factor) / factor
