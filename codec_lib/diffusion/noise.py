"""Gaussian noise that encoder and decoder draw alike, on any machine.

A diffusion codec whose decoded frames predict later frames needs the same noise on both sides. Generators of deep
learning libraries promise that only for one version on one device. Here 16 bits of a counter-based integer generator
(Philox 4x64, whose stream NumPy guarantees) pick one of 65,536 equally likely values from a table of integers. The table is computed
once, by a function of floats; the closest that one of its values comes to where rounding turns is 1.7e-5 of a unit, far beyond what such
functions differ by, and a test knows the table's digest.
"""

from __future__ import annotations

from functools import cache
from math import prod

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from codec_lib.errors import UsageError

TABLE_BITS = 16
UNIT = 4096
"""Values are multiples of 1 / UNIT, exact in float32 and in float16 near zero."""


@cache
def quantiles() -> np.ndarray:
    """Middle of each of 65,536 equally likely slices of the normal distribution, int16 multiples of 1 / UNIT, ascending."""
    size = 1 << TABLE_BITS
    upper = np.rint(ndtri((np.arange(size // 2, size) + 0.5) / size) * UNIT).astype(np.int16)
    return np.concatenate([-upper[::-1], upper])


def gaussian_noise(shape: tuple[int, ...], *, seed: int, frame: int = 0, step: int = 0) -> Tensor:
    """Standard normal noise, float32 of ``shape``; a function of its arguments and of nothing else.

    seed, frame, step: non-negative integers below 2^64, 2^32 and 2^32. Different triples give independent noise.
    """
    if not (0 <= seed < 2**64 and 0 <= frame < 2**32 and 0 <= step < 2**32):
        raise UsageError(f"seed, frame and step must be non-negative and small enough, not {seed}, {frame}, {step}")
    count = prod(shape)
    words = np.random.Philox(key=np.array([seed, frame << 32 | step], dtype=np.uint64)).random_raw(-(-count // 4))
    index = np.asarray(words, dtype="<u8").view("<u2")[:count]  # four draws of 16 bits a word, lowest first
    return torch.from_numpy(quantiles()[index].astype(np.float32) / UNIT).reshape(shape)
