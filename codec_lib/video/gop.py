"""The order in which the frames of a clip are coded, and what each may refer to.

Display order is how frames are shown; coding order is how they stand in the stream. Low delay codes them as they come;
random access codes a pyramid of B frames, each between two frames that are already there, as the hierarchical-B
structure of Schwarz, Marpe and Wiegand, "Analysis of hierarchical B pictures and MCTF", ICME 2006, and the
random-access common test conditions of HEVC and VVC (JVET-T2010).
"""

from __future__ import annotations

from dataclasses import dataclass

from codec_lib.errors import UsageError


@dataclass(frozen=True)
class CodedFrame:
    """One frame in coding order.

    index: place in display order, from 0. references: frames (display index) that it may be predicted from, the nearest
    past one first; empty for an intra frame. level: depth in the pyramid: 0 for frames that the rest stands on;
    frames of level n refer to lower levels only (in low delay: to level 0), so dropping the highest levels leaves a
    decodable clip.
    """

    index: int
    references: tuple[int, ...]
    level: int = 0

    @property
    def kind(self) -> str:
        """One of "I", "P" (refers to the past only) and "B" (also to the future)."""
        if not self.references:
            return "I"
        return "B" if any(r > self.index for r in self.references) else "P"


def low_delay(frames: int, *, intra_period: int | None = None, references: int = 1) -> list[CodedFrame]:
    """I P P P ...: display order; a P frame refers to up to ``references`` frames before it, never across an I frame.

    intra_period: distance between I frames; None for one I frame at the start.
    """
    _positive(frames=frames, references=references, intra_period=intra_period)
    order, intra = [], 0
    for t in range(frames):
        if intra_period and t % intra_period == 0:
            intra = t
        order.append(CodedFrame(t, tuple(range(t - 1, max(intra, t - references) - 1, -1))))
    return order


def random_access(frames: int, *, gop: int = 32, intra_period: int | None = None) -> list[CodedFrame]:
    """Anchors every ``gop`` frames, and between two anchors a pyramid of B frames by repeated halving.

    intra_period: distance between I frames, a multiple of ``gop`` (None: ``gop``, so each anchor is an I frame and
    every GOP can be entered by itself); the other anchors are P frames. A last GOP that is not full ends in an
    anchor on the last frame, a P frame. gop need not be a power of two.
    """
    intra_period = gop if intra_period is None else intra_period
    _positive(frames=frames, gop=gop, intra_period=intra_period)
    if intra_period % gop:
        raise UsageError(f"intra period {intra_period} is no multiple of the GOP size {gop}")
    order = [CodedFrame(0, ())]
    for start in range(0, frames - 1, gop):
        end = min(start + gop, frames - 1)
        order.append(CodedFrame(end, () if end % intra_period == 0 else (start,)))
        order.extend(_between(start, end, 1))
    return order


def _between(left: int, right: int, level: int) -> list[CodedFrame]:
    """The B frames strictly between two coded ones, the middle first."""
    if right - left < 2:
        return []
    middle = (left + right) // 2
    return [
        CodedFrame(middle, (left, right), level),
        *_between(left, middle, level + 1),
        *_between(middle, right, level + 1),
    ]


def _positive(**values: int | None) -> None:
    for name, value in values.items():
        if value is not None and value < 1:
            raise UsageError(f"{name.replace('_', ' ')} must be 1 or more, not {value}")
