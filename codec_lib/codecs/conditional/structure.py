"""How an encoder gives out qualities, and which frames are I frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from codec_lib.errors import UsageError


@dataclass(frozen=True)
class Structure:
    """How an encoder gives out qualities; decoders read them frame by frame and need not know.

    intra_period: frames between I frames; 0: only the first (and where nothing else helps, see ``cut``).
    intra_offset: how much the quality of I frames is above that asked for.
    intra_slope: by how much it rises with that asked for; 1: with all of it, 0: it is ``intra_offset`` throughout.
    still_offset: how much more, where the next frame stands still, in proportion to the share of it that does (`stillness`): what
        an I frame has is then kept for long.
    offsets: the same for P frames, by number of the frame modulo their count (hierarchical quality).
    refresh: an I frame is sent once P frames have lacked so much, in relation to its price; infinite: never. See `Wear`. When that is,
        a first pass finds out.
    cut: where the prediction's squared error exceeds this share of the frame's own variance, an I frame is sent instead, as
        after a cut of scene; infinite: never.
    """

    intra_period: int = 0
    intra_offset: int = 14
    intra_slope: float = 1.0
    still_offset: int = 9
    offsets: tuple[int, ...] = (0, 0, 0, 0)
    refresh: float = math.inf
    cut: float = 0.5

    def __post_init__(self):
        if self.intra_period < 0 or not self.offsets or not 0 <= self.intra_slope < math.inf:
            raise UsageError("intra_period and intra_slope must be 0 or more, offsets at least one number")
        if not (self.cut > 0 and self.refresh > 0):
            raise UsageError("cut and refresh must be positive")

    def quality(self, t: int, asked: int, intra: bool, highest: int, still: float = 0.0) -> int:
        """Quality of frame t. still: share of the next frame that stands still, for an I frame."""
        if intra:
            wanted = round(self.intra_slope * asked) + self.intra_offset + round(still * self.still_offset)
        else:
            wanted = asked + self.offsets[t % len(self.offsets)]
        return min(max(wanted, 0), highest)


def stillness(frame: Tensor, following: Tensor, cell: int = 16, least: float = 2.0) -> float:
    """Share of the cells of 16x16 pixels that hardly change from one frame to the next, both uint8 (3, H, W): by less than
    ``least`` of 255 on average."""
    change = (frame.float() - following.float()).abs().mean(dim=0)[None, None]
    return float((F.avg_pool2d(change, cell, ceil_mode=True, count_include_pad=False) < least).float().mean())
