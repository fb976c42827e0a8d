"""Bits of a motion field: differences from the lattice's predictions, each with a table chosen by what is known around it.

What a difference is likely to be depends on four things that encoder and decoder both have: how much the neighbours differ
among themselves, how much of a surprise they were themselves, what the difference was at this node one frame ago, and, for
the vertical component, what the horizontal one turned out to be. Each is put into a few bins; a combination of bins is a
context, and contexts with similar statistics share one of a few dozen integer tables (`MotionFit`).

One routine walks the lattice for encoder, decoder and bit counter alike: they differ in ``exchange`` only, which is given
classes and, where they are known, symbols, and returns symbols.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codec_lib.codecs.conditional.lattice import REACH, STEPS, Step, lattice_shape, neighbours
from codec_lib.entropy.tables import CodingTables, from_counts

N_LEVELS = 4
"""Groups of qualities that have statistics of their own; low ones move little."""
PAST_EDGES = (1, 3, 8)
SPREAD_EDGES = (1, 4, 10, 24)
SURPRISE_EDGES = (1, 7)
OTHER_EDGES = (1, 5)
"""Lower ends of the bins after the first, in eighths of a pixel."""
BINS = (N_LEVELS, len(STEPS), len(PAST_EDGES) + 2, len(SPREAD_EDGES) + 1, len(SURPRISE_EDGES) + 1, len(OTHER_EDGES) + 2)
"""Level; step; difference one frame ago (four bins, or no earlier field); spread; surprise; the horizontal difference (three
bins, or this is the horizontal one)."""
N_CONTEXTS = int(np.prod(BINS))
N_TABLES = 48
ALPHABET = 40
"""Differences up to this magnitude have a symbol each; larger ones escape."""

Exchange = Callable[[np.ndarray | None, np.ndarray], np.ndarray]
"""exchange(symbols or None, contexts) -> symbols, all integers (n,)."""


def level_of(quality: int, n_qualities: int) -> int:
    """Which statistics a quality uses: 0 (few motion bits) for the lowest quarter, 3 for the highest."""
    return min(N_LEVELS * quality // n_qualities, N_LEVELS - 1)


def walk(exchange: Exchange, level: int, previous: np.ndarray | None, shape: tuple[int, int],
         field: np.ndarray | None = None) -> np.ndarray:
    """Go through a field in coding order, handing every difference to ``exchange``.

    level: whose statistics, 0 to 3. previous: the field one frame earlier, None after an I frame.
    shape: rows and columns of the lattice. field: int (2, R, C) where it is known (encoder), None where it is to be found.
    Returns the field, int16 (2, R, C).
    """
    nodes = np.zeros((2, *shape), np.int64)
    surprise = np.zeros(shape, np.int64)
    for index, step in enumerate(STEPS):
        sets = _raster(step, shape) if step.kind == "raster" else _interpolated(step, shape)
        for rows, columns, near_rows, near_columns, inside in sets:
            around = nodes[:, near_rows, near_columns]  # (2, k, ...)
            predicted = _predict(step, around, inside)
            past = None
            if previous is not None:
                past = _past(step, previous.astype(np.int64), rows, columns, near_rows, near_columns, inside, predicted)
            spread = _range(around, inside)
            unexpected = (surprise[near_rows, near_columns] * inside).max(axis=0)
            other = None
            for component in (0, 1):
                flip = np.ones_like(predicted[0]) if past is None else np.where(past[component] < 0, -1, 1)
                contexts = _contexts(level, index, None if past is None else past[component], spread[component], unexpected, other)
                known = None if field is None else (field[component, rows, columns] - predicted[component]) * flip
                found = exchange(None if known is None else known.ravel(), contexts.ravel()).reshape(flip.shape) * flip
                nodes[component, rows, columns] = np.clip(predicted[component] + found, -REACH, REACH)
                surprise[rows, columns] += np.abs(found)
                other = np.abs(found)
    return nodes.astype(np.int16)


def _raster(step: Step, shape: tuple[int, int]):
    """The coarsest nodes one by one, each with left, top and top right neighbour."""
    s = step.spacing // STEPS[-1].spacing
    for i in range(0, shape[0], s):
        for j in range(0, shape[1], s):
            near = np.array([[i, j - s], [i - s, j], [i - s, j + s]])
            inside = ((near >= 0) & (near < shape)).all(axis=1)
            near = near.clip(0, np.array(shape) - 1)
            yield np.array([i]), np.array([j]), near[:, :1], near[:, 1:], inside[:, None]


def _interpolated(step: Step, shape: tuple[int, int]):
    for (row_slice, column_slice), (near_rows, near_columns, inside) in zip(step.slices, neighbours(step, shape), strict=True):
        rows, columns = np.arange(shape[0])[row_slice, None], np.arange(shape[1])[None, column_slice]
        yield rows, columns, near_rows, near_columns, inside


def _predict(step: Step, around: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Median of left, top and top right (whatever of them exists, else zero); or the rounded mean of the known neighbours."""
    count = inside.sum(axis=0)
    if step.kind == "raster":
        if count.item() == 3:
            return np.sort(around, axis=1)[:, 1]
        return around[:, int(inside.argmax())] if count.item() else np.zeros_like(around[:, 0])
    return (2 * (around * inside).sum(axis=1) + count) // (2 * count)


