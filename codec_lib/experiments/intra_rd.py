"""Table `intra-rd`: the neural intra codec against the intra settings of conventional ones, as BD-rate in RGB PSNR.

Every codec codes each frame by itself, at its default rates, on the first frames of each clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.experiments.compare import compare
from codec_lib.experiments.evaluate import DEFAULT_METRICS, Progress, evaluate
from codec_lib.experiments.records import Results, label

DESCRIPTION = "BD-rate of the intra codec against x264, x265, SVT-AV1 and VVenC intra"
PAPER: dict = {}

CODEC = label("intra", "lab")
ANCHORS = tuple(f"{name}:intra" for name in ("x264", "x265", "svtav1", "vvenc"))
COMPARED_IN = ("psnr", "psnr-yuv", "ms-ssim")
FRAMES = 4
RESUMABLE = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """Rate points of all five codecs on ``clips`` (the offline samples unless given), and the BD-rates from them."""
    results = evaluate((*ANCHORS, CODEC), clips or ["sample"], metrics=DEFAULT_METRICS, frames=FRAMES,
                       experiment="intra-rd", out=out, resume=resume, progress=progress)
    for anchor in ANCHORS:
        for metric in COMPARED_IN:
            found = compare(results.records, anchor, metric)["bd_rate"][CODEC]
            for clip, r in (*found["clips"].items(), ("mean", found)):
                if r["percent"] is not None:
                    results.add_value(bd_name(metric, anchor), r["percent"], "%", codec=CODEC, clip=clip)
    return results


def bd_name(metric: str, anchor: str) -> str:
    """The name under which a BD-rate is recorded: "bd-rate psnr x265:intra"."""
    return f"bd-rate {metric} {anchor}"


def rows(results: Results) -> list[dict]:
    """A row for each clip and one for the mean; a column for each anchor, BD-rate in percent of RGB PSNR."""
    values = {(v.clip, v.metric): v for v in results.values}
    clips = dict.fromkeys(v.clip for v in results.values)
    table = []
    for clip in (*(c for c in clips if c != "mean"), "mean"):
        cells = {a: values.get((clip, bd_name("psnr", a))) for a in ANCHORS}
        table.append({"clip": clip, **{a: v and v.value for a, v in cells.items()},
                      "ids": {a: v.id for a, v in cells.items() if v}})
    return table
