"""Table `tdir`: what reuse of diffusion information over time saves and costs.

Each clip is coded once a quality, and its stream drawn with N = 50 and several D, as in the paper: what is shown is what was drawn
(detail=false), since a blend with the last I frame hides what reuse does. At one quality, in the middle, more is asked:

*D*: 0, 10, 25, 50: seconds of denoising, calls of the denoiser, LPIPS, PSNR, E_warp. At the other qualities D = 25 and 50 only, for
    BD-rates.
*Variants of D = 25*: the other buffer policy, the buffer moved by the decoded motion, the gate.
*Blended*: D = 0, 25 and 50 as the lab shows them, with the I frame.
*Similarity*: cosine of predicted noise-free latents at the same step, of frames some frames apart, all steps run.
*Cuts*: where a clip has one, it is also coded without an I frame there, and drawn with D = 0 and 25, with and without the gate.
*Drift*: LPIPS frame by frame; the first clip also over 96 frames (played there and back if it is shorter).

Streams are the codec's own bytes, all headers counted. Reuse starts anew at I frames, of which there is one every 32 frames, and after
a cut: the codec's own habit of sending more where P frames are worn (`Structure.refresh`) is turned off.

Seconds are compared within a clip, so all ways of drawing it belong into one run on a machine that does nothing else. Whether it was
quiet can be seen afterwards: seconds of denoising over calls are nearly the same for all D of a quality but 0, where reuse steps count.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.codecs.protocol import load_codec
from codec_lib.diffusion.reuse import similarity
from codec_lib.experiments.bd_columns import add_bd_rates, bd_name
from codec_lib.experiments.drawing import decoded, drawn, quarters
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import PointLog, Units, add_mean
from codec_lib.experiments.papers import cell
from codec_lib.experiments.propagation import there_and_back, with_structure
from codec_lib.experiments.provenance import weights_of
from codec_lib.experiments.records import Record, Results, label
from codec_lib.metrics import metric
from codec_lib.video import Video, find_clips

DESCRIPTION = "TDIR: time, LPIPS and drift over D, similarity of predictions, buffer policies, gate"
PAPER = {name: asdict(cell(f"diffvc.headline/{name}/value")) for name in ("tdir-time", "tdir-loss", "similarity")}
PAPER["calls-saved"] = asdict(cell("diffvc.tdir/calls-saved/value"))

FRAMES, LONG = 32, 96
QUALITIES, MIDDLE = (6, 20, 34, 50), 20
STEPS, HALF = 50, 25
DEPTHS = (0, 10, HALF, STEPS)
GATE = 0.8
"""Cosine similarity of decoded latents below which the gate lets nothing be reused."""
VARIANTS = {"policy=newest": {"policy": "newest"}, "moved=true": {"moved": True}, f"least={GATE}": {"least": GATE}}
NO_CUT = 1e9
DISTANCES = (1, 2, 4, 8)
SAVED, LOSS, CALLS, LOWEST, DRIFT, PAIRS = ("time saved", "lpips lost", "calls saved", "lowest similarity", "drift", "pairs")
DECODING = "decoding time saved"
"""Of all that a viewer does; `SAVED` is of denoising alone."""
UNCUT = "mean without cuts"
"""In place of a clip: the mean over clips of which no frame but the first is an I frame."""
CHECK = "sample:carphone"
"""A clip that ships, its first frames drawn with D = 0 at the middle quality: a point that anyone can measure again in seconds."""
RESUMABLE = True


def named(depth: int, variant: str = "", before: str = "", blended: bool = False) -> str:
    """The name under which a way of drawing is recorded, as the command line takes it: "diffvc:steps=50+depth=25+detail=false"."""
    parts = before, f"steps={STEPS}", f"depth={depth}", "" if blended else "detail=false", variant
    return "diffvc:" + "+".join(part for part in parts if part)


def way(depth: int, **changes) -> Sampling:
    """Fifty steps, what was drawn being shown."""
    return Sampling(STEPS, depth=depth, detail=False, **changes)


SETTINGS = {named(d): way(d) for d in DEPTHS}
BLENDED = {named(d, blended=True): Sampling(STEPS, depth=d) for d in (0, HALF, STEPS)}
OTHERS = {named(HALF, v): way(HALF, **changes) for v, changes in VARIANTS.items()}
AT_CUTS = {named(d, v, f"cut={NO_CUT:g}"): way(d, **changes)
           for d in (0, HALF) for v, changes in (("", {}), (f"least={GATE}", {"least": GATE}))}
FULL, HALVED = label(named(STEPS), "lab"), label(named(HALF), "lab")


def full_of(name: str) -> str:
    """The label of all fifty steps that a way of drawing is compared with."""
    return label(named(STEPS, blended=name in BLENDED), "lab")


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """All of the above on ``clips`` (the offline samples unless given)."""
    codec = load_codec("diffvc", intra_period=FRAMES, refresh=math.inf)
    digests = {label(n, codec.profile): weights_of(codec) for n in (*SETTINGS, *BLENDED, *OTHERS, *AT_CUTS)}
    log = PointLog("tdir", {"frames": FRAMES, "sampling": asdict(way(HALF)), "gate": GATE}, digests, out, resume)
    sources = [s for named_ in clips or ["sample"] for s in find_clips(named_)]
    for i, source in enumerate(sources):
        video = replace(source.load(FRAMES), name=source.name)
        log.begin(video)
        for done, quality in enumerate(QUALITIES):
            if progress:
                progress(done, len(QUALITIES), f"{video.name} q{quality}")
            settings = SETTINGS | BLENDED | OTHERS if quality == MIDDLE else {n: s for n, s in SETTINGS.items() if s.depth in (HALF, STEPS)}
            _draw_all(log, codec, video, quality, settings)
            if quality == MIDDLE and _has_cut(log, video):
                _draw_all(log, with_structure(codec, cut=NO_CUT), video, quality, AT_CUTS)
        if i == 0:
            filmed = source.load(LONG)
            long = replace(there_and_back(filmed, LONG), name=f"{source.name}-{LONG}")
            log.begin(long)
            _draw_all(log, with_structure(codec, intra_period=0), long, MIDDLE, {n: s for n, s in SETTINGS.items() if s.depth != 10})
        if progress:
            progress(len(QUALITIES), len(QUALITIES), video.name)
    results = log.finish()
    _summarise(log)
    _keep_check(results, codec)
    return results


def _keep_check(results: Results, codec: DiffVCCodec) -> None:
    results.values = [v for v in results.values if not v.metric.startswith("check ")]  # of a run that goes on
    source = find_clips(CHECK)[0]
    video, name = replace(source.load(FRAMES), name=source.name), label(named(0), codec.profile)
    stream = codec.encode(video, MIDDLE)
    shown = drawn(codec, decoded(codec, stream), way(0))
    for what, value, unit in (("bpp", 8 * len(stream) / video.pixels, "bit/pixel"), ("psnr", metric("psnr")(video, shown.video), "dB"),
                              ("calls", shown.calls, "")):
        results.add_value(f"check {what}", value, unit, codec=name, clip=video.name, quality=MIDDLE)


def _has_cut(log: PointLog, video: Video) -> bool:
    """Whether a clip that was drawn at the middle quality has an I frame that its period did not ask for."""
    key = FULL, video.name, MIDDLE, "p frames"
    return any((v.codec, v.clip, v.quality, v.metric) == key and v.value < len(video) - 1 for v in log.results.values)


def _draw_all(log: PointLog, codec: DiffVCCodec, video: Video, quality: int, settings: dict[str, Sampling]) -> None:
    """Code a clip and draw it in every way that ``log`` does not have yet."""
    missing = {n: s for n, s in settings.items() if not log.has(label(n, codec.profile), video.name, quality)}
    if not missing:
        return
    stream = codec.encode(video, quality)
    of, made = decoded(codec, stream), {}
    for name, sampling in missing.items():
        likeness = Likeness() if name == named(STEPS) and len(video) == FRAMES and quality == MIDDLE else None
        latents = replace(sampling, detail=True)  # what is shown beside them is another matter
        shown = made[latents] = drawn(codec, of, sampling, watch=likeness, known=made.get(latents))
        lpips = metric("lpips").per_frame(video, shown.video)
        psnr = metric("psnr").per_frame(video, shown.video)
        of_p = [t for t in range(len(video)) if t not in of.intra]
        record = Record(name, codec.profile, video.name, len(video), video.width, video.height, quality, len(stream),
                        8 * len(stream) / video.pixels, 0.0, round(of.seconds + shown.denoising_s + shown.picture_s, 4),
                        {"psnr": float(np.mean(psnr)), "lpips": float(np.mean(lpips))})
        found: dict[str, tuple[float, str]] = {
            "denoising_s": (shown.denoising_s, "s"), "calls": (shown.calls, ""), "p frames": (len(of_p), ""),
            "lpips of P": (float(np.mean([lpips[t] for t in of_p])), ""), "psnr of P": (float(np.mean([psnr[t] for t in of_p])), "dB")}
        if quality == MIDDLE:
            found |= {"e-warp": (metric("e-warp")(video, shown.video), "")} | _by_frame(lpips)
            found |= likeness.units() if likeness else {}
        log.add(record, found)


class Likeness:
    """Cosine similarities of what frames some frames apart predict, step by step, all after one I frame."""

    def __init__(self):
        self.before: dict[int, dict[int, Tensor]] = {}
        self.found: dict[tuple[int, int], list[float]] = defaultdict(list)

    def __call__(self, frame: int, predicted: dict[int, Tensor]) -> None:
        if frame - 1 not in self.before:
            self.before.clear()  # an I frame lies between
        for d in DISTANCES:
            for n, y in self.before.get(frame - d, {}).items():
                self.found[d, n].append(float(similarity(y, predicted[n])))
        self.before[frame] = predicted
        self.before.pop(frame - max(DISTANCES), None)

    def units(self) -> Units:
        """Mean over frames of each distance and step."""
        return {likeness_name(d, n): (float(np.mean(v)), "") for (d, n), v in sorted(self.found.items())}


def likeness_name(distance: int, step: int) -> str:
    """The name under which a similarity is recorded."""
    return f"similarity {distance} apart at step {step}"


def frame_name(t: int) -> str:
    """The name under which a frame's LPIPS is recorded."""
    return f"lpips of frame {t}"


