"""Rate-distortion optimised quantisation: rounding that knows what the symbols cost.

The nearest integer is the best choice only where all integers cost the same. A symbol one step nearer to the mean is
nearly always cheaper, so between two candidates an encoder should compare

    weight * (r - k)^2 + bits(k)    and    weight * (r - (k - 1))^2 + bits(k - 1)        r: residual, k: nearest integer

for r >= 0, and mirrored below. The first is dearer exactly when r < k - 1/2 + (bits(k) - bits(k - 1)) / (2 weight): a
threshold for each class and integer, computed once from the coding tables. Decoders need not know.

Source: the idea is that of RDOQ in the HEVC test model (Karczewicz et al. 2008); here the costs are exact, since tables
are fixed within a packet.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from codec_lib.entropy.tables import CodingTables

REACH = 64
"""Integers beyond this, and those outside a class's table, are rounded to the nearest as usual."""


def rounding_thresholds(tables: CodingTables, weight: float) -> Tensor:
    """Least magnitudes that still round to k instead of k - 1, float32 (classes, REACH + 1); column 0 is not used.

    tables: must be symmetric, as `fit_tables` makes them. weight: bits that one squared quantiser step of error is worth.
    """
    k = np.arange(REACH + 1)
    thresholds = np.tile(k - 0.5, (len(tables), 1))
    for c in range(len(tables)):
        reach = min(REACH, int(tables.sizes[c]) - 2 + int(tables.low[c]))  # the last symbol before the escape
        bits = tables.symbol_bits(k[: reach + 1], np.full(reach + 1, c))
        thresholds[c, 1 : reach + 1] += np.maximum(np.diff(bits), 0) / (2 * weight)
    return torch.from_numpy(np.minimum(thresholds, k + 0.5)).float()


def quantise(residual: Tensor, classes: Tensor, thresholds: Tensor) -> Tensor:
    """Integers to send for ``residual`` (any shape, in quantiser steps): the nearest, or one nearer to zero.

    classes: class of each, same shape. thresholds: from `rounding_thresholds`, on the same device.
    """
    magnitude = residual.abs()
    k = magnitude.round()
    column = k.clamp(max=thresholds.shape[1] - 1).long()
    least = thresholds.flatten()[classes.long() * thresholds.shape[1] + column]
    lower = (magnitude < least) & (k > 0) & (k < thresholds.shape[1])
    return (k - lower.to(k.dtype)) * residual.sign()
