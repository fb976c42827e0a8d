"""Sizes that a codec's strides divide."""

from __future__ import annotations

import torch
from torch import Tensor

from codec_lib.errors import UsageError


def pad_to_multiple(x: Tensor, multiple: int) -> tuple[Tensor, tuple[int, int]]:
    """Repeat the last row and column until both sizes are multiples of ``multiple``.

    x: (..., H, W), any type; differentiable. Returns the padded tensor (x itself where nothing is missing) and (H, W).
    Replication costs fewer bits than zeros or reflection: it makes no edge and no new texture.
    """
    if multiple < 1:
        raise UsageError(f"cannot pad to multiples of {multiple}: give 1 or more")
    height, width = x.shape[-2:]
    for dim, size in ((-2, height), (-1, width)):
        missing = -size % multiple
        if missing:
            last = x.narrow(dim, size - 1, 1)
            shape = list(x.shape)
            shape[dim] = missing
            x = torch.cat((x, last.expand(shape)), dim)
    return x, (height, width)


def crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The top left (H, W) of x: (..., >= H, >= W); undoes `pad_to_multiple`."""
    height, width = size
    if height > x.shape[-2] or width > x.shape[-1]:
        raise UsageError(f"cannot crop {x.shape[-1]}x{x.shape[-2]} to the larger {width}x{height}")
    return x[..., :height, :width]
