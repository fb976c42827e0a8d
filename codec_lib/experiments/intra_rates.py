"""Table `intra-rates`: what it costs that one intra model serves 64 rates, as far as that shows without other models.

Every frame is coded by itself, to a real file, and decoded from it. Three questions:

*Between the anchors.* Gains are learned at 8 of the 64 qualities (0, 9, ... 63) and interpolated between them. A quality
between anchors may need more bits than the curve through the anchors says (`excess`). But a curve through points misses
what lies between them anyway, so the other way round is measured as well: the anchors against the curve through the
qualities at thirds. An error of interpolating the *curve* has the same sign in both, a cost of interpolating the *model*
has not. Half the difference is the cost.

*What the conditioning is worth.* Parts of the model that depend on the quality are frozen at the middle one, and the rate
is changed by the quantiser's gain alone: BD-rate against the whole model (`FROZEN`). The model was not trained like that,
so this says how much it relies on a part, and is an upper bound of what a model trained without it would lose.

*One set of tables.* Coding tables fitted to a single quality on all other clips, against tables fitted to all qualities
on the same clips: the bits of y and z that a set of tables for each quality would save.

Not measured: 64 models trained for one rate each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator

from codec_lib.codecs.intra.account import Symbols, symbols_of
from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.tables import TOTAL, CodingTables, from_counts
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Record, Results, label
from codec_lib.layers.blocks import QualityScale, interpolate_anchors, relative
from codec_lib.metrics import metric
from codec_lib.metrics.bd import bd_rate
from codec_lib.video import Video, find_clips

DESCRIPTION = "one intra model for 64 rates: bits lost between anchors, by frozen conditioning, by shared tables"
PAPER: dict = {}

CODEC = label("intra", "lab")
ANCHORS = tuple(range(0, 64, 9))
THIRDS = tuple(q for q in range(0, 64, 3) if q not in ANCHORS)
MIDDLE = 32
FROZEN = {
    "hyper tables": ("z",), "offset of the prior": ("offset",), "gains inside the networks": ("inside",),
    "all three": ("z", "offset", "inside"), "all three, one gain for all channels": ("z", "offset", "inside", "uniform"),
}
"""Name -> which parts stay as they are at the middle quality, whatever quality is asked for."""
PRIOR_WEIGHT = 4000.0
"""Symbols that the shipped table of a class counts for when tables are fitted anew."""

Points = dict[int, tuple[float, float]]
"""quality -> (bpp, PSNR)"""


def measure(clips: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None) -> Results:
    """The three measurements on the first frame of each clip."""
    videos = [replace(source.load(1), name=source.name) for named in clips or ["sample"] for source in find_clips(named)]
    codec = load_codec("intra")
    results = Results("intra-rates", provenance({"clips": [v.name for v in videos], "anchors": list(ANCHORS),
                                                 "middle": MIDDLE}, checkpoints={CODEC: codec.checkpoint.hex()}))
    total = len(videos) * (len(ANCHORS) * (1 + len(FROZEN)) + len(THIRDS))
    curves: dict[str, Points] = {}
    symbols: dict[str, dict[int, Symbols]] = {v.name: {} for v in videos}

    def tick() -> None:
        tick.done += 1
        if progress:
            progress(tick.done, total)

    tick.done = 0
    for video in videos:
        for quality in sorted(ANCHORS + THIRDS):
            record, stream = rate_point(codec, video, quality)
            if quality in ANCHORS:
                symbols[video.name][quality] = symbols_of(codec, stream)
            results.records.append(record)
            curves.setdefault(video.name, {})[quality] = record.bpp, record.metrics["psnr"]
            tick()
    add_interpolation(results, curves)
    for name, parts in FROZEN.items():
        other = frozen(parts)
        losses = {}
        for video in videos:
            points = {}
            for quality in ANCHORS:
                record, _ = rate_point(other, video, quality)
                points[quality] = record.bpp, record.metrics["psnr"]
                tick()
            whole = [curves[video.name][q] for q in ANCHORS]
            losses[video.name] = bd_rate(whole, list(points.values())).percent
        add(results, f"frozen: {name}", losses)
    for quality in ANCHORS:
        for name, saved in refitted(codec, symbols, quality).items():
            add(results, name, saved, quality)
    return results


def rate_point(codec: IntraCodec, video: Video, quality: int) -> tuple[Record, bytes]:
    """Code and decode a clip: the record, with RGB PSNR, and the file."""
    start = time.perf_counter()
    stream = codec.encode(video, quality)
    between = time.perf_counter()
    decoded = codec.decode(stream)
    seconds = between - start, time.perf_counter() - between
    return Record(codec.name, codec.profile, video.name, len(video), video.width, video.height, quality, len(stream),
                  8 * len(stream) / video.pixels, *seconds, {"psnr": metric("psnr")(video, decoded)}), stream


def add(results: Results, name: str, values: dict[str, float | None], quality: int | None = None) -> None:
    """Percentages by clip, and their mean over the clips that have one."""
    there = {clip: value for clip, value in values.items() if value is not None}
    if there:
        there["mean"] = float(np.mean(list(there.values())))
    for clip, value in there.items():
        results.add_value(name, value, "%", codec=CODEC, clip=clip, quality=quality)


def excess(points: Points, through: Sequence[int], at: Sequence[int]) -> float:
    """Mean excess in percent of the rates ``at`` some qualities over the curve ``through`` others, at equal PSNR.

    Qualities whose PSNR lies outside of the curve do not count.
    """
    rate, psnr = np.array([points[q] for q in sorted(through)]).T
    curve = PchipInterpolator(psnr, np.log(rate), extrapolate=False)
    off = [np.log(points[q][0]) - float(curve(points[q][1])) for q in at]
    return 100 * float(np.expm1(np.nanmean(off)))


def add_interpolation(results: Results, curves: dict[str, Points]) -> None:
    """What qualities between anchors cost, from the rate curves of the clips."""
    between = {clip: excess(points, ANCHORS, THIRDS) for clip, points in curves.items()}
    back = {clip: excess(points, THIRDS, ANCHORS) for clip, points in curves.items()}
    add(results, "excess of thirds", between)
    add(results, "excess of anchors", back)
    add(results, "cost of interpolation", {clip: (between[clip] - back[clip]) / 2 for clip in curves})


@torch.no_grad()
def frozen(parts: Sequence[str]) -> IntraCodec:
    """The intra codec with some parts of its conditioning held at the middle quality.

    parts: "z" (tables of the hyper-latents), "offset" (what the quality adds to the prior's features), "inside" (gains
    inside g_a and g_s), "uniform" (the quantiser's gain follows the quality by one factor for all channels).
    """
    codec = load_codec("intra")
    u = relative(MIDDLE, codec.config)
    if "z" in parts:
        codec.entropy.z_class_table[:] = codec.entropy.z_class_table[MIDDLE].clone()
    if "offset" in parts:
        codec.entropy.quality_offset[:] = codec.entropy.quality_offset[MIDDLE].clone()
    down, up = codec.g_a.gain.log_gain, codec.g_s.gain.log_gain
    if "uniform" in parts:  # what one does the other undoes, by a factor that is the mean over the channels
        change = ((down - up) / 2).mean(dim=1, keepdim=True) - interpolate_anchors((down - up) / 2, u).mean()
        down[:], up[:] = interpolate_anchors(down, u) + change, interpolate_anchors(up, u) - change
    for network in (codec.g_a, codec.g_s):
        for layer in network.modules():
            if isinstance(layer, QualityScale) and layer is not network.gain and "inside" in parts:
                layer.log_gain[:] = interpolate_anchors(layer.log_gain, u)
    return codec


def refitted(codec: IntraCodec, symbols: dict[str, dict[int, Symbols]], quality: int) -> dict[str, dict[str, float]]:
    """Bits at a quality in percent of what shipped tables need: with tables of that quality, with tables of all.

    Tables for a clip are fitted on the other clips: to what they send at this quality, or at all that were coded.
    """
    kinds = {"tables of this quality": [quality], "tables of all qualities": list(next(iter(symbols.values())))}
    counted = {(clip, q): _histograms(s, codec.tables) for clip, coded in symbols.items() for q, s in coded.items()}
    found: dict[str, dict[str, float]] = {kind: {} for kind in kinds}
    for clip, coded in symbols.items():
        shipped = _bits(coded[quality], codec.tables)
        for kind, qualities in kinds.items():
            others = [counted[other, q] for other in symbols for q in qualities if other != clip]
            seen = np.sum(others, axis=0) if others else np.zeros(len(codec.tables.counts))
            found[kind][clip] = 100 * (_bits(coded[quality], _tables(codec.tables, seen)) / shipped - 1)
    return found


def _bits(s: Symbols, tables: CodingTables) -> float:
    return tables.bits(s.y.ravel(), s.y_classes.ravel()) + tables.bits(s.z.ravel(), s.z_classes.ravel())


def _histograms(s: Symbols, tables: CodingTables) -> np.ndarray:
    """How often each entry of the tables was used, escapes included, over all classes in a row."""
    symbols, classes = np.concatenate((s.y.ravel(), s.z.ravel())), np.concatenate((s.y_classes.ravel(), s.z_classes.ravel()))
    index, last = symbols - tables.low[classes], tables.sizes[classes] - 1
    index = np.where((index < 0) | (index > last), last, index)
    return np.bincount(tables.starts[classes] + index, minlength=len(tables.counts))


def _tables(shipped: CodingTables, seen: np.ndarray) -> CodingTables:
    """Tables from counts, made symmetric, with the shipped ones as prior."""
    rows = []
    for k in range(len(shipped)):
        counts = np.split(seen, shipped.starts[1:])[k].astype(float)
        counts[:-1] = (counts[:-1] + counts[-2::-1]) / 2
        counts += PRIOR_WEIGHT * shipped.row(k) / TOTAL
        rows.append(from_counts([counts[:-1]], [0], smoothing=0, escape=counts[-1]).row(0))
    return CodingTables(rows, shipped.low)


def rows(results: Results) -> list[dict]:
    """The means: a row for each single number, then one for each quality of the tables."""
    means = [v for v in results.values if v.clip == "mean"]
    return [{"what": v.metric, "quality": v.quality, "percent": v.value, "ids": {"percent": v.id}} for v in means]
