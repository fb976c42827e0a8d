"""Symbols beyond a table: how far beyond, in Elias gamma code at fixed probabilities.

A table of a class ends somewhere; a symbol outside is coded as the table's escape and then, after all table symbols of
the same push, as a side (above or below the table) and an excess e >= 0 in Elias's gamma code: the bucket b =
floor(log2(e + 1)) with probability 2^-(b+1), then the b lower bits of e + 1. So e costs 2 floor(log2(e + 1)) + 1 bits
and the side one more. Buckets end at MAX_BUCKET: however damaged a stream is, a symbol stays within 2^20 of its table.

Source: P. Elias, "Universal codeword sets and representations of the integers", 1975 (gamma code).
"""

from __future__ import annotations

import constriction
import numpy as np

MAX_BUCKET = 19
MAX_EXCESS = 2 ** (MAX_BUCKET + 1) - 2
"""Largest codable distance beyond the table's edge, minus one: e + 1 has at most 20 bits."""

_PRECISION = 24
_BUCKET_COUNTS = np.array([1 << (_PRECISION - 1 - b) for b in range(MAX_BUCKET)] + [1 << (_PRECISION - MAX_BUCKET)])
_BUCKET_BITS = _PRECISION - np.log2(_BUCKET_COUNTS)
_BUCKET_MODEL = constriction.stream.model.Categorical((_BUCKET_COUNTS - 1).astype(np.float64), perfect=False)
_SIDE_MODEL = constriction.stream.model.Uniform(2)
_UNIFORM = constriction.stream.model.Uniform()


def _bucket(excess: np.ndarray) -> np.ndarray:
    """floor(log2(e + 1)), exact: frexp reads the exponent of a float64 that holds the integer exactly."""
    return (np.frexp(excess + 1.0)[1] - 1).astype(np.int32)


def escape_bits(excess: np.ndarray) -> np.ndarray:
    """Bits spent on side and excess, float64, same shape. excess: integers in [0, MAX_EXCESS]."""
    bucket = _bucket(excess)
    return 1 + _BUCKET_BITS[bucket] + bucket


def encode_escapes(coder: constriction.stream.queue.RangeEncoder, below: np.ndarray, excess: np.ndarray) -> None:
    """Append sides and excesses. below: bool (n,), True under the table; excess: integers (n,) in [0, MAX_EXCESS]."""
    bucket = _bucket(excess)
    coder.encode(below.astype(np.int32), _SIDE_MODEL)
    coder.encode(bucket, _BUCKET_MODEL)
    long = bucket > 0
    if long.any():
        size = (1 << bucket[long]).astype(np.int32)
        coder.encode((excess[long] + 1 - size).astype(np.int32), _UNIFORM, size)


def decode_escapes(coder: constriction.stream.queue.RangeDecoder, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Read ``n`` escapes: (below bool (n,), excess int32 (n,)). Raises AssertionError on invalid data."""
    below = coder.decode(_SIDE_MODEL, n).astype(bool)
    bucket = coder.decode(_BUCKET_MODEL, n)
    excess = np.zeros(n, np.int32)
    long = bucket > 0
    if long.any():
        size = (1 << bucket[long]).astype(np.int32)
        excess[long] = coder.decode(_UNIFORM, size) + size - 1
    return below, excess