def _past(step: Step, previous: np.ndarray, rows, columns, near_rows, near_columns, inside, predicted) -> np.ndarray:
    """How much the field one frame ago differed here: from this field's prediction (coarsest level) or from its own."""
    base = predicted if step.kind == "raster" else _predict(step, previous[:, near_rows, near_columns], inside)
    return previous[:, rows, columns] - base


def _range(around: np.ndarray, inside: np.ndarray) -> np.ndarray:
    low = np.where(inside, around, 2 * REACH).min(axis=1)
    high = np.where(inside, around, -2 * REACH).max(axis=1)
    return np.maximum(high - low, 0)


def _contexts(level: int, step: int, past: np.ndarray | None, spread: np.ndarray, surprise: np.ndarray,
              other: np.ndarray | None) -> np.ndarray:
    """Index of the context, 0 to N_CONTEXTS - 1, same shape as ``spread``."""
    def binned(value: np.ndarray | None, edges: tuple[int, ...]) -> np.ndarray:
        return np.full(spread.shape, len(edges) + 1) if value is None else np.searchsorted(edges, np.abs(value), side="right")

    bins = (np.full(spread.shape, level), np.full(spread.shape, step), binned(past, PAST_EDGES), binned(spread, SPREAD_EDGES),
            binned(surprise, SURPRISE_EDGES), binned(other, OTHER_EDGES))
    return np.ravel_multi_index(bins, BINS)


class MotionCoder:
    """Codes fields with shipped statistics.

    class_of: table of each context, uint8 (N_CONTEXTS,). tables: integer tables of differences.
    """

    def __init__(self, class_of: np.ndarray, tables: CodingTables):
        if class_of.shape != (N_CONTEXTS,) or class_of.max() >= len(tables):
            raise ValueError(f"{class_of.shape} classes do not go with {N_CONTEXTS} contexts and {len(tables)} tables")
        self.class_of, self.tables = class_of, tables

    def encode(self, encoder, field: np.ndarray, level: int, previous: np.ndarray | None) -> None:
        """Push a field int (2, R, C) onto an `Encoder`."""
        def exchange(symbols, contexts):
            encoder.push(symbols, self.class_of[contexts], self.tables)
            return symbols

        walk(exchange, level, previous, field.shape[1:], field)

    def decode(self, decoder, level: int, previous: np.ndarray | None, height: int, width: int) -> np.ndarray:
        """Pop the field of a frame of ``height`` x ``width`` pixels from a `Decoder`, int16 (2, R, C)."""
        return walk(lambda _, contexts: decoder.pop(self.class_of[contexts], self.tables), level, previous,
                    lattice_shape(height, width))

    def bits(self, field: np.ndarray, level: int, previous: np.ndarray | None) -> float:
        """Information in a field under these tables."""
        total = 0.0

        def exchange(symbols, contexts):
            nonlocal total
            total += self.tables.bits(symbols, self.class_of[contexts])
            return symbols

        walk(exchange, level, previous, field.shape[1:], field)
        return total

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a checkpoint; see `from_arrays`."""
        return {"class_of": self.class_of.astype(np.uint8)} | self.tables.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> MotionCoder:
        arrays = dict(arrays)
        return cls(arrays.pop("class_of"), CodingTables.from_arrays(arrays))


class MotionFit:
    """Counts differences by context, to make tables of.

    Tables are shared out among contexts by k-means in bits: each context goes to the table that codes its counts cheapest,
    each table becomes the sum of its contexts.
    """

    def __init__(self):
        self.counts = np.zeros((N_CONTEXTS, 2 * ALPHABET + 2))

    def add(self, field: np.ndarray, level: int, previous: np.ndarray | None) -> None:
        """Count a field int (2, R, C), as `MotionCoder.encode` is given it."""
        def exchange(symbols, contexts):
            symbol = np.where(np.abs(symbols) > ALPHABET, 2 * ALPHABET + 1, symbols + ALPHABET)
            np.add.at(self.counts, (contexts, symbol), 1)
            return symbols

        walk(exchange, level, previous, field.shape[1:], field)

    def coder(self, rounds: int = 12, smoothing: float = 12.0) -> MotionCoder:
        """A coder with tables of everything counted so far; of nothing, with uniform ones. smoothing: differences that the
        statistics of all contexts together count for in each table."""
        class_of = _cluster(self.counts, rounds)
        spread = self.counts.sum(axis=0) / max(self.counts.sum(), 1)
        rows = []
        for k in range(N_TABLES):
            row = self.counts[class_of == k].sum(axis=0) + smoothing * spread + 1e-3
            rows.append(from_counts([row[:-1]], [-ALPHABET], smoothing=1e-3, escape=float(row[-1]) + 0.05).row(0))
        return MotionCoder(class_of.astype(np.uint8), CodingTables(rows, [-ALPHABET] * N_TABLES))


def _cluster(counts: np.ndarray, rounds: int) -> np.ndarray:
    """Table of each context, (contexts,): the most frequent contexts start a table each."""
    mean = counts.sum(axis=0) / max(counts.sum(), 1) + 1e-6
    seeds = np.argsort(-counts.sum(axis=1), kind="stable")[:N_TABLES]
    centres = counts[seeds] + mean
    for _ in range(rounds):
        bits = -np.log2(centres / centres.sum(axis=1, keepdims=True))
        class_of = (counts @ bits.T).argmin(axis=1)
        centres = np.stack([counts[class_of == k].sum(axis=0) for k in range(N_TABLES)]) + mean
    return class_of
