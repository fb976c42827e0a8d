"""Table `propagation`: what errors do over 96 frames: quality frame by frame, with and without I frames and hierarchical quality.

Four ways of coding each clip, at one quality:

    flat, 0             one I frame, every P frame of equal quality
    hierarchical, 0     one I frame, P frames whose qualities follow DCVC-DC's frame weights in a period of four
    flat, 32            the same two with an I frame every 32 frames
    hierarchical, 32

A hierarchical encoding is asked for the quality whose rate comes nearest to that of the flat one. Clips shorter than 96 frames are
played forwards and backwards until they are long enough. That has no cut, but what was hidden comes back: it is easier to predict
than a long clip would be.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import CodedClip, PointLog, add_mean, code_clip
from codec_lib.experiments.records import Results, label
from codec_lib.video import Video, find_clips

DESCRIPTION = "quality frame by frame over 96 frames: flat or hierarchical qualities, intra periods 0 and 32"
PAPER: dict = {}

CODEC = label("conditional", "lab")
FRAMES = 96
QUALITY_SHARE = 0.4
"""The flat encodings' quality, as a share of the highest."""
FRAME_WEIGHTS = (0.9, 0.5, 1.2, 0.5)
"""DCVC-DC's weights of a frame's squared error, by its number modulo 4 (0.5, 1.2, 0.5, 0.9 from the first P frame on)."""
PERIODS = (0, 32)
KINDS = ("flat", "hierarchical")
TRIALS = 4
EDGE = 8
"""Drift is what the last so many frames have less, in dB, than the first so many P frames."""
DRIFT, EXCESS = "drift", "rate over flat"
RESUMABLE = True


def variant(kind: str, period: int) -> str:
    """The name under which an encoding is recorded: "conditional:flat-0"."""
    return f"conditional:{kind}-{period}"


VARIANTS = {label(variant(kind, period), "lab"): (kind, period) for period in PERIODS for kind in KINDS}
"""Label in the records -> kind and period; the flat one of a period comes first."""


def hierarchy(config: ConditionalConfig) -> tuple[int, ...]:
    """Frame weights as offsets in quality: what multiplies lambda is added to its logarithm."""
    per_octave = (config.n_qualities - 1) / math.log(config.lambda_high / config.lambda_low)
    return tuple(round(per_octave * math.log(w)) for w in FRAME_WEIGHTS)


def with_structure(codec: ConditionalCodec, **changes) -> ConditionalCodec:
    """The same codec with another `Structure`."""
    other = copy.copy(codec)
    other.structure = replace(codec.structure, **changes)
    return other


def there_and_back(video: Video, frames: int) -> Video:
    """The first ``frames`` frames of a clip that is played forwards and backwards without end."""
    last = len(video) - 1
    index = [last - abs(last - t % (2 * last)) if last else 0 for t in range(frames)]
    return Video(video.frames[torch.tensor(index)].contiguous(), video.fps, video.name)


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """The four encodings of each clip (of the offline samples unless given)."""
    codec = load_codec(CODEC)
    asked = round(QUALITY_SHARE * codec.qualities[-1])
    offsets = hierarchy(codec.config)
    log = PointLog("propagation", {"frames": FRAMES, "quality": asked, "offsets": list(offsets), "periods": list(PERIODS)},
                   dict.fromkeys(VARIANTS, codec.checkpoint.hex()), out, resume)
    for source in (s for named in clips or ["sample"] for s in find_clips(named)):
        filmed = replace(source.load(FRAMES), name=source.name)
        video = there_and_back(filmed, FRAMES)
        log.begin(video)
        for done, (name, (kind, period)) in enumerate(VARIANTS.items()):
            if progress:
                progress(done, len(VARIANTS), f"{video.name} {kind} {period}")
            if any((r.label, r.clip) == (name, video.name) for r in log.results.records):
                continue
            structure = {"intra_period": period, "offsets": Structure().offsets if kind == "flat" else offsets}
            made = with_structure(codec, **structure)
            if kind == "flat":
                coded = code_clip(made, video, asked, variant(kind, period))
            else:
                target = next(r.bpp for r in log.results.records if r.label == label(variant("flat", period), "lab")
                              and r.clip == video.name)
                coded = nearest_rate(made, video, asked - round(np.mean(offsets)), target, variant(kind, period))
            log.add(coded.record, {"frames filmed": (len(filmed), "")} | _by_frame(coded))
        if progress:
            progress(len(VARIANTS), len(VARIANTS), video.name)
    results = log.finish()
    _summarise(results)
    return results


