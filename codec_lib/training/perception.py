"""LPIPS as a loss: of a square somewhere in the pictures, seen from changing views."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 128
"""Of the square, in pixels."""
MOVES = 8
"""Pixels that views differ by, less one."""


def square(height: int, width: int, generator: torch.Generator, cell: int = 1) -> tuple[slice, slice]:
    """Rows and columns of a square somewhere in pictures of this size, or of all there is; its edges at multiples of ``cell``. Of one
    square the same is expected as of the whole, at a part of the cost."""
    side = min(SIDE, height, width)
    corner = (cell * int(torch.randint((size - side) // cell + 1, (), generator=generator)) for size in (height, width))
    return tuple(slice(at, at + side) for at in corner)


def shrunk(place: tuple[slice, slice], cell: int) -> tuple[slice, slice]:
    """The same place in latents, a cell of pixels each."""
    return tuple(slice(s.start // cell, s.stop // cell) for s in place)


def view(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (..., h, w) as seen from somewhere, without a few pixels at their edges, (..., h - 8, w - 8).

    The first layer of LPIPS's network looks at every other pixel. Seen in one and the same raster, pictures come to please it by a
    chequered pattern over everything; from changing views that does not help (E-LPIPS, Kettunen et al. 2019). Shrunk views, of which
    E-LPIPS has some too, broke the pattern no better and cost LPIPS at full size."""
    top, edge = torch.randint(MOVES, (2,), generator=generator).tolist()
    height, width = (side - MOVES for side in pictures.shape[-2:])
    return pictures[..., top : top + height, edge : edge + width]


def distance(lpips: nn.Module, shown: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
    """LPIPS of pictures (N, 3, h, w) on the 0..1 scale from some view, (N,). lpips: takes pictures in [-1, 1], as
    `lpips_metric.load_lpips` gives it."""
    seen = view(torch.stack([2 * shown.clamp(0, 1) - 1, 2 * wanted - 1]), generator)
    return lpips.to(wanted.device)(*seen).float().flatten()
