"""Photographs under a moving camera: training sequences that are sharp, may stand still, and whose motion is known exactly.

Clips of real video are chosen because something moves in them, and have been compressed before. A codec that learns from them
alone never learns to leave a sharp still picture as it is.
"""

from __future__ import annotations

import math
import random

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.conditional.lattice import REACH, SPACING, UNIT
from codec_lib.video.camera import Layer, Pose, path, render

STILL, SLOW = 0.3, 0.4
"""Shares of sequences that stand still, and that move by less than `SLOW_SPEED`; the rest moves by up to `FAST_SPEED`."""
SLOW_SPEED, FAST_SPEED = 1.5, 8.0
"""Pixels a frame."""
SCALES = (1.0, 2.0)
"""Range of photograph pixels to a frame pixel."""
TURN, ZOOM = 0.6, 0.006
"""Of fast sequences, at most: degrees, and relative change of size, in a frame."""
MARGIN = 8
LIGHTER = 0.35
"""Largest logarithm of the exponent of brightness of a varied photograph."""


def film(photograph: Tensor, frames: int, side: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Move a camera over a photograph, uint8 (3, H, W).

    Returns frames uint8 (T, 3, side, side) and the motion between them, int16 (T - 1, 2, side/8 + 1, side/8 + 1): entry t
    leads from frame t + 1 back to frame t. Beyond its border the photograph is mirrored.
    """
    kind, steps = rng.random(), frames - 1
    speed = 0.0 if kind < STILL else rng.uniform(0, SLOW_SPEED if kind < STILL + SLOW else FAST_SPEED)
    fast = kind >= STILL + SLOW
    heading, turn = rng.uniform(0, 2 * np.pi), rng.uniform(-TURN, TURN) * steps * fast
    scale = min(rng.uniform(*SCALES), min(photograph.shape[1:]) / side)
    zoom = (1 + rng.uniform(-ZOOM, ZOOM) * fast) ** steps
    dx, dy = (scale * speed * steps * f(heading) for f in (np.cos, np.sin))
    half = scale * max(zoom, 1) * side / 2 * (1.5 if fast else 1) + MARGIN
    top, left = (_corner(length, 2 * half + abs(d), rng) for length, d in zip(photograph.shape[1:], (dy, dx), strict=True))
    part = photograph[:, top : top + int(2 * half + abs(dy)), left : left + int(2 * half + abs(dx))]
    middle_x, middle_y = part.shape[2] / 2, part.shape[1] / 2
    start = Pose(middle_x - dx / 2, middle_y - dy / 2, scale, -turn / 2)
    end = Pose(middle_x + dx / 2, middle_y + dy / 2, scale * zoom, turn / 2)
    matrices = path(start, end, frames, (side, side))
    layer = Layer(np.ascontiguousarray(part.permute(1, 2, 0).numpy()), matrices)
    video = render([layer], (side, side), fps=24, name="film")
    return video.frames, torch.from_numpy(np.stack([_backward(a, b, side) for a, b in zip(matrices, matrices[1:], strict=False)]))


def varied(photograph: Tensor, rng: random.Random) -> Tensor:
    """A photograph, uint8 (3, H, W), turned by quarters, mirrored, and made lighter or darker, as ``rng`` says: texture has no upside."""
    picture = torch.rot90(photograph, rng.randrange(4), (1, 2))
    picture = picture.flip(2) if rng.random() < 0.5 else picture
    gamma = math.exp(rng.uniform(-LIGHTER, LIGHTER))
    return (255 * (picture.float() / 255).pow(gamma)).round().to(torch.uint8)


def _corner(length: int, wanted: float, rng: random.Random) -> int:
    return rng.randint(0, max(0, length - int(wanted)))


def _backward(earlier: np.ndarray, later: np.ndarray, side: int) -> np.ndarray:
    """Where the nodes of the later frame stand in the earlier one, as motion vectors."""
    y, x = np.mgrid[0 : side + 1 : SPACING, 0 : side + 1 : SPACING].astype(np.float64)
    at = np.einsum("ij,j...->i...", np.linalg.inv(earlier) @ later, np.stack([x, y, np.ones_like(x)]))
    vectors = at[:2] / at[2] - np.stack([x, y])
    return np.rint(UNIT * vectors).clip(-REACH, REACH).astype(np.int16)