def nearest_rate(codec: ConditionalCodec, video: Video, start: int, target: float, called: str) -> CodedClip:
    """The encoding whose rate is nearest to ``target`` bits per pixel, in ratio, among neighbouring qualities from ``start`` on."""
    tried: dict[int, CodedClip] = {}

    def off(quality: int) -> float:
        if quality not in tried:
            tried[quality] = code_clip(codec, video, quality, called)
        return math.log(tried[quality].record.bpp / target)

    quality = min(max(start, codec.qualities[0]), codec.qualities[-1])
    step = 1 if off(quality) < 0 else -1
    for _ in range(TRIALS):
        if quality + step not in codec.qualities or off(quality) * step > 0:
            break
        quality += step
        off(quality)
    return tried[min(tried, key=lambda q: abs(off(q)))]


def frame_name(t: int) -> str:
    """The name under which a frame's quality is recorded."""
    return f"psnr of frame {t}"


def _by_frame(coded: CodedClip) -> dict[str, tuple[float, str]]:
    return {frame_name(t): (round(float(value), 3), "dB") for t, value in enumerate(coded.psnr)}


def curve(results: Results, name: str, clip: str = "mean") -> list[float]:
    """PSNR of each frame of an encoding, by its label, on a clip or as the mean over clips."""
    found = {v.metric: v.value for v in results.values if (v.codec, v.clip) == (name, clip)}
    return [found[frame_name(t)] for t in range(FRAMES) if frame_name(t) in found]


def _curves(results: Results) -> Iterator[tuple[str, dict[str, list[float]]]]:
    for name in VARIANTS:
        yield name, {r.clip: curve(results, name, r.clip) for r in results.records if r.label == name}


def _summarise(results: Results) -> None:
    bpp = {(r.label, r.clip): r.bpp for r in results.records}
    for name, curves in list(_curves(results)):
        kind, period = VARIANTS[name]
        flat = label(variant("flat", period), "lab")
        add_mean(results, DRIFT, {c: float(np.mean(v[1 : 1 + EDGE]) - np.mean(v[-EDGE:])) for c, v in curves.items()}, "dB", name)
        add_mean(results, "mean psnr", {c: float(np.mean(v)) for c, v in curves.items()}, "dB", name)
        add_mean(results, EXCESS, {c: 100 * (bpp[name, c] / bpp[flat, c] - 1) for c in curves}, "%", name)
        for t, values in enumerate(zip(*curves.values(), strict=True)):
            results.add_value(frame_name(t), round(float(np.mean(values)), 3), "dB", codec=name, clip="mean")


def rows(results: Results) -> list[dict]:
    """A row for each encoding and clip, then its mean: PSNR, drift, and the rate in excess of the flat encoding of its period."""
    values = {(v.codec, v.clip, v.metric): v for v in results.values if v.quality is None}
    table = []
    for name in VARIANTS:
        for clip in dict.fromkeys(c for n, c, what in values if n == name and what == DRIFT):
            cells = {what: values.get((name, clip, what)) for what in ("mean psnr", DRIFT, EXCESS)}
            table.append({"codec": name, "clip": clip, **{w: v and v.value for w, v in cells.items()},
                          "ids": {w: v.id for w, v in cells.items() if v}})
    return table
