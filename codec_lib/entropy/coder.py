"""Symbols to bytes and back: a range coder that codes class by class.

Coding symbols one by one, each with its own distribution, costs Python and the tables' set-up for every symbol. Here
the symbols of a push are grouped by class (a stable counting sort) and each group is coded in one call with one fixed
model, on constriction's range coder (32-bit words, 64-bit state, 24-bit probabilities). The decoder knows the classes
before the symbols, so it undoes the grouping. A range coder is first in, first out: several pushes make one byte
string, and a decoder may pop the first step of a spatial prior, run a network, and pop the next.

The last word is not flushed whole: the string ends after the fewest bytes that name a number in the final interval, and
the decoder reads zeros from there on. So a packet costs its information and less than one byte.

What a decoder is given is not trusted. It counts the information of what it decodes: it stops once the symbols need
more bytes than there are, and complains at the end when there are more bytes than the symbols need.
"""

from __future__ import annotations

import constriction
import numpy as np
from scipy.sparse import csc_array

from codec_lib.entropy.escape import MAX_EXCESS, decode_escapes, encode_escapes, escape_bits
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables

_WORD = 4
"""Bytes of a word of the range coder."""
_ROUNDING_BITS = 0.0057
"""Most that a symbol can lose to rounding: an interval of at least 2^32 is cut in multiples of floor(2^-24 of it), so
at most log2(1 / (1 - 2^-8)) bits. The mean is far below."""


