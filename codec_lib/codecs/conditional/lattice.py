"""The motion field of a frame: vectors at the nodes of a lattice, interpolated between them.

Nodes lie every 8 pixels, at pixel (8 i, 8 j), borders included: a padded frame of H x W pixels has (H/8 + 1) x (W/8 + 1). A
vector is two integers, (x, y) in eighths of a pixel; it points from a pixel of this frame to where the reference has it. Between
nodes the flow is bilinear (control grid interpolation, Sullivan and Baker 1991), so it has no blocks.

The lattice of spacing 8 contains those of spacing 16, 32 and 64. That gives an order in which to send nodes: the coarsest
first, then level by level the ones in between, each predicted from neighbours that are there already:

    raster      spacing 64: in reading order, from left, top and top right
    diagonal    in the middle of four known nodes       x . x
                                                        . d .
                                                        x . x
    axial       between two known and two diagonal ones (three in all at the border)

A node that equals its prediction continues the flow smoothly and costs next to nothing. So fine motion costs bits only
where it is: a field may be as coarse as 64 pixels here and as fine as 8 there, without any signalling of block sizes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

SPACING = 8
"""Pixels between neighbouring nodes."""
COARSEST = 64
"""Pixels between nodes of the coarsest level; frame sides are multiples of it."""
UNIT = 8
"""Steps of a vector in a pixel."""
REACH = 2047
"""Largest magnitude of a component, in steps: more than 255 pixels."""


def lattice_shape(height: int, width: int, spacing: int = SPACING) -> tuple[int, int]:
    """Rows and columns of nodes for a frame whose sides are multiples of 64."""
    return height // spacing + 1, width // spacing + 1


@dataclass(frozen=True)
class Step:
    """Nodes that are sent together. spacing: pixels between nodes once the step is done.

    kind: "raster", "diagonal" or "axial". slices: (rows, columns) of these nodes in the full lattice, one pair for each
    regular set of them.
    """

    spacing: int
    kind: str

    @property
    def slices(self) -> tuple[tuple[slice, slice], ...]:
        s = self.spacing // SPACING
        old, new = slice(0, None, 2 * s), slice(s, None, 2 * s)
        if self.kind == "raster":
            return ((slice(0, None, s), slice(0, None, s)),)
        return ((new, new),) if self.kind == "diagonal" else ((new, old), (old, new))


STEPS = (Step(64, "raster"), *(Step(s, kind) for s in (32, 16, 8) for kind in ("diagonal", "axial")))
"""Coding order. Every node belongs to exactly one step."""


@lru_cache(maxsize=256)
def neighbours(step: Step, shape: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Where the nodes of a diagonal or axial step look: for each of its sets, (rows, columns, inside).

    rows, columns: (4, n, m) of the four neighbours, clipped to the lattice; inside: whether each exists. Remembered, and not to be
    written to: working this out takes a third of the time of a motion search.
    """
    s = step.spacing // SPACING
    moves = ((-s, -s), (-s, s), (s, -s), (s, s)) if step.kind == "diagonal" else ((-s, 0), (s, 0), (0, -s), (0, s))
    found = []
    for row_slice, column_slice in step.slices:
        i, j = np.arange(shape[0])[row_slice, None], np.arange(shape[1])[None, column_slice]
        rows = np.stack([np.broadcast_to(i + di, (i.size, j.size)) for di, _ in moves])
        columns = np.stack([np.broadcast_to(j + dj, (i.size, j.size)) for _, dj in moves])
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        found.append((rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1), inside))
    return found


def predict(nodes: np.ndarray, step: Step) -> list[np.ndarray]:
    """Rounded mean of the known neighbours, for each set of a diagonal or axial step.

    nodes: integers (2, R, C), those of earlier steps filled in. Returns integers, (2, n, m) for each set.
    """
    predicted = []
    for rows, columns, inside in neighbours(step, nodes.shape[1:]):
        total = (nodes[:, rows, columns] * inside).sum(axis=1)  # (2, n, m)
        count = inside.sum(axis=0)
        predicted.append((2 * total + count) // (2 * count))
    return predicted


def refine(coarse: np.ndarray) -> np.ndarray:
    """A field of twice the spacing, (2, r, c), on the lattice of spacing 8: the nodes in between are predictions."""
    rows, columns = 2 * coarse.shape[1] - 1, 2 * coarse.shape[2] - 1
    nodes = np.zeros((2, rows, columns), coarse.dtype)
    nodes[:, ::2, ::2] = coarse
    for step in STEPS[-2:]:
        for (r, c), value in zip(step.slices, predict(nodes, step), strict=True):
            nodes[:, r, c] = value
    return nodes


def hat_weights(length: int, spacing: int = SPACING) -> np.ndarray:
    """Weights of linear interpolation from nodes to pixels, float32 (length, length / spacing + 1); rows sum to 1."""
    distance = np.abs(np.arange(length)[:, None] - spacing * np.arange(length // spacing + 1)[None, :])
    return np.maximum(0, 1 - distance / spacing).astype(np.float32)


def flow_from_nodes(nodes: Tensor, spacing: int = SPACING) -> Tensor:
    """Dense flow in pixels, float32 (N, 2, H, W), of fields (N, 2, H/spacing + 1, W/spacing + 1) of motion vectors."""
    height, width = (spacing * (n - 1) for n in nodes.shape[-2:])
    rows, columns = (torch.from_numpy(hat_weights(n, spacing)).to(nodes.device) for n in (height, width))
    return rows @ (nodes.float() / UNIT) @ columns.T
