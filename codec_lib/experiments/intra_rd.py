"""Table `intra-rd`: the neural intra codec against the intra settings of conventional ones, as BD-rate in RGB PSNR.

Every codec codes each frame by itself, at its default rates, on the first frames of each clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.experiments.bd_columns import add_bd_rates, bd_rows
from codec_lib.experiments.bd_columns import bd_name as bd_name
from codec_lib.experiments.evaluate import DEFAULT_METRICS, Progress, evaluate
from codec_lib.experiments.records import Results, label

DESCRIPTION = "BD-rate of the intra codec against x264, x265, SVT-AV1 and VVenC intra"
PAPER: dict = {}

CODEC = label("intra", "lab")
ANCHORS = tuple(f"{name}:intra" for name in ("x264", "x265", "svtav1", "vvenc"))
FRAMES = 4
RESUMABLE = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """Rate points of all five codecs on ``clips`` (the offline samples unless given), and the BD-rates from them."""
    results = evaluate((*ANCHORS, CODEC), clips or ["sample"], metrics=DEFAULT_METRICS, frames=FRAMES,
                       experiment="intra-rd", out=out, resume=resume, progress=progress)
    add_bd_rates(results, CODEC, ANCHORS, DEFAULT_METRICS)
    return results


def rows(results: Results) -> list[dict]:
    """A row for each clip and one for the mean; a column for each anchor, BD-rate in percent of RGB PSNR."""
    return bd_rows(results, ANCHORS)
