"""BD-rate in plain NumPy, to be read: the reference that ``bd`` is tested against and that chapter 01 shows.

Bjøntegaard's idea (VCEG-M33, 2001): draw log10(rate) as a curve over quality, one curve a codec; the mean horizontal
distance between them, over the qualities that both reach, is the mean log ratio of their rates.
The curve through the points is Akima's (J. ACM 17(4), 1970): cubic pieces whose slope at each point listens most to
the neighbouring segment that turns least, so that it does not swing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def akima_slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Akima's slope at each of n >= 3 points, (n,)."""
    m = np.diff(y) / np.diff(x)
    # Two more segments at either end, continuing the parabola through the last three points.
    m = np.concatenate(([3 * m[0] - 2 * m[1], 2 * m[0] - m[1]], m, [2 * m[-1] - m[-2], 3 * m[-1] - 2 * m[-2]]))
    turn = np.abs(np.diff(m))
    before, after = turn[:-2], turn[2:]  # how much the line bends on the left and on the right of each point
    total = before + after
    safe = np.where(total > 1e-9 * total.max(), total, 1)
    weighted = (after * m[1:-2] + before * m[2:-1]) / safe
    return np.where(total > 1e-9 * total.max(), weighted, (m[1:-2] + m[2:-1]) / 2)


def interpolate(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The Akima curve through (x, y), x ascending, evaluated inside its range."""
    slope = akima_slopes(x, y)
    i = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    h = x[i + 1] - x[i]
    t = (at - x[i]) / h
    return (
        (1 + 2 * t) * (1 - t) ** 2 * y[i]
        + t * (1 - t) ** 2 * h * slope[i]
        + t**2 * (3 - 2 * t) * y[i + 1]
        + t**2 * (t - 1) * h * slope[i + 1]
    )


def bd_rate_by_hand(
    anchor: Sequence[tuple[float, float]], test: Sequence[tuple[float, float]], samples: int = 10_001
) -> float:
    """BD-rate in percent for two curves of (rate, quality), higher quality better, both rising and overlapping."""
    (rate_a, quality_a), (rate_b, quality_b) = np.array(sorted(anchor)).T, np.array(sorted(test)).T
    q = np.linspace(max(quality_a[0], quality_b[0]), min(quality_a[-1], quality_b[-1]), samples)
    distance = interpolate(quality_b, np.log10(rate_b), q) - interpolate(quality_a, np.log10(rate_a), q)
    mean = (distance[1:] + distance[:-1]).mean() / 2  # trapezoids of one width
    return float((10**mean - 1) * 100)
