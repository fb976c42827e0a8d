"""Table `diffvc-rd`: DiffVC in low delay against conventional codecs, the conditional codec, and itself without its parts.

One I frame, then P frames, at each codec's default rates, on the first frames of each clip. Conventional encoders have one rate point
more, below the others: on such clips DiffVC writes from 0.014 bpp, and their usual points begin at twice as much. DiffVC sends more
I frames where P frames are worn, which its first pass over a clip finds out (its seconds are in the encoding of the first quality
alone, since what it finds is kept). BD-rates of DiffVC in every metric that can be had here; negative: fewer bits for the same value.
Beside VVC also the difference in PSNR at equal rate, which needs no overlap of PSNR.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments.bd_columns import add_bd_rates, add_gaps, bd_name
from codec_lib.experiments.evaluate import Progress, evaluate
from codec_lib.experiments.papers import cell
from codec_lib.experiments.records import Results, label

DESCRIPTION = "BD-rate of DiffVC in perceptual and other metrics, against conventional codecs and its own backbone"
PAPER = {metric: asdict(cell(f"diffvc.table3/diffvc/{metric}")) for metric in ("dists", "psnr")}

CODEC = label("diffvc", "lab")
BACKBONE = label("diffvc:diffusion=false", "mse")
"""The contextual codec with nothing trained for LPIPS in it, I frames included, its latents shown as they are."""
PLAIN = label("diffvc:diffusion=false", "lab")
"""The streams of DiffVC, their latents shown as they are."""
UNDRAWN = label("diffvc:steps=0", "lab")
"""These latents, blended with the last I frame as drawn ones are: the difference to it is what drawing brings."""
CONDITIONAL = label("conditional", "lab")
VVC = "vvenc:ld"
LOWEST = {"x264:ld": 47, "x265:ld": 47, "svtav1:ld": 63, VVC: 47}
"""Conventional anchors, and the quantiser of their additional point: a step below the usual ones, for AV1 the last there is."""
ANCHORS = (*LOWEST, CONDITIONAL, BACKBONE, PLAIN, UNDRAWN)
METRICS = ("psnr", "ms-ssim", "lpips", "dists", "vmaf")
FRAMES = 32
RESUMABLE = True


def qualities() -> dict[str, tuple[int, ...]]:
    """Qualities of the conventional anchors, by name: the usual ones, and the one of `LOWEST`."""
    anchors = {name: load_codec(name) for name in LOWEST}
    return {name: (c.settings.worst - LOWEST[name], *c.default_qualities) for name, c in anchors.items()}


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """Rate points of all codecs on ``clips`` (the offline samples unless given), and the BD-rates from them."""
    results = evaluate((*ANCHORS, CODEC), clips or ["sample"], qualities=qualities(), metrics=METRICS, frames=FRAMES,
                       experiment="diffvc-rd", out=out, resume=resume, progress=progress)
    there = [m for m in METRICS if any(m in r.metrics for r in results.records)]
    add_bd_rates(results, CODEC, ANCHORS, there)
    add_gaps(results, CODEC, VVC, "psnr", "dB")
    return results


def rows(results: Results) -> list[dict]:
    """A row for each clip and metric, and those of the mean last; a column for each anchor, BD-rate in percent."""
    values = {(v.clip, v.metric): v for v in results.values}
    clips = dict.fromkeys(v.clip for v in results.values)
    table = []
    for clip in (*(c for c in clips if c != "mean"), "mean"):
        for metric in METRICS:
            cells = {a: v for a in ANCHORS if (v := values.get((clip, bd_name(metric, a))))}
            if cells:
                table.append({"clip": clip, "metric": metric, **{a: cells[a].value if a in cells else None for a in ANCHORS},
                              "ids": {a: v.id for a, v in cells.items()}})
    return table
