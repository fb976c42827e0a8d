"""BD-rate: curves whose answer is known, the package, the plain reference, and everything a curve can lack."""

import math
import re

import bjontegaard
import numpy as np
import pytest

from codec_lib.errors import UsageError
from codec_lib.metrics.bd import BDResult, bd_metric, bd_rate, bd_rate_over_clips, bootstrap, overlap
from codec_lib.metrics.bd_by_hand import bd_rate_by_hand

# Measured-looking curves of (bpp, dB): five points, other rates and other spans.
ANCHOR = [(0.021, 29.31), (0.043, 31.52), (0.088, 33.87), (0.171, 36.02), (0.349, 38.44)]
TEST = [(0.017, 29.02), (0.036, 31.44), (0.070, 33.69), (0.152, 36.31), (0.330, 38.95)]
LPIPS_ANCHOR = [(0.021, 0.412), (0.043, 0.330), (0.088, 0.241), (0.171, 0.166), (0.349, 0.101)]
LPIPS_TEST = [(0.011, 0.377), (0.020, 0.301), (0.044, 0.228), (0.101, 0.152), (0.190, 0.094)]


pytestmark = pytest.mark.filterwarnings("ignore:Insufficient curve overlap")  # what the package says; we report it


def columns(*curves):
    return [np.array(c) for curve in curves for c in zip(*curve, strict=True)]


@pytest.mark.parametrize("method", ["akima", "pchip"])
@pytest.mark.parametrize("factor", [0.8, 1.0, 1.35])
def test_curve_at_a_constant_rate_ratio(method, factor):
    test = [(r * factor, q) for r, q in ANCHOR]
    result = bd_rate(ANCHOR, test, method=method)
    assert result.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert result.overlap == 1 and result.reason is None and result.method == method and not result.fragile


def test_analytic_curves():
    """log10 rate = q/10 against q/10 + (q - 30)/100 over [30, 40]: mean log ratio 0.05, by the integral."""
    q = np.linspace(30, 40, 6)
    anchor = list(zip(10 ** (q / 10), q, strict=True))
    test = list(zip(10 ** (q / 10 + (q - 30) / 100), q, strict=True))
    assert bd_rate(anchor, test).percent == pytest.approx(100 * (10**0.05 - 1), abs=1e-9)


def test_analytic_bd_metric():
    """One decibel better at every rate."""
    assert bd_metric(ANCHOR, [(r, q + 1) for r, q in ANCHOR]).delta == pytest.approx(1, abs=1e-9)
    worse = bd_metric(LPIPS_ANCHOR, [(r, v + 0.05) for r, v in LPIPS_ANCHOR], better="lower")
    assert worse.delta == pytest.approx(0.05, abs=1e-9)  # in the metric's own sign: higher LPIPS is worse
    assert worse.percent is None


@pytest.mark.parametrize("method", ["akima", "pchip"])
def test_equals_the_package(method):
    expected = bjontegaard.bd_rate(*columns(ANCHOR, TEST), method=method)
    assert bd_rate(ANCHOR, TEST, method=method).percent == pytest.approx(expected, abs=0.01)
    assert -40 < expected < -1
    expected = bjontegaard.bd_psnr(*columns(ANCHOR, TEST), method=method)
    assert bd_metric(ANCHOR, TEST, method=method).delta == pytest.approx(expected, abs=1e-9)
    shuffled = [TEST[i] for i in (3, 0, 4, 2, 1)]
    assert bd_rate(ANCHOR, shuffled, method=method) == bd_rate(ANCHOR, TEST, method=method)


def test_different_numbers_of_points():
    expected = bjontegaard.bd_rate(*columns(ANCHOR, TEST[:4]), method="akima", require_matching_points=False)
    assert bd_rate(ANCHOR, TEST[:4]).percent == pytest.approx(expected, abs=0.01)


def test_the_package_refuses_lower_is_better_and_we_do_not():
    with pytest.raises(AssertionError):
        bjontegaard.bd_rate(*columns(LPIPS_ANCHOR, LPIPS_TEST), method="akima")
    negated = [[(r, -v) for r, v in c] for c in (LPIPS_ANCHOR, LPIPS_TEST)]
    result = bd_rate(LPIPS_ANCHOR, LPIPS_TEST, better="lower")
    assert result.percent == pytest.approx(bd_rate_by_hand(*negated), abs=0.01) and result.percent < -30
    back = bd_rate(LPIPS_TEST, LPIPS_ANCHOR, better="lower").percent
    assert (1 + result.percent / 100) * (1 + back / 100) == pytest.approx(1, abs=1e-9)