def _by_frame(lpips: Sequence[float]) -> Units:
    return {frame_name(t): (round(float(v), 4), "") for t, v in enumerate(lpips)}


def curve(results: Results, name: str, clip: str) -> list[float]:
    """LPIPS of each frame of a way of drawing, by its label, on a clip, at the middle quality."""
    found = {v.metric: v.value for v in results.values if (v.codec, v.clip) == (name, clip)}
    return [found[frame_name(t)] for t in range(LONG) if frame_name(t) in found]


def _summarise(log: PointLog) -> None:
    results, ways = log.results, (*SETTINGS, *BLENDED, *OTHERS)
    clips = [c for c in log.clips() if not c.endswith(f"-{LONG}") and all(log.has(label(n, "lab"), c, MIDDLE) for n in ways)]
    at = {(v.codec, v.clip, v.metric): v.value for v in results.values if v.quality == MIDDLE}
    seconds = {(label(r.codec, r.profile), r.clip): r.decode_s for r in results.records if r.quality == MIDDLE}
    for name in ways:
        here, full = label(name, "lab"), full_of(name)
        of = {c: (at[here, c, "denoising_s"], at[full, c, "denoising_s"]) for c in clips if (here, c, "calls") in at}
        add_mean(results, SAVED, {c: 100 * (1 - a / b) for c, (a, b) in of.items()}, "%", here)
        whole = {c: (seconds[here, c], seconds[full, c]) for c in of}
        add_mean(results, DECODING, {c: 100 * (1 - a / b) for c, (a, b) in whole.items()}, "%", here)
        add_mean(results, CALLS, {c: 100 * (1 - at[here, c, "calls"] / at[full, c, "calls"]) for c in of}, "%", here)
        add_mean(results, LOSS, {c: 100 * (at[here, c, "lpips of P"] / at[full, c, "lpips of P"] - 1) for c in of}, "%", here)
        for what, unit in (("lpips of P", ""), ("psnr of P", "dB"), ("e-warp", ""), ("denoising_s", "s")):
            results.add_value(what, float(np.mean([at[here, c, what] for c in of])), unit, codec=here, clip="mean")
        add_mean(results, DRIFT, {c: growth(curve(results, here, c)) for c in of}, "", here)
    for name in (named(depth, blended=b) for depth in (0, HALF) for b in (False, True)):
        here = label(name, "lab")
        ratio = {c: growth(curve(results, here, c)) / growth(curve(results, full_of(name), c)) for c in clips}
        add_mean(results, f"{DRIFT} over full", ratio, "", here)
    add_mean(results, LOWEST, {c: min(v) for c in clips if (v := _steps(at, c))}, "", FULL)
    if (lowest := least_alike(at, {r.clip: r.frames for r in results.records if r.clip in clips})) is not None:
        results.add_value(LOWEST, lowest, codec=FULL, clip=UNCUT)
    for d in DISTANCES:
        for n in range(1, STEPS + 1):
            found = [at[key] for c in clips if (key := (FULL, c, likeness_name(d, n))) in at]
            if found:
                results.add_value(likeness_name(d, n), float(np.mean(found)), codec=FULL, clip="mean")
    results.add_value(PAIRS, pairs(at, clips), "pairs")
    add_bd_rates(_only(results, clips), HALVED, [FULL], ("lpips", "psnr"))


