"""Table `qpp`: what it is worth to tell the diffusion decoder how coarsely a frame was quantised.

One model, the same streams, drawn with five prompts:

    right      r of the frame's quality
    without    the empty prompt, which a part of the training had in place of r
    zero       log r = 0, whatever the quality
    random     r drawn at random for every frame, log r evenly over the range
    wrong      r of the quality at the other end of the range

and a second model that was trained as long without any prompt, `alone`. Like the one with prompts it takes three runs (how far it is,
its card says):

    train diffvc-generator --option prompt=none --data CLIPS PHOTOGRAPHS --steps 2200 --batch 12 --crop 192
    train diffvc-generator --option prompt=none ... --steps 2600 --start FIRST
    train diffvc-gates     --option prompt=none ... --steps 600 --start SECOND

What was drawn is measured as it is, as in the paper, and blended with the last I frame, as the lab shows it. BD-rates are those of the
right prompt against each of the others, either way, in every perceptual metric that can be had here and in PSNR; beside it, how evenly
the qualities of one model are spread: on how many neighbouring pairs of 16 qualities rate and PSNR both rise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.export import GENERATOR
from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments.bd_columns import add_bd_rates, bd_name
from codec_lib.experiments.drawing import decoded, drawn
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import PointLog, code_clip
from codec_lib.experiments.papers import cell
from codec_lib.experiments.provenance import weights_of
from codec_lib.experiments.records import Record, Results, Value, label
from codec_lib.metrics import metric
from codec_lib.video import Video, find_clips

DESCRIPTION = "quantisation prompts: BD-rate of the right one against none, wrong ones, and a model without prompts"
PAPER = {"saving": vars(cell("diffvc.headline/qpp-saving/value"))}

FRAMES = 8
QUALITIES = (0, 12, 24, 36, 48, 63)
LEVELS = 16
"""Qualities, evenly spread, on which rate and PSNR should rise."""
LEVEL_FRAMES = 3
METRICS = ("lpips", "dists", "psnr")
CHECK, CHECK_QUALITY = "sample:carphone", QUALITIES[1]
"""A clip that ships, and a quality: points that anyone can measure again in a minute, with the right prompt and without."""
ALONE = "alone"
SAVING, RISING = "saving", "rising pairs"
RESUMABLE = True


class Told(nn.Module):
    """A prompt that is told another ratio than that of the frame, ``instead(r)``."""

    def __init__(self, prompt: nn.Module, instead: Callable[[Tensor], Tensor]):
        super().__init__()
        self.prompt, self.instead = prompt, instead

    def forward(self, r: Tensor) -> Tensor:
        return self.prompt(self.instead(r))


class Empty(nn.Module):
    """The prompt that says nothing."""

    def __init__(self, tokens: Tensor):
        super().__init__()
        self.tokens = tokens

    def forward(self, r: Tensor) -> Tensor:
        return self.tokens.expand(len(r), -1, -1)


def prompts(codec: DiffVCCodec, point: str = "") -> dict[str, nn.Module]:
    """The five, for a codec whose generator has a prompt. point: what a random one depends on, so that a point that is measured by itself
    is the same one."""
    prompt, draw = codec.generator.prompt, np.random.default_rng(crc32(point.encode()))
    low, high = (float(codec.ratio(q).log()) for q in (codec.qualities[0], codec.qualities[-1]))
    return {
        "right": prompt,
        "without": Empty(codec.generator.denoiser.empty.detach()),
        "zero": Told(prompt, torch.ones_like),
        "random": Told(prompt, lambda r: torch.full_like(r, float(np.exp(draw.uniform(low, high))))),
        "wrong": Told(prompt, lambda r: torch.exp(low + high - r.log())),
    }


def named(prompt: str, blended: bool = False) -> str:
    """The label of a way of prompting."""
    return label(f"diffvc:{prompt}{'+blended' * blended}", "lab")


INSTEAD = ("without", "zero", "random", "wrong", ALONE)
RIGHT, RIGHT_BLENDED = named("right"), named("right", blended=True)
OTHERS, OTHERS_BLENDED = (tuple(named(p, blended) for p in INSTEAD) for blended in (False, True))


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """Rate points of each prompt, and of the model without any, on ``clips`` (the offline samples unless given)."""
    codec = load_codec("diffvc", detail=False)
    alone = {ALONE: (load_codec("diffvc", generator=checkpoint_path(GENERATOR, "lab-none"), detail=False), None)}

    def ways(point: str = "") -> dict[str, tuple[DiffVCCodec, nn.Module | None]]:
        return {p: (codec, prompt) for p, prompt in prompts(codec, point).items()} | alone

    weights = {named(p, blended): weights_of(c) for p, (c, _) in ways().items() for blended in (False, True)}
    log = PointLog("qpp", {"frames": FRAMES, "levels": LEVELS}, weights, out, resume)
    for source in (s for named_ in clips or ["sample"] for s in find_clips(named_)):
        video = replace(source.load(FRAMES), name=source.name)
        log.begin(video)
        for done, quality in enumerate(QUALITIES):
            if progress:
                progress(done, len(QUALITIES), f"{video.name} q{quality}")
            _draw_all(log, ways(f"{video.name} {quality}"), video, quality)
        if progress:
            progress(len(QUALITIES), len(QUALITIES), video.name)
    results = log.finish()
    _compare(results, INSTEAD)
    _keep_check(results, codec)
    return results


def _keep_check(results: Results, codec: DiffVCCodec) -> None:
    results.values = [v for v in results.values if not v.metric.startswith("check ")]  # of a run that goes on
    source = find_clips(CHECK)[0]
    video = replace(source.load(FRAMES), name=source.name)
    stream = codec.encode(video, CHECK_QUALITY)
    of = decoded(codec, stream)
    for name in ("right", "without"):
        shown = drawn(codec, of, codec.generator.sampling, prompts(codec)[name]).video
        found = {"bpp": 8 * len(stream) / video.pixels}
        found |= {what: m(video, shown) for what in ("psnr", "lpips") if (m := metric(what)).available(video) is None}
        for what, value in found.items():
            results.add_value(f"check {what}", value, codec=named(name), clip=video.name, quality=CHECK_QUALITY)


def _draw_all(log: PointLog, ways: dict, video: Video, quality: int) -> None:
    missing = {p: way for p, way in ways.items() if not all(log.has(named(p, b), video.name, quality) for b in (False, True))}
    if not missing:
        return
    codec, _ = next(iter(missing.values()))
    stream = codec.encode(video, quality)
    of = decoded(codec, stream)  # the same for all: they differ in what draws
    for name, (codec, prompt) in missing.items():
        sampling, first = codec.generator.sampling, None
        for blended in (False, True):
            shown = drawn(codec, of, replace(sampling, detail=blended), prompt, known=first)
            metrics = {what: m(video, shown.video) for what in METRICS if (m := metric(what)).available(video) is None}
            seconds, called, first = of.seconds + shown.denoising_s + shown.picture_s, named(name, blended), shown
            if not log.has(called, video.name, quality):
                log.add(Record(called.partition("@")[0], codec.profile, video.name, len(video), video.width, video.height, quality,
                               len(stream), 8 * len(stream) / video.pixels, 0.0, round(seconds, 4), metrics),
                        {RISING: (rising(codec, video), "")} if (called, quality) == (RIGHT, QUALITIES[0]) else {})


def rising(codec: DiffVCCodec, video: Video) -> float:
    """Share of neighbouring pairs of `LEVELS` qualities on which rate and PSNR both rise, of decoded latents, which are what a quality
    decides, on the first frames of a clip."""
    plain, short = copy.copy(codec), replace(video, frames=video.frames[:LEVEL_FRAMES])
    plain.generator = None
    levels = np.linspace(codec.qualities[0], codec.qualities[-1], LEVELS).round().astype(int).tolist()
    points = [(r.bpp, r.metrics["psnr"]) for r in (code_clip(plain, short, q).record for q in levels)]
    return float(np.mean([b[0] > a[0] and b[1] > a[1] for a, b in zip(points, points[1:], strict=False)]))


def _compare(results: Results, others: Sequence[str]) -> None:
    there = [m for m in METRICS if any(m in r.metrics for r in results.records)]
    for blended in (False, True):
        right, instead = named("right", blended), [named(p, blended) for p in others]
        add_bd_rates(results, right, instead, there)
        means = {v.metric: v.value for v in results.values if (v.codec, v.clip) == (right, "mean")}
        perceptual = [m for m in there if m != "psnr"]
        for other in instead:
            found = [means[name] for m in perceptual if (name := bd_name(m, other)) in means]
            if found:
                results.add_value(f"{SAVING} over {other}", -float(np.mean(found)), "%", codec=right)
    pairs = [v.value for v in results.values if v.metric == RISING]
    if pairs:
        results.add_value(RISING, float(np.mean(pairs)), "", codec=RIGHT, clip="mean")


def rows(results: Results) -> list[dict]:
    """A row for each clip and metric, those of the mean last, first as drawn and then blended; a column for each prompt that is not the
    right one."""
    values, table = {(v.clip, v.metric): v for v in results.values}, []
    clips = [c for c in dict.fromkeys(v.clip for v in results.values if v.clip) if c != "mean"]
    for way, others in (("drawn", OTHERS), ("blended", OTHERS_BLENDED)):
        columns = tuple(zip(INSTEAD, others, strict=True))
        for clip in (*clips, "mean"):
            for what in METRICS:
                table += _row(clip, what, way, {p: values.get((clip, bd_name(what, o))) for p, o in columns})
        table += _row("mean", SAVING, way, {p: values.get((None, f"{SAVING} over {o}")) for p, o in columns})
    return table


def _row(clip: str, what: str, way: str, cells: dict[str, Value | None]) -> list[dict]:
    """One row, or none where there is nothing to be said."""
    if not any(cells.values()):
        return []
    row = {"clip": clip, "metric": what, "shown": way, **{p: v and v.value for p, v in cells.items()}}
    if (what, way) == (SAVING, "drawn"):
        row |= {"paper_without": PAPER["saving"]["value"], "location": PAPER["saving"]["location"]}
    return [row | {"ids": {p: v.id for p, v in cells.items() if v}}]