def test_plain_reference_agrees_with_the_package():
    pairs = [(ANCHOR, TEST), (TEST, ANCHOR), (ANCHOR[:4], TEST[1:]), (ANCHOR, [(r * 0.8, q) for r, q in ANCHOR])]
    for anchor, test in pairs:
        expected = bjontegaard.bd_rate(*columns(anchor, test), method="akima", require_matching_points=False)
        assert bd_rate_by_hand(anchor, test) == pytest.approx(expected, abs=0.01)


def test_overlap_is_reported():
    high = [(r * 4, q + 6) for r, q in ANCHOR]  # 35.31..44.44 against 29.31..38.44
    result = bd_rate(ANCHOR, high)
    assert result.overlap == pytest.approx((38.44 - 35.31) / (44.44 - 29.31)) and result.fragile
    assert result.percent is not None
    assert overlap([0, 1], [2, 3]) == 0 and overlap([0, 4], [1, 3]) == 0.5


@pytest.mark.parametrize(
    ("test", "why"),
    [
        (TEST[:3], "test curve has 3 points.*at least 4"),
        ([], "has 0 points"),
        ([(r, q + 20) for r, q in TEST], "do not overlap: they have no values in common"),
        ([*TEST[:2], (0.07, 31.0), *TEST[3:]], "not monotone: from rate 0.036 to 0.07 the value goes from 31.44 to 31"),
        ([*TEST[:4], (0.33, TEST[3][1])], "not monotone"),
        ([*TEST, (0.33, 39.2)], "two points at rate 0.33"),
        ([*TEST[:4], (0.4, math.nan)], "not a number"),
        ([*TEST[:4], (0.4, math.inf)], "not a number"),
        ([(0.0, 20.0), *TEST[1:]], "no rate above 0"),
    ],
)
def test_reasons_instead_of_exceptions(test, why):
    result = bd_rate(ANCHOR, test)
    assert result.percent is None and result.overlap == 0
    assert re.search(why, result.reason), result.reason
    assert "anchor curve" in bd_rate(TEST[:2], TEST).reason


def test_reason_for_lower_is_better_shows_the_values_as_they_were():
    bad = [*LPIPS_TEST[:2], (0.044, 0.31), *LPIPS_TEST[3:]]
    assert "from 0.301 to 0.31" in bd_rate(LPIPS_ANCHOR, bad, better="lower").reason


def test_rates_without_overlap_have_no_bd_metric():
    assert "no rates in common" in bd_metric(ANCHOR, [(r * 100, q) for r, q in ANCHOR]).reason


def test_unknown_words():
    with pytest.raises(UsageError, match="'higher' or 'lower'"):
        bd_rate(ANCHOR, TEST, better="more")
    with pytest.raises(UsageError, match="akima, pchip"):
        bd_rate(ANCHOR, TEST, method="cubic")


def test_over_clips():
    factors = {"a": 0.8, "b": 0.9, "c": 1.1}
    anchor = {c: ANCHOR for c in [*factors, "short", "only-anchor"]}
    test = {c: [(r * f, q) for r, q in ANCHOR] for c, f in factors.items()} | {"short": TEST[:2]}
    summary = bd_rate_over_clips(anchor, test)
    assert summary.percent == pytest.approx((-20 - 10 + 10) / 3) and summary.reason is None
    assert summary.interval[0] < summary.percent < summary.interval[1]
    assert set(summary.clips) == {*factors, "short"} and summary.overlap == 1
    assert isinstance(summary.clips["short"], BDResult) and "2 points" in summary.clips["short"].reason
    nothing = bd_rate_over_clips(anchor, {"short": TEST[:2]})
    assert nothing.percent is None and nothing.interval is None and nothing.reason.startswith("short: the test curve")
    assert "no clip" in bd_rate_over_clips(anchor, {}).reason


def test_bootstrap_interval():
    values = list(np.random.default_rng(0).normal(-10, 4, 40))
    low, high = bootstrap(values)
    # The mean's standard error is 4 / sqrt(40) = 0.63; 95 % are 1.96 of them on either side.
    error = np.std(values) / math.sqrt(40)
    assert low == pytest.approx(np.mean(values) - 1.96 * error, abs=0.12)
    assert high == pytest.approx(np.mean(values) + 1.96 * error, abs=0.12)
    assert bootstrap(values) == (low, high) != bootstrap(values, seed=1)
    assert bootstrap([3.0]) is None and bootstrap([2.0, 2.0]) == (2.0, 2.0)
    narrow = bootstrap(values, level=0.5)
    assert low < narrow[0] < narrow[1] < high
