"""Coding tables fitted to what a trained model really sends.

Training pretends that a residual in scale class k is Gaussian with the class's standard deviation. Real residuals have
somewhat heavier tails and a sharper peak. Since coders use shipped integer tables anyway, the tables can simply be what
was counted on training pictures, with the Gaussian where little was seen.
"""

from __future__ import annotations

import math

import numpy as np

from codec_lib.entropy.density import class_sigmas
from codec_lib.entropy.tables import TOTAL, CodingTables, from_counts, gaussian_tables, laplace_tables

PRIOR_WEIGHT = 4000.0
"""Symbols that the Gaussian counts for beside those seen: a class seen less often keeps its Gaussian shape."""


def initial_tables(density: str = "gaussian") -> CodingTables:
    """Tables of a density ("gaussian" or "laplace"), one a scale class."""
    sigmas = class_sigmas()
    if density == "laplace":
        return laplace_tables((sigmas / math.sqrt(2)).tolist())
    return gaussian_tables(sigmas.tolist())


class TableFit:
    """Counts symbols by scale class. Histograms are made symmetric: means take care of asymmetry, and half the noise is gone."""

    def __init__(self, density: str = "gaussian"):
        self.start = start = initial_tables(density)
        self.counts = [PRIOR_WEIGHT * start.row(k)[:-1] / TOTAL for k in range(len(start))]
        self.outside = [PRIOR_WEIGHT * float(start.row(k)[-1]) / TOTAL for k in range(len(start))]

    def add(self, symbols: np.ndarray, classes: np.ndarray) -> None:
        """Count symbols, integers of any shape, with their classes, same shape."""
        symbols, classes = symbols.ravel(), classes.ravel()
        for k in np.unique(classes):
            seen, reach = symbols[classes == k], -int(self.start.low[k])
            inside = seen[np.abs(seen) <= reach]
            self.outside[k] += len(seen) - len(inside)
            histogram = np.bincount(inside + reach, minlength=2 * reach + 1)
            self.counts[k] += (histogram + histogram[::-1]) / 2

    def tables(self) -> CodingTables:
        """Integer tables of everything counted so far."""
        rows = [from_counts([c], [int(low)], smoothing=1e-3, escape=o + 0.05).row(0)
                for c, o, low in zip(self.counts, self.outside, self.start.low, strict=True)]
        return CodingTables(rows, self.start.low)
