"""BD-rates of all codecs of a file of results against one of them."""

from __future__ import annotations

from collections.abc import Sequence

from codec_lib.errors import UsageError
from codec_lib.experiments.records import Record
from codec_lib.experiments.tables import text_rows
from codec_lib.metrics import metric as metric_named
from codec_lib.metrics.bd import BDResult, BDSummary, Points, bd_rate_over_clips


def compare(records: Sequence[Record], anchor: str, metric: str = "psnr", method: str = "akima") -> dict:
    """BD-rate of each codec against ``anchor``, over bits per pixel, clip by clip and as the mean over clips.

    anchor: a codec as records name it ("x265:ld", "intra@lab"), or a shorter name that fits only one ("intra").
    Returns {"anchor", "metric", "method", "bd_rate": {codec: {"percent", "interval", "overlap", "clips": {clip:
    {"percent", "overlap"}}}}}. Where there is no number, "percent" is None and "reason" says why: curves without
    overlap are listed, never left out. "interval" is the 95 % bootstrap interval over clips, None for a single one;
    "overlap" of a codec is its smallest over the clips that count.
    Raises UsageError for an anchor or metric that the records do not have.
    """
    better = metric_named(metric).better
    codecs = list(dict.fromkeys(r.label for r in records))
    anchor = _resolve(anchor, codecs)
    curves = {codec: _curves([r for r in records if r.label == codec], metric) for codec in codecs}
    if not any(points for points in curves[anchor].values()):
        reasons = [r.absent[metric] for r in records if metric in r.absent]
        raise UsageError(f"no record of {anchor} has {metric}" + (f": {reasons[0]}" if reasons else
                         f": measure it with eval --metrics {metric}"))
    table = {}
    for codec in codecs:
        if codec != anchor:
            table[codec] = _summary(bd_rate_over_clips(curves[anchor], curves[codec], better, method))
    return {"anchor": anchor, "metric": metric, "method": method, "bd_rate": table}


def text_table(comparison: dict) -> str:
    """The comparison as text: a row a codec and clip, then each codec's mean with its interval, then what has no number."""
    rows, reasons = [], []
    for codec, summary in comparison["bd_rate"].items():
        for clip, result in summary["clips"].items():
            rows.append({"codec": codec, "clip": clip, "BD-rate %": _percent(result["percent"]),
                         "overlap": f"{result['overlap']:.2f}", "95 % interval": ""})
            if "reason" in result:
                reasons.append(f"{codec} on {clip}: {result['reason']}")
        low_high = summary["interval"]
        rows.append({"codec": codec, "clip": "mean", "BD-rate %": _percent(summary["percent"]),
                     "overlap": f"{summary['overlap']:.2f}",
                     "95 % interval": f"{low_high[0]:+.2f} to {low_high[1]:+.2f}" if low_high else ""})
    title = f"BD-rate against {comparison['anchor']} in {comparison['metric']}; negative: fewer bits for the same quality"
    return "\n".join([title, text_rows(rows) if rows else "no other codec to compare", *reasons])


def _curves(records: Sequence[Record], metric: str) -> dict[str, Points]:
    """Clip -> points (bpp, value) of one codec."""
    curves: dict[str, list] = {r.clip: [] for r in records}
    for r in records:
        if (value := r.number(metric)) is not None:
            curves[r.clip].append((r.bpp, value))
    return curves


def _summary(summary: BDSummary) -> dict:
    made = {"percent": summary.percent, "interval": summary.interval and list(summary.interval),
            "overlap": summary.overlap, "clips": {clip: _clip(r) for clip, r in summary.clips.items()}}
    return made | ({"reason": summary.reason} if summary.reason else {})


def _clip(result: BDResult) -> dict:
    return {"percent": result.percent, "overlap": result.overlap} | ({"reason": result.reason} if result.reason else {})


def _resolve(name: str, codecs: Sequence[str]) -> str:
    """The full label for a name: itself, its low-delay variant, or the only one that begins with it."""
    fitting = [c for c in codecs if c in (name, f"{name}:ld")]
    fitting = fitting or [c for c in codecs if c.startswith((f"{name}:", f"{name}@"))]
    if len(fitting) != 1:
        problem = "is not among the codecs measured" if not fitting else f"may be {' or '.join(fitting)}"
        raise UsageError(f"anchor '{name}' {problem}: choose from {', '.join(codecs)}")
    return fitting[0]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