def group(values: np.ndarray, classes: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stable counting sort of ``values`` (n,) by class: (sorted values, their positions, first place of each class).

    Row-major storage of a sparse matrix with one entry a column *is* a counting sort by row, and SciPy makes it two to
    four times as fast as a stable argsort.
    """
    n = len(classes)
    columns = csc_array((values, classes, np.arange(n + 1, dtype=np.int32)), shape=(n_classes, n))
    rows = columns.tocsr()
    return rows.data, rows.indices, rows.indptr


def _check_classes(classes: np.ndarray, tables: CodingTables) -> np.ndarray:
    """The classes as int32. Raises ValueError unless they are one-dimensional integers in [0, K)."""
    classes = np.asarray(classes)
    if classes.ndim != 1 or classes.dtype.kind not in "iu":
        raise ValueError(f"classes must be integers in one dimension, got {classes.dtype} {classes.shape}")
    if classes.size and not (0 <= classes.min() and classes.max() < len(tables)):
        raise ValueError(f"classes must lie in [0, {len(tables)}), got {classes.min()} to {classes.max()}")
    return classes.astype(np.int32)


class Encoder:
    """Collects symbols in several pushes; `finish` gives the byte string.

    tables: used by pushes that name none.
    """

    def __init__(self, tables: CodingTables | None = None):
        self._tables = tables
        self._coder = constriction.stream.queue.RangeEncoder()

    def push(self, symbols: np.ndarray, classes: np.ndarray, tables: CodingTables | None = None) -> None:
        """Append symbols. The decoder must pop with the same classes and tables, push by push.

        symbols: integers (n,), within 2^20 of their class's table; classes: integers (n,) in [0, K).
        Raises ValueError for other shapes, classes or symbols out of reach.
        """
        tables = tables or self._tables
        classes = _check_classes(classes, tables)
        symbols = np.asarray(symbols)
        if symbols.shape != classes.shape or symbols.dtype.kind not in "iu":
            raise ValueError(f"{symbols.dtype} symbols {symbols.shape} do not go with classes {classes.shape}")
        if symbols.dtype != np.int32:
            if symbols.size and max(abs(int(symbols.min())), abs(int(symbols.max()))) > 2 * MAX_EXCESS:
                raise ValueError(f"symbols must lie within +-{2 * MAX_EXCESS}")
            symbols = symbols.astype(np.int32)
        grouped, _, first = group(symbols, classes, len(tables))
        below, excess = [], []
        for k in np.flatnonzero(np.diff(first)):
            index = grouped[first[k] : first[k + 1]]
            index -= tables.low[k]  # in place: `grouped` is ours
            escape = int(tables.sizes[k]) - 1
            if index.view(np.uint32).max() >= escape:  # a negative index reads as a huge one
                out = np.flatnonzero(index.view(np.uint32) >= escape)
                distance = index[out].astype(np.int64)
                below.append(distance < 0)
                excess.append(np.where(distance < 0, -distance - 1, distance - escape))
                index[out] = escape
            self._coder.encode(index, tables.model(k))
        if excess:
            excess = np.concatenate(excess)
            if excess.max() > MAX_EXCESS:
                raise ValueError(f"a symbol lies {excess.max() + 1} beyond its table, {MAX_EXCESS + 1} is the most")
            encode_escapes(self._coder, np.concatenate(below), excess)

    def finish(self) -> bytes:
        """The byte string: at most one byte longer than the information in the symbols pushed, and rounding.

        The coder holds ``done`` finished words and an interval [lower, lower + width) of what may follow, 2^64 being
        one unit of the last finished word. If the interval crosses 2^64, the crossing itself is taken: nothing follows
        and the finished words go up by one. Otherwise the fewest bytes follow of which a multiple lies in the interval.
        """
        done, (lower, width) = self._coder.pos()
        sealed = self._coder.get_compressed()
        words = sealed[:done].astype(">u4").tobytes()
        if lower + width > 1 << 64:
            if int(sealed[done]) << 32 >= lower:  # constriction's own ending stayed below the crossing
                words = (int.from_bytes(words) + 1).to_bytes(len(words))
            return words
        for n_bytes in range(5):  # width is at least 2^32, so four bytes always do
            step = 1 << (64 - 8 * n_bytes)
            number = -(-lower // step) * step
            if number < min(lower + width, 1 << 64):
                break
        return words + number.to_bytes(8)[:n_bytes]


class Decoder:
    """Reads what an `Encoder` wrote, push by push.

    data: the byte string, not trusted. tables: used by pops that name none.
    """

    def __init__(self, data: bytes, tables: CodingTables | None = None):
        self._tables = tables
        self._size = len(data)
        self._bits = 0.0  # information popped so far
        self._steps = 0  # range coder symbols popped so far
        padded = bytes(data) + bytes(-len(data) % _WORD + 2 * _WORD)  # constriction reads two words ahead
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))

    def pop(self, classes: np.ndarray, tables: CodingTables | None = None) -> np.ndarray:
        """The next symbols, int32 (n,), in the order in which they were pushed.

        classes: as pushed, integers (n,) in [0, K).
        Raises CorruptStream if the bytes cannot be an encoder's or do not hold so many symbols.
        """
        tables = tables or self._tables
        classes = _check_classes(classes, tables)
        _, position, first = group(np.empty(len(classes), np.int8), classes, len(tables))
        symbols = np.empty(len(classes), np.int32)
        escapes = []  # (class, positions)
        try:
            for k in np.flatnonzero(np.diff(first)):
                places = position[first[k] : first[k + 1]]
                index = self._coder.decode(tables.model(k), len(places))
                self._count(tables.costs(k).take(index), len(places))
                escape = int(tables.sizes[k]) - 1
                if index.max() == escape:
                    escapes.append((k, places[index == escape]))
                index += tables.low[k]
                symbols[places] = index
            if escapes:
                self._pop_escapes(symbols, escapes, tables)
        except AssertionError:
            raise CorruptStream("the range coder met data that no encoder writes") from None
        return symbols

    def _pop_escapes(self, symbols: np.ndarray, escapes: list, tables: CodingTables) -> None:
        places = np.concatenate([p for _, p in escapes])
        classes = np.repeat([k for k, _ in escapes], [len(p) for _, p in escapes])
        below, excess = decode_escapes(self._coder, len(places))
        self._count(escape_bits(excess), 3 * len(places))  # side, bucket, remainder
        edge = np.where(below, tables.low[classes] - 1, tables.low[classes] + tables.sizes[classes] - 1)
        symbols[places] = edge + np.where(below, -excess, excess)

    def _count(self, bits: np.ndarray, steps: int) -> None:
        """Add the information of symbols just decoded. An encoder writes at most 32 bits less than that."""
        self._bits += float(bits.sum())
        self._steps += steps
        if self._bits > 8 * self._size + 32.01:
            raise CorruptStream(f"the range coder's data ends before its symbols do: {self._size} bytes are too few")

    def check_exhausted(self) -> None:
        """Raise CorruptStream if there is more data than the symbols popped so far can account for."""
        if 8 * self._size > self._bits + _ROUNDING_BITS * self._steps + 8.01:
            raise CorruptStream(f"the range coder's data goes on after its symbols: {self._size} bytes are too many")


def encode(symbols: np.ndarray, classes: np.ndarray, tables: CodingTables) -> bytes:
    """Code symbols, integers (n,), with the tables of their classes, integers (n,): one push and `Encoder.finish`."""
    encoder = Encoder(tables)
    encoder.push(symbols, classes)
    return encoder.finish()


def decode(data: bytes, classes: np.ndarray, tables: CodingTables) -> np.ndarray:
    """Inverse of `encode`: symbols int32 (n,). Raises CorruptStream if ``data`` cannot be what `encode` wrote."""
    decoder = Decoder(data, tables)
    symbols = decoder.pop(classes)
    decoder.check_exhausted()
    return symbols
