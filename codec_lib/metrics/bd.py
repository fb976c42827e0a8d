"""Bjøntegaard deltas between rate curves, over the bjontegaard package, with reasons where it has exceptions or nan.

A curve is a sequence of points (rate, value) in any order; rates in any unit, the same for both curves. The value
may be one where lower is better (LPIPS, DISTS): say ``better="lower"``. What is integrated is log10 of the rate over
the values that both curves reach (BD-rate), or the value over the rates that both reach (BD-metric).
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codec_lib.errors import UsageError

METHODS = ("akima", "pchip")
MIN_POINTS = 4
FRAGILE_BELOW = 0.75
"""Overlap under which the package itself warns: the average then rests on a part of the curves only."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class BDResult:
    """The average difference of two curves, or the reason why there is none.

    percent: BD-rate; -20 means that the test codec needs 20 % less rate for the same value. None with a reason.
    delta: BD-metric, in the metric's own unit and sign, test minus anchor at the same rate. None with a reason.
    overlap: the shared interval over the interval that the two curves span together, 0 to 1.
    method: "akima" (what the package's authors recommend) or "pchip" (the JVET spreadsheets).
    Exactly one of ``percent`` and ``delta`` is set when ``reason`` is None.
    """

    percent: float | None = None
    delta: float | None = None
    overlap: float = 0.0
    method: str = "akima"
    reason: str | None = None

    @property
    def fragile(self) -> bool:
        """True when the overlap is so small that the number should not carry a claim."""
        return self.overlap < FRAGILE_BELOW


def bd_rate(anchor: Points, test: Points, better: str = "higher", method: str = "akima") -> BDResult:
    """BD-rate of ``test`` against ``anchor`` in percent: the mean rate difference at equal value.

    Raises UsageError for an unknown ``better`` or ``method``; everything that curves can lack becomes ``reason``.
    """
    import bjontegaard

    return _delta(bjontegaard.bd_rate, "percent", 1, anchor, test, better, method)


def bd_metric(anchor: Points, test: Points, better: str = "higher", method: str = "akima") -> BDResult:
    """BD-metric (BD-PSNR and its like) of ``test`` against ``anchor``: the mean difference of value at equal rate."""
    import bjontegaard

    return _delta(bjontegaard.bd_psnr, "delta", 0, anchor, test, better, method)


def _delta(function, field: str, axis: int, anchor: Points, test: Points, better: str, method: str) -> BDResult:
    """Run one of the package's functions; ``axis`` is the coordinate of a point over which it integrates."""
    if better not in ("higher", "lower"):
        raise UsageError(f"better='{better}' is unknown: say 'higher' or 'lower'")
    if method not in METHODS:
        raise UsageError(f"BD method '{method}' is unknown: choose from {', '.join(METHODS)}")
    sign = 1 if better == "higher" else -1
    curves = [sorted((float(r), sign * float(v)) for r, v in points) for points in (anchor, test)]
    for name, curve in zip(("anchor", "test"), curves, strict=True):
        if reason := _unusable(curve, sign):
            return BDResult(method=method, reason=f"the {name} curve {reason}")
    share = overlap(*([math.log10(p[0]) if axis == 0 else p[1] for p in c] for c in curves))
    if share == 0:
        over = "rates" if axis == 0 else "values"
        return BDResult(method=method, reason=f"the curves do not overlap: they have no {over} in common")
    columns = [list(column) for curve in curves for column in zip(*curve, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a small overlap: reported in the result
        value = float(function(*columns, method=method, require_matching_points=False))
    return BDResult(**{field: sign * value if field == "delta" else value}, overlap=share, method=method)


def _unusable(curve: list[tuple[float, float]], sign: int) -> str | None:
    """Why a curve sorted by rate (values times ``sign``, so that higher is better) cannot be used, or None."""
    if len(curve) < MIN_POINTS:
        return f"has {len(curve)} points: a BD value needs at least {MIN_POINTS}"
    for rate, value in curve:
        if not (math.isfinite(rate) and math.isfinite(value) and rate > 0):
            return f"has a point that is not a number or no rate above 0 ({rate:g}, {sign * value:g})"
    for (r0, v0), (r1, v1) in zip(curve, curve[1:], strict=False):
        if r0 == r1:
            return f"has two points at rate {r0:g}"
        if v1 <= v0:
            step = f"from {sign * v0:g} to {sign * v1:g}"
            return f"is not monotone: from rate {r0:g} to {r1:g} the value goes {step}, no better"
    return None


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Shared interval over spanned interval of two sets of numbers, 0 to 1, as the package defines it."""
    shared = min(max(a), max(b)) - max(min(a), min(b))
    return max(shared, 0.0) / (max(*a, *b) - min(*a, *b))


@dataclass(frozen=True)
class BDSummary:
    """BD-rate over several clips.

    percent: mean over the clips that have one; None when none has. interval: its bootstrap interval, or None.
    overlap: the smallest overlap among them. clips: the result for each clip, reasons included.
    """

    percent: float | None
    interval: tuple[float, float] | None
    overlap: float
    clips: Mapping[str, BDResult]

    @property
    def reason(self) -> str | None:
        """Why there is no mean: the first clip's reason."""
        if self.percent is not None:
            return None
        return next((f"{clip}: {r.reason}" for clip, r in self.clips.items()), "no clip was measured with both codecs")


def bd_rate_over_clips(
    anchor: Mapping[str, Points],
    test: Mapping[str, Points],
    better: str = "higher",
    method: str = "akima",
    seed: int = 0,
) -> BDSummary:
    """BD-rate for each clip that both codecs coded, their mean, and a 95 % interval by resampling clips."""
    clips = {c: bd_rate(anchor[c], test[c], better, method) for c in anchor if c in test}
    values = [r.percent for r in clips.values() if r.percent is not None]
    if not values:
        return BDSummary(None, None, 0.0, clips)
    least = min(r.overlap for r in clips.values() if r.percent is not None)
    return BDSummary(math.fsum(values) / len(values), bootstrap(values, seed=seed), least, clips)


def bootstrap(
    values: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean (Efron 1979): what might it have been with other clips?

    None for fewer than two values. The same values and seed give the same interval everywhere.
    """
    if len(values) < 2:
        return None
    draw = random.Random(seed)
    means = sorted(math.fsum(draw.choices(values, k=len(values))) / len(values) for _ in range(resamples))
    tail = round((1 - level) / 2 * resamples)
    return means[tail], means[resamples - 1 - tail]
