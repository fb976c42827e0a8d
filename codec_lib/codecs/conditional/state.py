"""What coding one frame leaves to the next, and what an encoder or decoder has of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor


class Earlier(NamedTuple):
    """Of the frame before: its latents in sixteenths (N, C, h, w), whether the I-frame codec coded it, its quality, and the
    features of its prior, None after an I frame."""

    y16: Tensor
    from_intra: bool
    quality: int
    features: Tensor | None = None


@dataclass(frozen=True)
class State:
    """What a decoded frame leaves to the next. frame: uint8 (1, 3, H, W), padded. feature: float, None after an I frame.
    earlier: its latents. motion: its field int16 (2, R, C), or what learned motion leaves; None after an I frame. t: its
    number in the stream. signal, c0, flow: float, what was decoded (frame is its picture, unless a generator in the
    coding loop drew another), the finest context and the motion it was decoded with; None after an I frame."""

    frame: Tensor
    feature: Tensor | None
    earlier: Earlier
    motion: Any
    t: int = 0
    signal: Tensor | None = None
    c0: Tensor | None = None
    flow: Tensor | None = None


@dataclass(frozen=True)
class Coded:
    """A frame as an encoder or decoder has it.

    payload: bytes. symbols: (motion if any, z, y). state: what it leaves. classes: from an encoder of P frames the scale class of
    each symbol of all symbols but the first; None for those that have tables of their own.
    """

    payload: bytes
    symbols: tuple[np.ndarray, ...]
    state: State
    classes: tuple[np.ndarray | None, ...] = ()
