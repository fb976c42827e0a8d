"""BD-rates of one codec against several anchors, clip by clip and as the mean: what tables of rate curves share."""

from __future__ import annotations

from collections.abc import Sequence

from codec_lib.experiments.compare import compare
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
