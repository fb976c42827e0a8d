"""The range coder: the same bytes as a plain twin, the rate of its tables, and no trust in what it is given."""

import math
import time

import numpy as np
import plain_range_coder as plain
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_lib.entropy.coder import Decoder, Encoder, decode, encode, group
from codec_lib.entropy.escape import MAX_BUCKET, MAX_EXCESS
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import PRECISION, TOTAL, CodingTables, gaussian_tables

SIGMAS = np.geomspace(0.11, 64, 64)
GAUSSIAN = gaussian_tables(SIGMAS)
HARD = CodingTables(
    [np.array([TOTAL - 1, 1]), np.array([1, TOTAL - 2, 1]), np.array([1, TOTAL - 1]),
     np.array([TOTAL // 2, TOTAL // 2 - 1, 1]), np.array([5, 7, TOTAL // 2, TOTAL // 2 - 13, 1])],
    [0, -1, 3, 0, -2],
)


def drawn(n, seed=0, classes=None):
    """Symbols as their tables expect them, and their classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 64, n).astype(np.uint8) if classes is None else classes
    return np.rint(rng.normal(size=n) * SIGMAS[classes]).astype(np.int32), classes


def plain_steps(symbols, classes, tables):
    """Steps of the plain coder for one push: table symbols class by class, then sides, buckets and remainders."""
    steps, escapes = [], []
    for k in range(len(tables)):
        row = [int(c) for c in tables.row(k)]
        for symbol in symbols[classes == k].tolist():
            index = symbol - int(tables.low[k])
            if not 0 <= index < len(row) - 1:
                escapes.append((True, -index - 1) if index < 0 else (False, index - len(row) + 1))
                index = len(row) - 1
            steps.append((sum(row[:index]), row[index], PRECISION))
    steps += [(below * TOTAL // 2, TOTAL // 2, PRECISION) for below, _ in escapes]
    lengths = [(e + 1).bit_length() - 1 for _, e in escapes]
    steps += [(TOTAL - (TOTAL >> b), TOTAL >> min(b + 1, MAX_BUCKET), PRECISION) for b in lengths]
    for b, (_, e) in zip(lengths, escapes, strict=True):
        if b:
            share = TOTAL >> b
            steps.append(((e + 1 - 2**b) * share, share, PRECISION))
    return steps


@st.composite
def messages(draw, tables):
    """A few pushes of (symbols, classes), escapes among them."""
    pushes = []
    for _ in range(draw(st.integers(1, 3))):
        classes = draw(st.lists(st.integers(0, len(tables) - 1), max_size=60))
        near = st.integers(-4, 6)
        far = st.one_of(near, near, near, st.integers(-MAX_EXCESS // 2, MAX_EXCESS // 2))
        pushes.append((np.array([draw(far) for _ in classes], np.int32), np.array(classes, np.int64)))
    return pushes


@pytest.mark.parametrize("tables", [HARD, GAUSSIAN], ids=["hard", "gaussian"])
def test_bytes_equal_those_of_the_plain_coder(tables):
    @given(messages(tables))
    @settings(max_examples=150, deadline=None)
    def check(pushes):
        encoder, steps = Encoder(tables), []
        for symbols, classes in pushes:
            encoder.push(symbols, classes)
            steps += plain_steps(symbols, classes, tables)
        data = encoder.finish()
        assert data == plain.encode(steps)
        decoder = Decoder(data)
        for symbols, classes in pushes:
            assert np.array_equal(decoder.pop(classes, tables), symbols)
        decoder.check_exhausted()

    check()


def test_the_plain_decoder_reads_our_bytes():
    symbols, classes = drawn(3000, seed=3)
    symbols = np.clip(symbols, GAUSSIAN.low[classes], -GAUSSIAN.low[classes])  # no escapes
    decoder = plain.Decoder(encode(symbols, classes, GAUSSIAN))
    for k in range(64):
        row = GAUSSIAN.row(k).tolist()
        for symbol in symbols[classes == k]:
            assert decoder.pop(row) + GAUSSIAN.low[k] == symbol


def test_endings_on_either_side_of_a_carry():
    """Intervals that cross a word end in the crossing: both of constriction's own endings there must be met."""
    rng, met = np.random.default_rng(0), set()
    for _ in range(1500):
        classes = rng.integers(0, 5, rng.integers(1, 9))
        symbols = HARD.low[classes] + rng.integers(0, HARD.sizes[classes] - 1)
        encoder = Encoder(HARD)
        encoder.push(symbols, classes)
        done, (lower, width) = encoder._coder.pos()
        if lower + width > 2**64:
            met.add(int(encoder._coder.get_compressed()[done]) << 32 >= lower)
        assert encoder.finish() == plain.encode(plain_steps(symbols, classes, HARD))
        assert np.array_equal(decode(encoder.finish(), classes, HARD), symbols)
    assert met == {True, False}


@pytest.mark.parametrize("n", [1, 10, 1000, 100_000])
def test_rate_is_the_cross_entropy(n):
    symbols, classes = drawn(n, seed=n)
    spent, ideal = 8 * len(encode(symbols, classes, GAUSSIAN)), GAUSSIAN.bits(symbols, classes)
    assert spent <= ideal * 1.005 + 64 * 8  # the bar
    assert ideal - 32 <= spent <= ideal * 1.0002 + 8  # what it does


def test_rate_of_wild_symbols_is_the_cross_entropy_too():
    symbols, classes = drawn(20_000, seed=2)
    symbols[::17] *= 9
    ideal = GAUSSIAN.bits(symbols, classes)
    assert ideal > 1.1 * GAUSSIAN.bits(*drawn(20_000, seed=2))
    assert 8 * len(encode(symbols, classes, GAUSSIAN)) <= ideal * 1.0002 + 8


def test_likely_symbols_cost_nothing():
    zeros = np.zeros(5000, np.int32)
    assert encode(zeros, zeros, HARD) == b""
    assert np.array_equal(decode(b"", zeros, HARD), zeros)
    assert encode(zeros[:0], zeros[:0], HARD) == b""
    assert decode(b"", zeros[:0], HARD).shape == (0,)


def test_unlikely_symbols_at_the_lower_edge_are_no_damage():
    """All-lowest symbols keep the interval at zero: the data is all zeros, and as long as its information."""
    symbols, classes = np.full(500, -1), np.ones(500, int)
    data = encode(symbols, classes, HARD)
    assert len(data) >= 24 * 500 // 8 - 4 and not any(data)
    assert np.array_equal(decode(data, classes, HARD), symbols)


def test_step_by_step_with_tables_of_their_own():
    hyper, hyper_classes = np.array([3, 0, -1, 0]), np.array([2, 0, 1, 3])
    first, classes = drawn(500, seed=8)
    second, other = drawn(300, seed=9)
    encoder = Encoder(GAUSSIAN)
    encoder.push(hyper, hyper_classes, HARD)
    encoder.push(first, classes)
    encoder.push(second, other)
    decoder = Decoder(encoder.finish(), GAUSSIAN)
    assert np.array_equal(decoder.pop(hyper_classes, HARD), hyper)
    assert np.array_equal(decoder.pop(classes), first)
    assert np.array_equal(decoder.pop(other), second)
    decoder.check_exhausted()


def test_kinds_of_arrays_do_not_matter():
    symbols, classes = drawn(400, seed=4)
    data = encode(symbols, classes, GAUSSIAN)
    for s in (symbols.astype(np.int64), symbols.astype(np.int16), np.repeat(symbols, 2)[::2], symbols.tolist()):
        for c in (classes.astype(np.int64), classes.astype(np.uint16), np.repeat(classes, 3)[::3]):
            assert encode(s, c, GAUSSIAN) == data
            assert np.array_equal(decode(data, c, GAUSSIAN), symbols)
    before = symbols.copy()
    encode(symbols, classes, GAUSSIAN)
    assert np.array_equal(symbols, before)


GOLDEN = "e70e7ff9bc9e2e71af8bfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffc93fc8a2983e0171e2f"


def test_golden_bytes():
    """Streams written today decode tomorrow: integer tables and symbols, so the same bytes on every machine."""
    tables = CodingTables([np.array([TOTAL // 4, TOTAL // 2, TOTAL // 8, TOTAL // 8]), np.array([3, TOTAL - 4, 1])],
                          [-1, 0])
    i = np.arange(40)
    symbols, classes = i * i % 5 - 2 + 40 * (i == 33), i % 3 // 2
    data = encode(symbols, classes, tables)
    assert data.hex() == GOLDEN
    assert np.array_equal(decode(bytes.fromhex(GOLDEN), classes, tables), symbols)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 2**32 - 1))
@settings(max_examples=400, deadline=None)
def test_random_data_ends_in_symbols_or_corrupt_stream(data, n, seed):
    classes = np.random.default_rng(seed).integers(0, 64, n)
    start = time.perf_counter()
    try:
        symbols = decode(data, classes, GAUSSIAN)
        assert symbols.shape == (n,) and np.abs(symbols).max(initial=0) <= MAX_EXCESS + 1000
    except CorruptStream:
        pass
    assert time.perf_counter() - start < 2


def test_missing_and_surplus_data_are_noticed():
    symbols, classes = drawn(2000, seed=6)
    data = encode(symbols, classes, GAUSSIAN)
    for cut in (0, 1, len(data) // 2, len(data) - 40):
        with pytest.raises(CorruptStream):
            decode(data[:cut], classes, GAUSSIAN)
    with pytest.raises(CorruptStream, match="goes on"):
        decode(data + bytes(40), classes, GAUSSIAN)
    with pytest.raises(CorruptStream):
        decode(data, np.tile(classes, 50), GAUSSIAN)


def test_a_promise_of_many_symbols_stops_early():
    """A short packet for a large picture is refused at the first class that needs more than there is."""
    data = encode(*drawn(100), GAUSSIAN)
    classes = np.repeat(np.arange(64, dtype=np.uint8), 50_000)[::-1]
    with pytest.raises(CorruptStream):
        Decoder(data, GAUSSIAN).pop(classes[classes > 50])
    with pytest.raises(CorruptStream, match="too few"):  # zeros alone would decode to any number of these
        Decoder(b"", HARD).pop(np.ones(10**6, np.uint8))


@pytest.mark.parametrize("symbols, classes", [
    ([0, 1], [0]),
    ([[0]], [[0]]),
    ([0.5], [0]),
    ([0], [0.0]),
    ([0], [64]),
    ([0], [-1]),
    ([MAX_EXCESS + 100], [0]),
    ([-MAX_EXCESS - 100], [0]),
    ([2**31], [0]),
    ([-(2**63)], [0]),
])
def test_what_cannot_be_coded_is_refused(symbols, classes):
    with pytest.raises(ValueError):
        encode(np.array(symbols), np.array(classes), GAUSSIAN)


def test_largest_escapes_are_kept():
    reach = -int(GAUSSIAN.low[0])
    symbols = np.array([reach + 1 + MAX_EXCESS, -reach - 1 - MAX_EXCESS, reach + 1, -reach - 1])
    classes = np.zeros(4, int)
    assert np.array_equal(decode(encode(symbols, classes, GAUSSIAN), classes, GAUSSIAN), symbols)
    assert math.isclose(GAUSSIAN.bits(symbols, classes) - 4 * GAUSSIAN.costs(0)[-1], 2 * (1 + 39 - 1) + 2 * 2)


@given(st.lists(st.integers(0, 9), max_size=200))
def test_grouping_is_a_stable_sort(classes):
    classes = np.array(classes, np.int32)
    values = np.arange(len(classes), dtype=np.int32) * 7
    grouped, position, first = group(values, classes, 10)
    assert np.array_equal(position, np.argsort(classes, kind="stable"))
    assert np.array_equal(grouped, values[position])
    assert np.array_equal(np.diff(first), np.bincount(classes, minlength=10))
