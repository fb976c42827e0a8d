"""Integer probability tables by class: the numbers that are shipped with a checkpoint and that coders code with.

A table rebuilt from floats when a model is loaded differs from machine to machine (determinism.md), so a table here is
a row of integer counts that sum to 2^24, the resolution of the range coder. Each class of symbols has one. Class k
covers the symbols low[k], low[k] + 1, ... and, last, an escape for everything outside (escape.py).

How integers reach the range coder untouched: constriction's fast categorical model takes float weights w_i and puts
the left edge of symbol i at floor((w_0 + ... + w_{i-1}) * (2^24 - n) / sum w) + i, for n symbols: one unit for each
symbol, the rest shared out. With w_i = count_i - 1 the sum is 2^24 - n, the factor exactly 1 and every float64 an exact
integer, so the edges are the running sums of the counts, on any machine. tests/entropy/test_tables.py reads the edges
back out of constriction and compares all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import constriction
import numpy as np
from scipy.special import ndtr

from codec_lib.entropy.escape import MAX_EXCESS, escape_bits

PRECISION = 24
TOTAL = 1 << PRECISION
"""Counts of a class sum to this."""
MAX_ALPHABET = 1 << 16
"""Largest number of symbols of a class, escape included."""


class CodingTables:
    """Integer probabilities of K classes.

    counts: for each class the counts of its symbols, escape last; integers >= 1 that sum to 2^24; 2 to 2^16 of them.
    low: for each class the symbol that its first count belongs to.
    Raises ValueError if a table is not of that form.
    """

    def __init__(self, counts: Sequence[np.ndarray], low: Sequence[int]):
        rows = [np.asarray(row) for row in counts]
        self.low = np.asarray(low, dtype=np.int32)
        if not rows or self.low.shape != (len(rows),):
            raise ValueError(f"{len(rows)} tables need as many lowest symbols, got shape {self.low.shape}")
        for k, row in enumerate(rows):
            if row.ndim != 1 or not 2 <= row.size <= MAX_ALPHABET or row.dtype.kind not in "iu":
                raise ValueError(f"class {k}: counts must be 2 to {MAX_ALPHABET} integers in one dimension")
            if row.min() < 1 or row.max() > TOTAL or int(row.sum(dtype=np.int64)) != TOTAL:
                raise ValueError(f"class {k}: counts must be at least 1 and sum to 2^{PRECISION}")
        if np.abs(self.low.astype(np.int64)).max() > MAX_EXCESS:
            raise ValueError(f"lowest symbols must lie within +-{MAX_EXCESS}")
        self.sizes = np.array([row.size for row in rows], dtype=np.int32)
        self.counts = np.concatenate(rows).astype(np.int32)
        self.starts = np.concatenate(([0], np.cumsum(self.sizes[:-1]))).astype(np.int32)
        self._costs = PRECISION - np.log2(self.counts)  # bits of each symbol, float64
        self._models: list = [None] * len(rows)

    def __len__(self) -> int:
        """Number of classes."""
        return len(self.sizes)

    def row(self, k: int) -> np.ndarray:
        """Counts of class ``k``, escape last, int32."""
        return self.counts[self.starts[k] : self.starts[k] + self.sizes[k]]

    def costs(self, k: int) -> np.ndarray:
        """Bits of each symbol of class ``k``, escape last (without what follows an escape), float64."""
        return self._costs[self.starts[k] : self.starts[k] + self.sizes[k]]

    def model(self, k: int) -> constriction.stream.model.Categorical:
        """Constriction model of class ``k`` over indexes 0 ... size - 1 (the last is the escape); made once."""
        if self._models[k] is None:
            weights = (self.row(k) - 1).astype(np.float64)
            self._models[k] = constriction.stream.model.Categorical(weights, perfect=False)
        return self._models[k]

    def symbol_bits(self, symbols: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Ideal code length of each symbol in bits, escapes included: float64, same shape as ``symbols``.

        symbols: integers; classes: integers in [0, K), same shape.
        """
        classes = np.asarray(classes, dtype=np.int64)
        index = np.asarray(symbols, dtype=np.int64) - self.low[classes]
        last = self.sizes[classes] - 1
        below, above = index < 0, index >= last
        bits = self._costs[self.starts[classes] + np.where(below | above, last, index)]
        bits[below] += escape_bits(-index[below] - 1)
        bits[above] += escape_bits((index - last)[above])
        return bits

    def bits(self, symbols: np.ndarray, classes: np.ndarray) -> float:
        """Cross-entropy of the symbols under the tables: what a perfect coder would spend, in bits."""
        return float(self.symbol_bits(symbols, classes).sum())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The tables as three int32 arrays: counts (sum of sizes,), sizes (K,), low (K,). Made to be shipped."""
        return {"counts": self.counts.copy(), "sizes": self.sizes.copy(), "low": self.low.copy()}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> CodingTables:
        """Inverse of `to_arrays`; every value is checked. Raises ValueError for what is no set of tables."""
        counts, sizes = np.asarray(arrays["counts"]), np.asarray(arrays["sizes"])
        if sizes.ndim != 1 or sizes.size == 0 or sizes.min() < 2 or sizes.sum(dtype=np.int64) != counts.size:
            raise ValueError("sizes of the tables do not add up to the number of counts")
        return cls(np.split(counts, np.cumsum(sizes[:-1])), np.asarray(arrays["low"]))

    def digest(self) -> str:
        """SHA-256 (hex) over all numbers of the tables, the same on every machine."""
        sha = hashlib.sha256()
        for array in (self.sizes, self.low, self.counts):
            sha.update(array.astype("<i4").tobytes())
        return sha.hexdigest()


def integer_counts(probabilities: np.ndarray) -> np.ndarray:
    """Counts >= 1 with sum 2^24, as near to ``probabilities`` (any non-negative weights, (n,)) as rounding allows.

    One unit goes to each symbol, the rest is shared in proportion; what flooring leaves goes to the largest remainders.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 1 or p.size < 2 or not np.isfinite(p).all() or p.min() < 0 or p.sum() <= 0:
        raise ValueError("probabilities must be at least two finite non-negative numbers, not all zero")
    share = p / p.sum() * (TOTAL - p.size)
    counts = np.floor(share).astype(np.int64)
    left = TOTAL - p.size - int(counts.sum())
    counts[np.argsort(counts - share, kind="stable")[:left]] += 1
    return (counts + 1).astype(np.int32)


