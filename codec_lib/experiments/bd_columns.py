"""BD-rates of one codec against several anchors, clip by clip and as the mean: what tables of rate curves share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codec_lib.experiments.compare import compare
from codec_lib.experiments.frame_points import add_mean
from codec_lib.experiments.records import Results


def bd_name(metric: str, anchor: str) -> str:
    """The name under which a BD-rate is recorded: "bd-rate psnr x265:intra"."""
    return f"bd-rate {metric} {anchor}"


def add_bd_rates(results: Results, codec: str, anchors: Sequence[str], metrics: Sequence[str]) -> None:
    """Record the BD-rate of ``codec`` against each anchor in each metric, from the rate points that ``results`` holds.

    A clip whose curves give no number has none, and neither has the mean over clips that all lack it.
    """
    for anchor in anchors:
        for metric in metrics:
            found = compare(results.records, anchor, metric)["bd_rate"][codec]
            for clip, r in (*found["clips"].items(), ("mean", found)):
                if r["percent"] is not None:
                    results.add_value(bd_name(metric, anchor), r["percent"], "%", codec=codec, clip=clip)


def gap_name(metric: str, anchor: str) -> str:
    """The name under which a difference at equal rate is recorded: "psnr over vvenc:ld"."""
    return f"{metric} over {anchor}"


def add_gaps(results: Results, codec: str, anchor: str, metric: str, unit: str = "") -> None:
    """Record how much more of a metric ``codec`` has than an anchor at equal bpp: the anchor's curve is interpolated over log rate at the
    codec's points, those outside of its rates left out; mean over points of each clip, and over clips. It needs no overlap in the
    metric, as BD-rates do."""
    found = {}
    for clip in dict.fromkeys(r.clip for r in results.records):
        ours, theirs = ([(np.log(r.bpp), r.number(metric)) for r in sorted(results.records, key=lambda r: r.bpp)
                         if (r.label, r.clip) == (name, clip)] for name in (codec, anchor))
        if theirs:
            inside = [value - np.interp(rate, *zip(*theirs, strict=True)) for rate, value in ours if theirs[0][0] <= rate <= theirs[-1][0]]
            found[clip] = float(np.mean(inside)) if inside else None
    add_mean(results, gap_name(metric, anchor), found, unit, codec)


def bd_rows(results: Results, anchors: Sequence[str], metric: str = "psnr") -> list[dict]:
    """A row for each clip and one for the mean; a column for each anchor, BD-rate in percent."""
    values = {(v.clip, v.metric): v for v in results.values}
    clips = dict.fromkeys(v.clip for v in results.values)
    table = []
    for clip in (*(c for c in clips if c != "mean"), "mean"):
        cells = {a: values.get((clip, bd_name(metric, a))) for a in anchors}
        table.append({"clip": clip, **{a: v and v.value for a, v in cells.items()},
                      "ids": {a: v.id for a, v in cells.items() if v}})
    return table
