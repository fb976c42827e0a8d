"""Table `anchors`: the conventional codecs' side of every rate-distortion table, one row a rate point."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.experiments.evaluate import DEFAULT_METRICS, Progress, evaluate
from codec_lib.experiments.records import Record, Results

DESCRIPTION = "x264, x265, SVT-AV1, libaom and VVenC in low-delay and random-access settings: rate, quality, time"
PAPER: dict = {}

CODECS = tuple(f"{name}:{mode}" for mode in ("ld", "ra") for name in ("x264", "x265", "svtav1", "libaom", "vvenc"))
METRICS = (*DEFAULT_METRICS, "lpips", "vmaf", "xpsnr")
FRAMES = 32
RESUMABLE = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """All anchors at their default rates on the first frames of ``clips`` (the offline samples unless given)."""
    return evaluate(CODECS, clips or ["sample"], metrics=METRICS, frames=FRAMES, experiment="anchors", out=out,
                    resume=resume, progress=progress)


def rows(results: Results) -> list[dict]:
    return [rate_point_row(results.experiment, r) for r in results.records]


def rate_point_row(experiment: str, record: Record) -> dict:
    """A record as a table row: its numbers, and under "ids" the record id of each."""
    numbers = {"bpp": record.bpp, **record.metrics, "encode_s": record.encode_s, "decode_s": record.decode_s}
    stem = f"{experiment}/{record.label}/{record.clip}/q{record.quality}"
    return {"codec": record.label, "clip": record.clip, "quality": record.quality, **numbers,
            "ids": {name: f"{stem}/{name}" for name in numbers}}