def gaussian_tables(sigmas: Sequence[float], *, means: Sequence[float] = (0.0,), tail: float = 2.0**-14,
                    ) -> CodingTables:
    """Normal distributions integrated over unit bins, one class for each sigma and mean (sigma-major).

    sigmas: standard deviations > 0 (density.class_sigmas() for the 64 log-spaced ones).
    means: offsets in [-1, 1]; class of (sigma i, mean j) is i * len(means) + j.
    tail: probability left to the escape, at most; smaller means longer tables, slower decoding and fewer escapes.
    """
    def cdf(x: np.ndarray, sigma: float) -> np.ndarray:
        return ndtr(x / sigma)

    return _tables(cdf, sigmas, means, tail)


def laplace_tables(scales: Sequence[float], *, means: Sequence[float] = (0.0,), tail: float = 2.0**-14,
                   ) -> CodingTables:
    """As `gaussian_tables` for Laplace distributions exp(-|x - mean| / scale) / (2 scale)."""
    def cdf(x: np.ndarray, scale: float) -> np.ndarray:
        half = 0.5 * np.exp(-np.abs(x) / scale)
        return np.where(x < 0, half, 1 - half)

    return _tables(cdf, scales, means, tail)


def _tables(cdf: Callable, scales: Sequence[float], means: Sequence[float], tail: float) -> CodingTables:
    """Bin masses of a symmetric distribution, each bin computed on the lower tail where floats are precise."""
    counts, low = [], []
    for scale in scales:
        scale = float(scale)
        if not 0 < scale < 4096 or not 0 < tail < 0.5:
            raise ValueError(f"scale {scale} must lie in (0, 4096) and tail {tail} in (0, 0.5)")
        for mean in map(float, means):
            reach = 1  # symbols -reach ... reach: about the fewest that leave at most `tail` outside
            while (outside := float(cdf(np.array([mean, -mean]) - reach - 0.5, scale).sum())) > tail:
                reach += max(1, reach // 64)
            x = np.abs(np.arange(-reach, reach + 1) - mean)
            mass = cdf(0.5 - x, scale) - cdf(-0.5 - x, scale)
            counts.append(integer_counts(np.append(mass, outside)))
            low.append(-reach)
    return CodingTables(counts, low)


def from_counts(histograms: Sequence[np.ndarray], low: Sequence[int], *, smoothing: float = 0.5, escape: float = 0.5,
                ) -> CodingTables:
    """Tables fitted to counted symbols, for factorised densities (one class a channel).

    histograms: for each class how often the symbols low[k], low[k] + 1, ... were seen, non-negative, >= 1 of them.
    smoothing: added to every symbol's count (the KT estimator's 1/2), so that none is impossible.
    escape: count given to everything outside.
    """
    rows = [np.append(np.asarray(h, dtype=np.float64) + smoothing, escape) for h in histograms]
    return CodingTables([integer_counts(row) for row in rows], low)
