"""Integer tables: sound, near to what they stand for, and received by the range coder to the last unit."""

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import laplace, norm

from codec_lib.entropy.tables import (
    TOTAL,
    CodingTables,
    from_counts,
    gaussian_tables,
    integer_counts,
    laplace_tables,
)

SIGMAS = np.geomspace(0.11, 64, 64)


def symbol_at(model, quantile):
    """What the range coder decodes where a message's first 24 bits are ``quantile``."""
    words = np.array([quantile << 8, 0], np.uint32)
    return constriction.stream.queue.RangeDecoder(words).decode(model)


def hard_rows():
    rng = np.random.default_rng(5)
    long = integer_counts(rng.pareto(0.4, 60_000))
    return [np.array([TOTAL - 1, 1]), np.array([1, TOTAL - 1]), np.array([1] * 299 + [TOTAL - 299]), long]


@pytest.mark.parametrize("tables", [
    pytest.param(gaussian_tables(SIGMAS), id="gaussian"),
    pytest.param(laplace_tables(SIGMAS[::4], means=(-0.25, 0.5)), id="laplace"),
    pytest.param(CodingTables(hard_rows(), [0, -1, 7, -30_000]), id="hard"),
])
def test_the_range_coder_has_exactly_our_integers(tables):
    for k in range(len(tables)):
        edges = np.concatenate(([0], np.cumsum(tables.row(k))))
        which = np.arange(tables.sizes[k])
        if len(which) > 3000:  # of the long row a part
            which = which[:: len(which) // 1000]
        model = tables.model(k)
        for i in which:
            assert symbol_at(model, int(edges[i])) == i
            assert symbol_at(model, int(edges[i + 1]) - 1) == i


def test_off_by_one_in_a_count_is_seen_by_that_reading():
    row = gaussian_tables([2.0]).row(0).copy()
    edge = int(row[:5].sum())
    row[4] -= 1
    row[5] += 1
    assert symbol_at(CodingTables([row], [0]).model(0), edge - 1) == 5


@pytest.mark.parametrize("make, distribution", [(gaussian_tables, norm), (laplace_tables, laplace)])
@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_tables_follow_their_distribution(make, distribution, mean):
    tables = make(SIGMAS, means=(mean,))
    for k, scale in enumerate(SIGMAS):
        row, low = tables.row(k), int(tables.low[k])
        x = np.arange(low, low + row.size - 1) - mean
        law = distribution(scale=scale)
        p = np.where(x < 0, law.cdf(x + 0.5) - law.cdf(x - 0.5), law.sf(x - 0.5) - law.sf(x + 0.5))
        assert abs(1 - p.sum()) < 2**-13  # what escapes
        q = row[:-1] / TOTAL
        assert (p * np.log2(np.maximum(p, 1e-300) / q)).sum() < 2e-4 * max(1e-2, -(p * np.log2(p + 1e-300)).sum())
        assert np.all(np.abs(q - p) < (row.size + 2) / TOTAL)


def test_counts_become_probabilities():
    tables = from_counts([np.array([30, 0, 10])], [-1], smoothing=0.5, escape=0.5)
    assert np.allclose(tables.row(0) / TOTAL, np.array([30.5, 0.5, 10.5, 0.5]) / 42, atol=1e-6)
    assert tables.row(0).dtype == np.int32 and tables.low.tolist() == [-1]


def test_code_lengths_by_hand():
    tables = CodingTables([np.array([TOTAL // 2, TOTAL // 4, TOTAL // 4])], [0])
    symbols = np.array([0, 1, 2, -1, 3, 4, 5, -4])
    # The escape costs 2 bits, the side 1, Elias's code of the excess 0, 0, 1, 2, 3, 3 costs 1, 1, 3, 3, 5, 5.
    assert tables.symbol_bits(symbols, np.zeros(8, int)).tolist() == [1, 2, 4, 4, 6, 6, 8, 8]
    assert tables.bits(symbols, np.zeros(8, int)) == 39


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=300).filter(lambda p: sum(p) > 0))
@settings(max_examples=200, deadline=None)
def test_integer_counts_keep_the_sum_and_the_shares(p):
    counts = integer_counts(np.array(p))
    assert counts.min() >= 1 and counts.sum() == TOTAL
    share = np.array(p) / sum(p) * (TOTAL - len(p)) + 1
    assert np.abs(counts - share).max() < 1 + 1e-6


def test_arrays_bring_the_same_tables_back():
    tables = gaussian_tables(SIGMAS[:9], means=(-0.5, 0.0))
    again = CodingTables.from_arrays(tables.to_arrays())
    assert len(again) == 18 and again.digest() == tables.digest()
    assert all(np.array_equal(again.row(k), tables.row(k)) for k in range(18))
    assert all(a.dtype == np.int32 for a in tables.to_arrays().values())


@pytest.mark.parametrize("name", ["counts", "low"])
def test_any_changed_number_changes_the_digest(name):
    tables = CodingTables([np.array([TOTAL - 9, 5, 4])], [-1])
    arrays = tables.to_arrays()
    arrays[name][0] += 1
    if name == "counts":
        arrays[name][1] -= 1
    assert CodingTables.from_arrays(arrays).digest() != tables.digest()


@pytest.mark.parametrize("spoil", [
    lambda a: a["counts"].__setitem__(0, a["counts"][0] + 1),
    lambda a: a["counts"].__setitem__(slice(0, 2), [TOTAL, a["counts"][:2].sum() - TOTAL]),
    lambda a: a["sizes"].__setitem__(0, a["sizes"][0] + 1),
    lambda a: a["sizes"].__setitem__(slice(0, 2), [-3, a["sizes"][:2].sum() + 3]),
    lambda a: a.__setitem__("low", a["low"][:-1]),
    lambda a: a["low"].__setitem__(0, 2**30),
    lambda a: a.__setitem__("counts", a["counts"].astype(np.float64)),
    lambda a: a.__setitem__("sizes", np.zeros(0, np.int32)),
])
def test_arrays_that_are_no_tables_are_refused(spoil):
    arrays = gaussian_tables([0.5, 3.0]).to_arrays()
    spoil(arrays)
    with pytest.raises(ValueError):
        CodingTables.from_arrays(arrays)


@pytest.mark.parametrize("make", [
    lambda: gaussian_tables([0.0]),
    lambda: gaussian_tables([1.0], tail=0),
    lambda: integer_counts(np.array([1.0])),
    lambda: integer_counts(np.array([0.0, 0.0])),
    lambda: integer_counts(np.array([1.0, np.nan])),
    lambda: integer_counts(np.array([1.0, -1e-9])),
    lambda: CodingTables([], []),
])
def test_impossible_distributions_are_refused(make):
    with pytest.raises(ValueError):
        make()