def _only(results: Results, clips: Sequence[str]) -> Results:
    """The same results without rate points of other clips; values that are added to it are added to both."""
    return replace(results, records=[r for r in results.records if r.clip in clips])


def _steps(at: dict, clip: str) -> list[float]:
    return [at[key] for n in range(1, STEPS + 1) if (key := (FULL, clip, likeness_name(1, n))) in at]


def least_alike(at: dict, frames: dict[str, int]) -> float | None:
    """Lowest over the steps of the similarity one frame apart, mean over the clips without a cut; frames: of each clip."""
    uncut = [found for c, n in frames.items() if (found := _steps(at, c)) and at[FULL, c, "p frames"] == n - 1]
    return float(np.mean(uncut, axis=0).min()) if uncut else None


def growth(values: Sequence[float]) -> float:
    """How much larger the last quarter's mean is than the first's, as a ratio, the first frame, an I frame, left out."""
    first, last = quarters(values[1:])
    return last / first


def pairs(at: dict, clips: Sequence[str], slack: float = 0.002) -> int:
    """Of the neighbouring D, how many cost more time and no more LPIPS than ``slack``, in the mean over clips."""
    mean = {d: [float(np.mean([at[label(named(d), "lab"), c, what] for c in clips])) for what in ("denoising_s", "lpips of P")]
            for d in DEPTHS}
    return sum(mean[b][0] > mean[a][0] and mean[b][1] <= mean[a][1] + slack for a, b in zip(DEPTHS, DEPTHS[1:], strict=False))


