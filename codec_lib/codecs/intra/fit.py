"""Coding tables fitted to what a trained model really sends.

Training pretends that a residual in scale class k is Gaussian with the class's standard deviation. Real residuals have
somewhat heavier tails and a sharper peak. Since coders use shipped integer tables anyway, the tables can simply be what
was counted on training pictures, with the Gaussian where little was seen.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.intra.entropy_path import IntegerEntropy
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.entropy.density import class_sigmas
from codec_lib.entropy.tables import TOTAL, CodingTables, from_counts, gaussian_tables

PRIOR_WEIGHT = 4000.0
"""Symbols that the Gaussian counts for beside those seen: a class seen less often keeps its Gaussian shape."""


def initial_tables() -> CodingTables:
    """Gaussian tables, one a scale class."""
    return gaussian_tables(class_sigmas().tolist())


def fit_tables(model: IntraModel, batches: list[Tensor], qualities: range, seed: int = 0) -> CodingTables:
    """Count symbols by class over ``batches`` of uint8 pictures (N, 3, H, W), each at a few random qualities.

    The model's entropy networks must be in their final, quantised form. Histograms are made symmetric: means take care
    of asymmetry, and half the noise is gone.
    """
    start = initial_tables()
    codec = IntraCodec(model, IntegerEntropy(model.config, model.entropy), start, bytes(4))
    counts = [PRIOR_WEIGHT * start.row(k)[:-1] / TOTAL for k in range(len(start))]
    outside = [PRIOR_WEIGHT * float(start.row(k)[-1]) / TOTAL for k in range(len(start))]
    rng = np.random.default_rng(seed)
    for pictures in batches:
        quality = int(rng.integers(qualities[0], qualities[-1] + 1))
        with torch.inference_mode():
            z, symbols, classes = codec.latents(pictures, quality)
        z_classes = np.stack([codec.z_classes(z.shape[1:], quality)] * len(z))
        flat_s = np.concatenate([symbols.ravel(), z.ravel()])
        flat_c = np.concatenate([classes.ravel(), z_classes.ravel()])
        for k in np.unique(flat_c):
            seen, reach = flat_s[flat_c == k], -int(start.low[k])
            inside = seen[np.abs(seen) <= reach]
            outside[k] += len(seen) - len(inside)
            histogram = np.bincount(inside + reach, minlength=2 * reach + 1)
            counts[k] += (histogram + histogram[::-1]) / 2
    rows = [from_counts([c], [int(low)], smoothing=1e-3, escape=o + 0.05).row(0)
            for c, o, low in zip(counts, outside, start.low, strict=True)]
    return CodingTables(rows, start.low)
