"""Table `low-delay-rd`: the conditional codec against conventional ones in low delay, as BD-rate in RGB PSNR.

One I frame, then P frames that look back only, at each codec's default rates, on the first frames of each clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.experiments.bd_columns import add_bd_rates, bd_rows
from codec_lib.experiments.evaluate import Progress, evaluate
from codec_lib.experiments.records import Results, label

DESCRIPTION = "BD-rate of the conditional codec against x264, x265, SVT-AV1 and VVenC in low delay"
PAPER: dict = {}

CODEC = label("conditional", "lab")
ANCHORS = tuple(f"{name}:ld" for name in ("x264", "x265", "svtav1", "vvenc"))
METRICS = ("psnr",)
FRAMES = 32
RESUMABLE = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """Rate points of all five codecs on ``clips`` (the offline samples unless given), and the BD-rates from them."""
    results = evaluate((*ANCHORS, CODEC), clips or ["sample"], metrics=METRICS, frames=FRAMES,
                       experiment="low-delay-rd", out=out, resume=resume, progress=progress)
    add_bd_rates(results, CODEC, ANCHORS, METRICS)
    return results


def rows(results: Results) -> list[dict]:
    """A row for each clip and one for the mean; a column for each anchor, BD-rate in percent of RGB PSNR."""
    return bd_rows(results, ANCHORS)