def _wanted(values: dict, name: str) -> Iterator[tuple[str, str]]:
    for what in ("denoising_s", SAVED, DECODING, CALLS, "lpips of P", LOSS, "psnr of P", "e-warp", DRIFT, f"{DRIFT} over full"):
        if (name, "mean", what) in values:
            yield what, what


def rows(results: Results) -> list[dict]:
    """A row for each way of drawing at the middle quality, as means over clips; then similarity, and what the paper has."""
    values = {(v.codec, v.clip, v.metric): v for v in results.values if v.quality is None}
    table = []
    for name in (*SETTINGS, *BLENDED, *OTHERS):
        here = label(name, "lab")
        cells = {column: values[here, "mean", what] for column, what in _wanted(values, here)}
        row = {"codec": here, **{c: v.value for c, v in cells.items()}, "ids": {c: v.id for c, v in cells.items()}}
        if here == HALVED:
            if (found := values.get((here, "mean", bd_name("lpips", FULL)))):
                row["bd_rate_lpips"], row["ids"]["bd_rate_lpips"] = found.value, found.id
            row |= {"paper_time_saved": PAPER["tdir-time"]["value"], "paper_loss": PAPER["tdir-loss"]["value"],
                    "paper_calls_saved": PAPER["calls-saved"]["value"], "location": PAPER["tdir-time"]["location"]}
        table.append(row)
    if (found := values.get((FULL, "mean", LOWEST))):
        table.append({"codec": FULL, "similarity": found.value, "paper_similarity": PAPER["similarity"]["value"],
                      "location": PAPER["similarity"]["location"], "ids": {"similarity": found.id}})
    return table
