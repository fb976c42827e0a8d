"""Motion estimation for encoders: dense flow to start with, then a search over lattice vectors that counts bits.

Decoders know nothing of this; any search that returns a field will do. This one minimises, over fields of the lattice,

    sum of squared luma differences (frame against warped reference) + weight * bits

by coordinate descent. Nodes two steps apart do not share pixels, so a quarter of all nodes can try the same move at
once, and a move is judged for all of them by one warp of the whole frame.

Start: DIS optical flow (Kroeger et al. 2016, OpenCV), averaged to a spacing of 16. On that lattice nodes try steps and
their neighbours' vectors; then the nodes in between are filled in by prediction, and leave it where that pays.
"""

from __future__ import annotations

import cv2
import numpy as np

from codec_lib.codecs.conditional.lattice import REACH, SPACING, STEPS, UNIT, hat_weights, predict, refine

COARSE = 2 * SPACING
MOVES = tuple((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy)
COARSE_STEPS, FINE_STEPS = (4, 2, 1, 1), (4, 2, 1)
"""Lengths of the moves that are tried, in quarter pixels, one round each."""
LEVEL_WEIGHTS = (1600.0, 400.0, 100.0)
"""Squared luma error that a bit is worth, for low, middle and high qualities."""
BITS_NONZERO, BITS_PER_OCTAVE = 2.5, 1.5
"""Rough cost of a vector component that leaves its prediction."""


def luma(frame: np.ndarray) -> np.ndarray:
    """Luma of an RGB frame, float32 (H, W) in 0..255, from uint8 (H, W, 3)."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


class Matcher:
    """Squared error around each node of a lattice, for any field on it.

    current, reference: luma float32 (H, W), sides multiples of the spacing. Buffers are kept: of a frame's size, getting
    memory takes as long as the arithmetic.
    """

    def __init__(self, current: np.ndarray, reference: np.ndarray, spacing: int):
        height, width = current.shape
        self.current, self.reference = current, reference.round().astype(np.uint8)
        self.rows, self.columns = hat_weights(height, spacing), hat_weights(width, spacing).T.copy()
        self.near_rows, self.near_columns = (self.rows > 0).T.astype(np.float32), (self.columns > 0).T.astype(np.float32)
        y, x = np.mgrid[0 : height + 1 : spacing, 0 : width + 1 : spacing]
        self.places = np.stack([x, y]).astype(np.float32)  # of the nodes, in pixels
        self.map = np.empty((2, height, width), np.float32)
        self.warped = np.empty((height, width), np.uint8)
        self.difference = np.empty((height, width), np.float32)

    def positions(self, nodes: np.ndarray) -> np.ndarray:
        """Where each pixel looks in the reference, float32 (2, H, W): overwritten by the next call."""
        ends = self.places + nodes.astype(np.float32) / UNIT  # bilinear interpolation is exact for a pixel's own place
        for end, out in zip(ends, self.map, strict=True):
            np.matmul(self.rows, end @ self.columns, out=out)
        return self.map

    def error(self, nodes: np.ndarray) -> np.ndarray:
        """Sum of squared differences over the pixels that each node moves, float32 (R, C)."""
        x, y = self.positions(nodes)
        cv2.remap(self.reference, x, y, cv2.INTER_LINEAR, dst=self.warped, borderMode=cv2.BORDER_REPLICATE)
        np.subtract(self.warped, self.current, out=self.difference)
        np.multiply(self.difference, self.difference, out=self.difference)
        return self.near_rows @ self.difference @ self.near_columns


def search(current: np.ndarray, reference: np.ndarray, weight: float, start: np.ndarray | None = None) -> np.ndarray:
    """Field for predicting ``current`` from ``reference``.

    current, reference: luma float32 (H, W) in 0..255, sides multiples of 64. weight: squared error that a bit is worth.
    start: a field of spacing 16 to begin with, in place of DIS flow. Returns int16 (2, H/8 + 1, W/8 + 1).
    """
    coarse = search_coarse(current, reference, weight, start)
    return search_fine(current, reference, weight, coarse)


def search_levels(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Fields for all of `LEVEL_WEIGHTS`, int16 (levels, 2, H/8 + 1, W/8 + 1), each search begun where the last one ended."""
    fields, coarse = [], None
    for weight in LEVEL_WEIGHTS:
        coarse = search_coarse(current, reference, weight, coarse)
        fields.append(search_fine(current, reference, weight, coarse))
    return np.stack(fields)


def search_coarse(current: np.ndarray, reference: np.ndarray, weight: float, start: np.ndarray | None = None) -> np.ndarray:
    """The first half of `search`: a field of spacing 16, int16 (2, H/16 + 1, W/16 + 1)."""
    matcher = Matcher(current, reference, COARSE)
    nodes = _from_dense(dense_flow(current, reference)) if start is None else start.astype(np.int16)
    for length in COARSE_STEPS if start is None else COARSE_STEPS[-1:]:
        for row in (0, 1):
            for column in (0, 1):
                chosen = np.zeros(nodes.shape[1:], bool)
                chosen[row::2, column::2] = True
                trials = [_moved(nodes, chosen, length * dx, length * dy) for dx, dy in MOVES]
                trials += [_copied(nodes, chosen, shift) for shift in ((1, 0), (-1, 0), (0, 1), (0, -1))]
                nodes = _best(nodes, trials, chosen, lambda n: matcher.error(n) + weight * _smoothness_bits(n))
    return nodes


def search_fine(current: np.ndarray, reference: np.ndarray, weight: float, coarse: np.ndarray) -> np.ndarray:
    """The second half of `search`: from a field of spacing 16 to one of spacing 8."""
    matcher = Matcher(current, reference, SPACING)
    nodes = refine(coarse)
    diagonal, axial = STEPS[-2:]
    for step, index in ((diagonal, 0), (axial, 0), (axial, 1)):
        rows, columns = step.slices[index]
        predicted = predict(nodes, step)[index]
        chosen = np.zeros(nodes.shape[1:], bool)
        chosen[rows, columns] = True

        def follow(n: np.ndarray, step=step) -> np.ndarray:
            return _fill(n, axial) if step is diagonal else n  # axial nodes are still predictions then

        def cost(n: np.ndarray, rows=rows, columns=columns, predicted=predicted) -> np.ndarray:
            bits = np.zeros(n.shape[1:], np.float32)
            bits[rows, columns] = _residual_bits(n[:, rows, columns] - predicted)
            return matcher.error(n) + weight * bits

        for length in FINE_STEPS:
            trials = [follow(_moved(nodes, chosen, length * dx, length * dy)) for dx, dy in MOVES]
            nodes = follow(_best(nodes, trials, chosen, cost))
    return nodes


def dense_flow(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """DIS optical flow from ``current`` to ``reference``, float32 (2, H, W) in pixels."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(current.astype(np.uint8), reference.astype(np.uint8), None).transpose(2, 0, 1)


def _from_dense(flow: np.ndarray) -> np.ndarray:
    """Average of a dense flow around each node of spacing 16, in quarter pixels."""
    blurred = [cv2.blur(c, (COARSE, COARSE), borderType=cv2.BORDER_REPLICATE) for c in flow]
    padded = np.stack([np.pad(c, ((0, 1), (0, 1)), mode="edge") for c in blurred])
    return np.rint(UNIT * padded[:, ::COARSE, ::COARSE]).clip(-REACH, REACH).astype(np.int16)


def _moved(nodes: np.ndarray, chosen: np.ndarray, dx: int, dy: int) -> np.ndarray:
    trial = nodes.copy()
    trial[0, chosen] += dx
    trial[1, chosen] += dy
    return trial.clip(-REACH, REACH)


def _copied(nodes: np.ndarray, chosen: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """Chosen nodes take the vector of the neighbour one row or column away."""
    trial = nodes.copy()
    padded = np.pad(nodes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    r, c = 1 + shift[0], 1 + shift[1]
    trial[:, chosen] = padded[:, r : r + nodes.shape[1], c : c + nodes.shape[2]][:, chosen]
    return trial


def _fill(nodes: np.ndarray, step) -> np.ndarray:
    filled = nodes.copy()
    for (rows, columns), value in zip(step.slices, predict(nodes, step), strict=True):
        filled[:, rows, columns] = value
    return filled


def _best(nodes: np.ndarray, trials: list[np.ndarray], chosen: np.ndarray, cost) -> np.ndarray:
    """Each chosen node takes its vector from the trial that is best around it."""
    best, lowest = nodes.copy(), cost(nodes)
    for trial in trials:
        found = cost(trial)
        better = chosen & (found < lowest)
        lowest[better] = found[better]
        best[:, better] = trial[:, better]
    return best


def _smoothness_bits(nodes: np.ndarray) -> np.ndarray:
    """Rough bits that each node of a coarse lattice is answerable for: logarithms of its steps to its four neighbours."""
    bits = np.zeros(nodes.shape[1:], np.float32)
    down = np.log2(1 + np.abs(np.diff(nodes, axis=1))).sum(0)
    right = np.log2(1 + np.abs(np.diff(nodes, axis=2))).sum(0)
    bits[1:] += down
    bits[:-1] += down
    bits[:, 1:] += right
    bits[:, :-1] += right
    return bits


def _residual_bits(residual: np.ndarray) -> np.ndarray:
    """Rough bits of differences (2, n, m) from the prediction."""
    magnitude = np.abs(residual)
    return (BITS_NONZERO * (magnitude > 0) + BITS_PER_OCTAVE * np.log2(1 + magnitude)).sum(0)
