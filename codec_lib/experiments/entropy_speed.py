"""Table `entropy`: symbols a second and bytes of the range coder, beside CompressAI's coder in the same run.

The same 10^6 symbols, drawn from 64 Gaussian classes, go through three coders on one core, each called from Python:

    range-coder     ours: symbols grouped by class, each group coded with one integer table (entropy/coder.py)
    per-symbol      the same range coder with a Gaussian of its own for each symbol, no grouping, floats in the loop
    compressai      CompressAI's rANS with 16-bit tables of the same classes

"total" is from NumPy arrays to bytes and back to an array in the order given: for ours with grouping, bounds checks,
escapes, the count of information and, when decoding, ungrouping; for CompressAI with the Python lists that its entropy
model makes. "core" is the compiled coder alone, its input ready (groups, lists). Each time is the best of several
repeats, coders in turn, in processor seconds of the one thread that works, so that other work on the machine counts as
little as it can; on an idle machine that is the time on the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import constriction
import numpy as np

from codec_lib.entropy.coder import decode, encode, group
from codec_lib.entropy.tables import TOTAL, CodingTables, gaussian_tables
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results

DESCRIPTION = "symbols a second and file size of the range coder, beside CompressAI's"
PAPER: dict = {}

SYMBOLS = 10**6
REPEATS = 15
SIGMAS = np.geomspace(0.11, 64, 64)
MIXES = ("picture", "uniform")
"""How classes are spread. picture: a smooth map over 1000 columns, most classes small, as hyper-decoders of low rates
give them (about 1.6 bits a symbol); uniform: every class equally often and in random order, the hardest case."""
UNITS = {"encode": "Msymbol/s", "encode_core": "Msymbol/s", "decode": "Msymbol/s", "decode_core": "Msymbol/s",
         "bytes": "byte", "excess": "%"}
SLOW = ("compressai", "per-symbol")
"""Coders that get a third of the repeats."""


def draw(mix: str, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Symbols int32 (n,) and classes uint8 (n,) of a mix named in MIXES."""
    rng = np.random.default_rng(seed)
    if mix == "uniform":
        classes = rng.integers(0, len(SIGMAS), n)
    else:
        width = min(n, 1000)
        rows = -(-n // width)
        waves = rng.normal(size=(4, 6))
        y, x = np.arange(rows)[:, None], np.arange(width)
        field = sum(a * np.sin(x * 0.05 * b + y * 0.05 * c + d) for a, b, c, d in waves[:, :4])
        field = 16 + 9 * field / field.std() + 3 * rng.normal(size=(rows, width))
        classes = np.clip(field, 0, len(SIGMAS) - 1).ravel()[:n]
    classes = classes.astype(np.uint8)
    return np.rint(rng.normal(size=n) * SIGMAS[classes]).astype(np.int32), classes


class Grouped:
    """Ours."""

    name = "range-coder"

    def __init__(self, symbols: np.ndarray, classes: np.ndarray, tables: CodingTables):
        self.symbols, self.classes, self.tables = symbols, classes, tables
        self.data = encode(symbols, classes, tables)
        grouped, _, first = group(symbols, classes.astype(np.int32), len(tables))
        used = [k for k in range(len(tables)) if first[k + 1] > first[k]]
        index = [grouped[first[k] : first[k + 1]] - tables.low[k] for k in used]
        self.groups = [(np.clip(i, 0, tables.sizes[k] - 1), tables.model(k)) for i, k in zip(index, used, strict=True)]
        self.words = self.encode_core().get_compressed()

    def encode(self) -> bytes:
        return encode(self.symbols, self.classes, self.tables)

    def decode(self) -> np.ndarray:
        return decode(self.data, self.classes, self.tables)

    def encode_core(self):
        coder = constriction.stream.queue.RangeEncoder()
        for index, model in self.groups:
            coder.encode(index, model)
        return coder

    def decode_core(self) -> None:
        coder = constriction.stream.queue.RangeDecoder(self.words)
        for index, model in self.groups:
            coder.decode(model, len(index))


class PerSymbol:
    """One Gaussian for each symbol, as examples of range coders in learned compression do it."""

    name = "per-symbol"

    def __init__(self, symbols: np.ndarray, classes: np.ndarray, tables: CodingTables):
        reach = int(np.abs(symbols).max()) + 1
        self.symbols, self.classes = symbols, classes
        self.model = constriction.stream.model.QuantizedGaussian(-reach, reach)
        self.words = self.encode_core().get_compressed()
        self.data = self.words.tobytes()

    def encode(self) -> bytes:
        return self.encode_core().get_compressed().tobytes()

    def decode(self) -> np.ndarray:
        sigma = SIGMAS[self.classes]
        return constriction.stream.queue.RangeDecoder(self.words).decode(self.model, np.zeros_like(sigma), sigma)

    def encode_core(self):
        sigma = SIGMAS[self.classes]
        coder = constriction.stream.queue.RangeEncoder()
        coder.encode(self.symbols, self.model, np.zeros_like(sigma), sigma)
        return coder

    decode_core = decode


class CompressAI:
    """CompressAI's rANS, called as `EntropyModel.compress` and `decompress` call it for one picture."""

    name = "compressai"

    def __init__(self, symbols: np.ndarray, classes: np.ndarray, tables: CodingTables):
        from compressai.ans import RansDecoder, RansEncoder

        self.coder, self.decoder = RansEncoder(), RansDecoder()
        self.symbols, self.classes = symbols, classes
        cdfs = [_cdf16(tables.row(k)) for k in range(len(tables))]
        longest = max(map(len, cdfs))
        self.model = ([c + [0] * (longest - len(c)) for c in cdfs], [len(c) for c in cdfs], tables.low.tolist())
        self.lists = symbols.tolist(), classes.tolist()
        self.data = self.encode()

    def encode(self) -> bytes:
        return self.coder.encode_with_indexes(self.symbols.tolist(), self.classes.tolist(), *self.model)

    def decode(self) -> np.ndarray:
        return np.array(self.decoder.decode_with_indexes(self.data, self.classes.tolist(), *self.model), np.int32)

    def encode_core(self) -> None:
        self.coder.encode_with_indexes(*self.lists, *self.model)

    def decode_core(self) -> None:
        self.decoder.decode_with_indexes(self.data, self.lists[1], *self.model)


def _cdf16(counts: np.ndarray) -> list[int]:
    """Running sums of a table's counts brought down to 2^16, each count at least 1, escape last."""
    share = counts / TOTAL * (2**16 - counts.size)
    small = np.floor(share).astype(np.int64)
    small[np.argsort(small - share, kind="stable")[: 2**16 - counts.size - small.sum()]] += 1
    return [0, *np.cumsum(small + 1).tolist()]


def measure_rows(n: int = SYMBOLS, repeats: int = REPEATS, mixes: Sequence[str] = MIXES,
                 coders: Sequence[type] = (Grouped, PerSymbol, CompressAI),
                 progress: Callable[[int, int], None] | None = None) -> list[dict]:
    """A plain dict for each mix and coder.

    encode, encode_core, decode, decode_core: 10^6 symbols a second; bytes: of the coded symbols, with no container;
    excess: bytes above the cross-entropy under the 24-bit tables, in percent; bits: that cross-entropy per symbol.
    """
    tables = gaussian_tables(SIGMAS)
    rows, done = [], 0
    for mix in mixes:
        symbols, classes = draw(mix, n)
        ideal = tables.bits(symbols, classes) / 8
        made = [coder(symbols, classes, tables) for coder in coders]
        for coder in made:
            if not np.array_equal(coder.decode(), symbols):
                raise AssertionError(f"{coder.name} decoded other symbols")
        best = {coder.name: dict.fromkeys(("encode", "encode_core", "decode", "decode_core"), float("inf"))
                for coder in made}
        for turn in range(repeats):
            for coder in made:
                if coder.name in SLOW and turn % 3:
                    continue
                for what in best[coder.name]:
                    start = time.thread_time()
                    getattr(coder, what)()
                    best[coder.name][what] = min(best[coder.name][what], time.thread_time() - start)
            done += 1
            if progress:
                progress(done, repeats * len(mixes))
        rows += [{"mix": mix, "coder": coder.name, **{what: n / 1e6 / s for what, s in best[coder.name].items()},
                  "bytes": len(coder.data), "excess": 100 * (len(coder.data) / ideal - 1), "bits": 8 * ideal / n}
                 for coder in made]
    return rows


def measure(clips: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None) -> Results:
    """Run it. Symbols are drawn, not taken from clips: ``clips`` has no effect."""
    results = Results("entropy")
    config = {"symbols": SYMBOLS, "classes": len(SIGMAS), "repeats": REPEATS, "mixes": list(MIXES)}
    for row in measure_rows(progress=progress):
        for what, unit in UNITS.items():
            results.add_value(f"{row['mix']} {what}", row[what], unit, codec=row["coder"])
    results.provenance |= provenance(config, seed=0)
    return results


def rows(results: Results) -> list[dict]:
    """A row for each mix and coder, with the records' ids."""
    values = {(v.codec, v.metric): v for v in results.values}
    table = []
    for mix in MIXES:
        for coder in dict.fromkeys(v.codec for v in results.values):
            found = {what: values[coder, f"{mix} {what}"] for what in UNITS if (coder, f"{mix} {what}") in values}
            if found:
                table.append({"mix": mix, "coder": coder, **{w: v.value for w, v in found.items()},
                              "ids": {w: v.id for w, v in found.items()}})
    return table
