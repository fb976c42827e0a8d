"""Motion estimation for encoders: dense flow for ideas, then a search over lattice vectors that counts bits.

Decoders know nothing of this; any search that returns a field will do. This one minimises, over fields of the lattice,

    sum of squared luma differences (frame against warped reference) + weight * bits

from the coarsest lattice to the finest. On each, nodes start as their predictions, which cost next to nothing, and leave them
where that pays: for a vector nearby, for that of the frame before, or for what DIS optical flow (Kroeger et al. 2016, OpenCV)
found there. At spacings of 16 and 8 all nodes, those of coarser lattices included, are then adjusted together. Nodes two steps
apart do not share pixels, so a quarter of all nodes can try the same kind of move at once, and a move is judged for all of
them by one warp of the whole frame.

The reference is enlarged first with a sharp filter, as precise as the decoder's spline. A search that compares with linear
interpolation prefers positions where that blurs least, and loses half a decibel of prediction.
"""

from __future__ import annotations

import cv2
import numpy as np

from codec_lib.codecs.conditional.lattice import COARSEST, REACH, SPACING, STEPS, UNIT, hat_weights, predict, refine

MOVES = tuple((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy)
LENGTHS = {64: (16, 8, 4, 2), 32: (8, 4, 2), 16: (8, 4, 2), 8: (8, 4, 2, 1)}
"""Lengths of the moves that are tried on each lattice, in eighths of a pixel, one round each."""
JOINT_LENGTHS = {16: (8, 4, 2), 8: (8, 4, 2, 1, 2, 1)}
"""Lattices on which all nodes are adjusted together, and the moves tried there."""
START_SPACING = 16
"""The lattice on which a search goes on from a field found with a higher weight."""
ENLARGED = 4
"""How much larger the reference is made."""
WEIGHT_TIMES_LAMBDA = 1.0
"""The weight for a frame coded with lambda is this over lambda, so a bit of motion is worth what a bit of latents is worth. On
two dev clips 2 cost up to one percent more in BD-rate, 4 seven percent."""
BITS_NONZERO, BITS_PER_OCTAVE = 5.0, 1.2
"""Rough cost of a vector component that leaves its prediction."""
NEAR = np.ones((3, 3), np.float32)


def luma(frame: np.ndarray) -> np.ndarray:
    """Luma of an RGB frame, float32 (H, W) in 0..255, from uint8 (H, W, 3)."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)


class Matcher:
    """Squared error around each node of a lattice, for any field on it.

    current: luma float32 (H, W), sides multiples of the spacing. reference: likewise, or already `enlarged`. Buffers are kept:
    of a frame's size, getting memory takes as long as the arithmetic.
    """

    def __init__(self, current: np.ndarray, reference: np.ndarray, spacing: int):
        height, width = current.shape
        self.spacing = spacing
        self.current = current
        self.reference = enlarged(reference) if reference.dtype == np.float32 else reference
        self.rows, self.columns = hat_weights(height, spacing), hat_weights(width, spacing).T.copy()
        self.blocks = np.zeros((height // spacing + 2, width // spacing + 2), np.float32)  # with a border of nothing
        y, x = np.mgrid[0 : height + 1 : spacing, 0 : width + 1 : spacing]
        self.places = np.stack([x, y]).astype(np.float32)  # of the nodes, in pixels
        self.map = np.empty((2, height, width), np.float32)
        self.warped = np.empty((height, width), np.uint8)
        self.difference = np.empty((height, width), np.float32)

    def positions(self, nodes: np.ndarray) -> np.ndarray:
        """Where each pixel looks in the enlarged reference, float32 (2, H, W): overwritten by the next call."""
        ends = self.places + nodes.astype(np.float32) / UNIT  # bilinear interpolation is exact for a pixel's own place
        ends = ENLARGED * ends + (ENLARGED - 1) / 2
        for end, out in zip(ends, self.map, strict=True):
            np.matmul(self.rows, end @ self.columns, out=out)
        return self.map

    def error(self, nodes: np.ndarray) -> np.ndarray:
        """Sum of squared differences over the four blocks around each node, which are all that it moves, float32 (R, C)."""
        x, y = self.positions(nodes)
        cv2.remap(self.reference, x, y, cv2.INTER_LINEAR, dst=self.warped, borderMode=cv2.BORDER_REPLICATE)
        np.subtract(self.warped, self.current, out=self.difference)
        np.multiply(self.difference, self.difference, out=self.difference)
        b, size = self.blocks, self.spacing
        means = cv2.resize(self.difference, (b.shape[1] - 2, b.shape[0] - 2), interpolation=cv2.INTER_AREA)
        np.multiply(means, size * size, out=b[1:-1, 1:-1])
        return b[:-1, :-1] + b[:-1, 1:] + b[1:, :-1] + b[1:, 1:]


def search(current: np.ndarray, reference: np.ndarray, weight: float, previous: np.ndarray | None = None,
           flow: np.ndarray | None = None, start: np.ndarray | None = None) -> np.ndarray:
    """Field for predicting ``current`` from ``reference``.

    current, reference: luma float32 (H, W) in 0..255, sides multiples of 64. weight: squared error that a bit is worth.
    previous: field of the frame before, for ideas. flow: dense flow to take ideas from, DIS unless given.
    start: a field found with a higher weight, whose nodes of spacing 16 are begun with; that takes half the time.
    Returns int16 (2, H/8 + 1, W/8 + 1).
    """
    large = enlarged(reference)
    flow = dense_flow(current, reference) if flow is None else flow
    nodes = None if start is None else start[:, ::2, ::2]
    for spacing, lengths in LENGTHS.items():
        if start is not None and spacing > START_SPACING:
            continue
        matcher = Matcher(current, large, spacing)
        every = spacing // SPACING
        ideas = [averaged(flow, spacing)] + ([] if previous is None else [previous[:, ::every, ::every]])
        if nodes is None:
            nodes = adjust(matcher, weight, np.zeros_like(ideas[0]), lengths, ideas)
        elif start is None or spacing < START_SPACING:
            nodes = leave_predictions(matcher, weight, refine(nodes), lengths, ideas)
        if spacing in JOINT_LENGTHS:
            nodes = adjust(matcher, weight, nodes, JOINT_LENGTHS[spacing], ideas)
    return nodes


def search_each(current: np.ndarray, reference: np.ndarray, weights: tuple[float, ...], previous: np.ndarray | None = None
                ) -> np.ndarray:
    """Fields for several weights, the highest first: int16 (weights, 2, H/8 + 1, W/8 + 1). previous: those of the frame
    before."""
    flow = dense_flow(current, reference)
    fields = []
    for i, weight in enumerate(weights):
        before = None if previous is None else previous[i]
        fields.append(search(current, reference, weight, before, flow, start=fields[-1] if fields else None))
    return np.stack(fields)


def adjust(matcher: Matcher, weight: float, nodes: np.ndarray, lengths: tuple[int, ...], ideas: list[np.ndarray]) -> np.ndarray:
    """Let all nodes of a lattice try moves, their neighbours' vectors and ``ideas``, a quarter of them at a time.

    A node answers for its own bits and for those of its eight neighbours, whose predictions it may be part of.
    """
    def cost(n: np.ndarray) -> np.ndarray:
        bits = cv2.filter2D(rough_bits(n, matcher.spacing), -1, NEAR, borderType=cv2.BORDER_CONSTANT)
        return matcher.error(n) + weight * bits

    for i, length in enumerate(lengths):
        for row in (0, 1):
            for column in (0, 1):
                chosen = np.zeros(nodes.shape[1:], bool)
                chosen[row::2, column::2] = True
                trials = [np.where(chosen, idea, nodes) for idea in ideas] if i == 0 else []
                trials += [_moved(nodes, chosen, length * dx, length * dy) for dx, dy in MOVES]
                trials += [_copied(nodes, chosen, shift) for shift in ((1, 0), (-1, 0), (0, 1), (0, -1))]
                nodes = _best(nodes, trials, chosen, cost)
    return nodes


def leave_predictions(matcher: Matcher, weight: float, nodes: np.ndarray, lengths: tuple[int, ...], ideas: list[np.ndarray]
                      ) -> np.ndarray:
    """Let the nodes between those of the coarser lattice, which begin as predictions, take vectors that are worth their bits."""
    diagonal, axial = STEPS[-2:]  # on its own lattice every level looks like the last one
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

        nodes = follow(_best(nodes, [follow(np.where(chosen, idea, nodes)) for idea in ideas], chosen, cost))
        for length in lengths:
            trials = [follow(_moved(nodes, chosen, length * dx, length * dy)) for dx, dy in MOVES]
            nodes = follow(_best(nodes, trials, chosen, cost))
    return nodes


def enlarged(picture: np.ndarray) -> np.ndarray:
    """A luma picture float32 (H, W) four times as large, uint8 (4 H, 4 W)."""
    height, width = picture.shape
    large = cv2.resize(picture, (ENLARGED * width, ENLARGED * height), interpolation=cv2.INTER_LANCZOS4)
    return large.round().clip(0, 255).astype(np.uint8)


def dense_flow(current: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """DIS optical flow from ``current`` to ``reference``, float32 (2, H, W) in pixels."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(current.astype(np.uint8), reference.astype(np.uint8), None).transpose(2, 0, 1)


def averaged(flow: np.ndarray, spacing: int) -> np.ndarray:
    """Average of a dense flow around each node of a lattice, in eighths of a pixel, int16 (2, R, C)."""
    blurred = [cv2.blur(c, (spacing, spacing), borderType=cv2.BORDER_REPLICATE) for c in flow]
    padded = np.stack([np.pad(c, ((0, 1), (0, 1)), mode="edge") for c in blurred])
    return np.rint(UNIT * padded[:, ::spacing, ::spacing]).clip(-REACH, REACH).astype(np.int16)


def rough_bits(nodes: np.ndarray, spacing: int) -> np.ndarray:
    """Rough bits of every node of a field of the given spacing, float32 (R, C)."""
    bits = np.zeros(nodes.shape[1:], np.float32)
    every = COARSEST // spacing
    bits[::every, ::every] = _step_bits(nodes[:, ::every, ::every]) / 2
    while every > 1:
        every //= 2
        lattice, share = nodes[:, ::every, ::every], bits[::every, ::every]
        for step in STEPS[-2:]:
            for (rows, columns), predicted in zip(step.slices, predict(lattice, step), strict=True):
                share[rows, columns] = _residual_bits(lattice[:, rows, columns] - predicted)
    return bits


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


def _step_bits(nodes: np.ndarray) -> np.ndarray:
    """Logarithms of the steps from each node to its four neighbours."""
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
