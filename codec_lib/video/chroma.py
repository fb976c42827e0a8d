"""Chroma resampling between 4:2:0 and 4:4:4: one pair of filters that undo each other.

Siting. A 4:2:0 chroma sample stands, as in MPEG-2, H.264 and H.265 (``chroma_loc = left``), on the luma column 2k
and midway between the luma rows 2k and 2k+1. So a chroma plane is interpolated at phases 0 and 1/2 along rows and at
-1/4 and +1/4 along columns. Both directions below use this siting; with the centred siting of JPEG every conversion
would move the colours by a quarter of a pixel.

Up, ``upsample``: the cubic of Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP
29 (1981), a = -1/2 (Catmull-Rom), four taps. Its weights at these phases are dyadic, so integers over 16 and 128
hold them exactly.

Down, ``downsample``: the shortest filter that (nearly) inverts ``upsample``: among the filters D of 13 taps along
rows and 12 along columns with D U = 1, the one of least energy, which is close to the least-squares inverse (U'U)^-1
U'. Rows and columns are extended at the borders by the reflections under which symmetric biorthogonal filters invert
each other (Strang and Nguyen, "Wavelets and Filter Banks", 1996, section 8.3), so borders lose nothing either.
What that buys: a decoded 4:2:0 file that passes through RGB and back keeps its chroma, which averaging and bilinear
interpolation would blur each time (`colour` states the decibels).

All arithmetic is on integers, so the result is the same on every machine.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Weights of c[k-1], c[k], c[k+1], c[k+2] at phase 1/2, over 16; at phase 0 the sample itself.
UP_HALF = (-1, 9, 9, -1)
# Weights of c[k-2], c[k-1], c[k], c[k+1] at phase -1/4, over 128; at +1/4 mirrored.
UP_QUARTER = (-3, 29, 111, -9)
UP_BITS_ROW, UP_BITS_COLUMN = 4, 7

# One half of each inverse, over 2**14; DOWN_ROW starts at the centre tap, DOWN_COLUMN at the two middle taps.
DOWN_ROW = (10622, 4992, -1846, -1156, 963, 0, -72)
DOWN_COLUMN = (9085, 691, -2288, 147, 822, -265)
DOWN_BITS = 14
MARGIN = (5, 6)  # rows above and below that `downsample` looks at


def reflection(n: int, before: int, after: int, *, repeat_first: bool, repeat_last: bool) -> Tensor:
    """Indices -before .. n-1+after folded back into 0 .. n-1.

    A border is mirrored about its outermost sample, or about the point half a sample further out when that
    sample is to be repeated.
    """
    i = torch.arange(-before, n + after)
    first = 1 if repeat_first else 0  # mirror point is -first/2
    last = 1 if repeat_last else 0  # and n - 1 + last/2
    period = 2 * (n - 1) + first + last
    if period == 0:
        return torch.zeros_like(i)
    i = torch.remainder(i, period)
    return torch.where(i > n - 1, period - first - i, i)


def rows_to_upsample(rows: int) -> Tensor:
    """Indices of the chroma rows that `upsample` expects: all ``rows`` of a plane and two more at either end."""
    return reflection(rows, 2, 2, repeat_first=True, repeat_last=True)


def upsample(c: Tensor, height: int, width: int) -> Tensor:
    """4:2:0 chroma to full resolution.

    c: int32 (..., ceil(height/2) + 4, ceil(width/2)): two chroma rows more above and below, so that a picture
    can be converted band by band (`rows_to_upsample`). Returns int32 (..., height, width), scaled by 2**11
    (`UP_BITS_ROW` + `UP_BITS_COLUMN`) so that nothing is rounded; input of up to 11 bits and sign fits.
    """
    rows, columns = c.shape[-2] - 4, c.shape[-1]
    tap = [c.narrow(-2, i, rows) for i in range(5)]
    full = c.new_empty(*c.shape[:-2], height, columns)
    odd = full[..., 1::2, :]
    _weighted(full[..., 0::2, :], tap[:4], UP_QUARTER)
    _weighted(odd, [t.narrow(-2, 0, odd.shape[-2]) for t in tap[1:]], UP_QUARTER[::-1])

    e = full.index_select(-1, reflection(columns, 1, 2, repeat_first=False, repeat_last=width % 2 == 0))
    out = c.new_empty(*c.shape[:-2], height, width)
    torch.mul(full, 1 << UP_BITS_ROW, out=out[..., 0::2])
    half = width // 2
    _weighted(out[..., 1::2], [e.narrow(-1, i, half) for i in range(4)], UP_HALF)
    return out


def rows_to_downsample(rows: int) -> Tensor:
    """Indices of the full-resolution rows that `downsample` expects: all ``rows`` and `MARGIN` more at either end."""
    above, below = MARGIN
    return reflection(rows, above, below, repeat_first=True, repeat_last=True)


def downsample(x: Tensor, height: int) -> Tensor:
    """Full-resolution chroma to 4:2:0, the inverse of `upsample`.

    x: int32 (..., at least height + 11, W), at most 15 bits and sign: the rows wanted with `MARGIN` around them
    (`rows_to_downsample`). Returns int32 (..., ceil(height/2), ceil(W/2)) in the same scale, rounded after each
    direction.
    """
    width = x.shape[-1]
    n, reach = (width + 1) // 2, len(DOWN_ROW) - 1
    e = x.index_select(-1, reflection(width, reach, reach + 1, repeat_first=False, repeat_last=False))
    tap = [e[..., i : i + 2 * n - 1 : 2] for i in range(2 * reach + 1)]
    total = tap[reach] * DOWN_ROW[0]
    for i, weight in enumerate(DOWN_ROW[1:], 1):
        if weight:
            total.add_(tap[reach - i] + tap[reach + i], alpha=weight)
    x = rounded_shift_(total, DOWN_BITS)

    n, reach = (height + 1) // 2, len(DOWN_COLUMN)
    tap = [x[..., i : i + 2 * n - 1 : 2, :] for i in range(2 * reach)]
    total = torch.zeros_like(tap[0])
    for i, weight in enumerate(DOWN_COLUMN):
        total.add_(tap[reach - 1 - i] + tap[reach + i], alpha=weight)
    return rounded_shift_(total, DOWN_BITS)


def rounded_shift_(x: Tensor, bits: int) -> Tensor:
    """x / 2**bits rounded to the nearest integer, halves up, in place."""
    return x.add_(1 << (bits - 1)).bitwise_right_shift_(bits)


def _weighted(out: Tensor, terms: list[Tensor], weights: tuple[int, ...]) -> None:
    torch.mul(terms[0], weights[0], out=out)
    for term, weight in zip(terms[1:], weights[1:], strict=True):
        out.add_(term, alpha=weight)
