"""What frames leave to the frames after them while training, and what coding one gives."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class MotionMemory(NamedTuple):
    """What learned motion leaves to the next frame. feature: of its decoder, (N, C, H/4, W/4). y_hat: its latents, (N, C, H/16,
    W/16)."""

    feature: Tensor
    y_hat: Tensor


class Reference(NamedTuple):
    """What a frame leaves to the next. x_hat: decoded frame (N, 3, H, W). feature: (N, F, H/fold, W/fold), None after an I
    frame. y_hat: its latents, (N, C, H/16, W/16). u: its relative quality, (N,). motion: None after an I frame and where motion
    is not learned. t: its number. expected: the features of its prior, None after an I frame. signal: what was decoded, of which
    x_hat is the picture; None after an I frame."""

    x_hat: Tensor
    feature: Tensor | None
    y_hat: Tensor
    u: Tensor
    motion: MotionMemory | None = None
    t: int = 0
    expected: Tensor | None = None
    signal: Tensor | None = None


class CodedMotion(NamedTuple):
    """flow: float32 (N, 2, H, W) in pixels. memory: for the next frame. bits: of the motion, (N,); zero for motion on the
    lattice, whose bits training does not see."""

    flow: Tensor
    memory: MotionMemory | None
    bits: Tensor


class PFrame(NamedTuple):
    """A coded P frame: what it leaves to the next, the prediction of its signal, the bits of y, z and motion, (N,), the signal that
    was coded, the finest context, and the motion in pixels, (N, 2, H, W)."""

    reference: Reference
    x_bar: Tensor
    bits_y: Tensor
    bits_z: Tensor
    bits_motion: Tensor
    signal: Tensor
    c0: Tensor
    flow: Tensor
