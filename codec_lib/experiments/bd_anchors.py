"""Table `bd-anchors`: BD-rates of the conventional codecs, derived from the rate points of table `anchors`.

Three comparisons, each as the mean over clips with its 95 % bootstrap interval:

* low delay, against x265:ld;
* random access, against x265:ra;
* what random access saves: each codec's :ra against its own :ld.

Nothing is coded here: run it again after `anchors` has been measured again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.errors import MissingData
from codec_lib.experiments.anchors import CODECS
from codec_lib.experiments.compare import compare
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.provenance import digest, provenance
from codec_lib.experiments.records import Record, Results, load_results

DESCRIPTION = "BD-rates of x264, x265, SVT-AV1, libaom and VVenC over all clips of `anchors`, in seven metrics"
PAPER: dict = {}

ANCHOR = "x265"
METRICS = ("psnr", "psnr-yuv", "ms-ssim", "vmaf", "xpsnr", "lpips")
PARTS = ("bd-rate", "low", "high", "overlap", "clips")
"""The mean BD-rate in percent, its interval, the smallest overlap among the clips, and how many clips have a number."""

COMPARISONS: dict[str, tuple[str, ...]] = {
    f"{ANCHOR}:{mode}": tuple(c for c in CODECS if c.endswith(f":{mode}") and c != f"{ANCHOR}:{mode}")
    for mode in ("ld", "ra")
} | {low: (low.replace(":ld", ":ra"),) for low in CODECS if low.endswith(":ld") and low != f"{ANCHOR}:ld"}
COMPARISONS[f"{ANCHOR}:ld"] += (f"{ANCHOR}:ra",)
"""Anchor -> the codecs that are compared with it."""


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None) -> Results:
    """BD-rates from the saved `anchors`. clips: names of clips in them, or paths that end in such a name; all by default.

    A clip without a number (curves that are not monotone or do not overlap) is left out of that mean and of its count.
    Raises MissingData when `anchors` was not measured, or not on these clips.
    """
    source = load_results("anchors")
    wanted = {Path(c).stem.rpartition(":")[2] for c in clips} if clips else {r.clip for r in source.records}
    records = [r for r in source.records if r.clip in wanted]
    if not records:
        raise MissingData(f"the saved results of 'anchors' hold no rate point of {', '.join(sorted(wanted))}")
    results = Results("bd-anchors")
    for done, (anchor, tested) in enumerate(COMPARISONS.items()):
        if progress:
            progress(done, len(COMPARISONS), f"against {anchor}")
        chosen = [r for r in records if r.label in (anchor, *tested)]
        for metric in METRICS:
            if any(r.label == anchor and r.number(metric) is not None for r in chosen):
                _add(results, chosen, anchor, metric)
    results.provenance |= provenance({"from": "anchors", "clips": sorted({r.clip for r in records}), "method": "akima",
                                      "anchors_digest": digest(sorted([*r.key, r.bytes] for r in records))})
    return results


def _add(results: Results, records: Sequence[Record], anchor: str, metric: str) -> None:
    for codec, found in compare(records, anchor, metric)["bd_rate"].items():
        if found["percent"] is None:
            continue
        low, high = found["interval"] or (None, None)
        count = sum(r["percent"] is not None for r in found["clips"].values())
        for part, value, unit in (("bd-rate", found["percent"], "%"), ("low", low, "%"), ("high", high, "%"),
                                  ("overlap", found["overlap"], ""), ("clips", count, "")):
            if value is not None:
                results.add_value(value_name(part, metric, anchor), value, unit, codec=codec)


def value_name(part: str, metric: str, anchor: str) -> str:
    """The name under which a number is recorded: "bd-rate psnr x265:ld", "overlap psnr x265:ld"."""
    return f"{part} {metric} {anchor}"


def value_id(codec: str, metric: str, anchor: str, part: str = "bd-rate") -> str:
    """The record id of a number of this table."""
    return f"bd-anchors/{codec}/-/-/{value_name(part, metric, anchor)}"


def rows(results: Results) -> list[dict]:
    """A row for each anchor and codec; a column for each metric, BD-rate in percent, and what the RGB PSNR one rests on."""
    values = {(v.codec, v.metric): v for v in results.values}
    table = []
    for anchor, tested in COMPARISONS.items():
        for codec in tested:
            cells = {m: values.get((codec, value_name("bd-rate", m, anchor))) for m in METRICS}
            cells |= {part: values.get((codec, value_name(part, "psnr", anchor))) for part in PARTS[1:]}
            if any(cells.values()):
                table.append({"codec": codec, "against": anchor, **{name: v and v.value for name, v in cells.items()},
                              "ids": {name: v.id for name, v in cells.items() if v}})
    return table
