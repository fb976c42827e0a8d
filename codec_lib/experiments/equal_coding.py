"""Table `equal-coding`: residual against conditional coding once more, at equal network, trained for longer and from several seeds.

The two of `coding-ablation` that are equally large and equally masked (`coding_ablation.EQUAL`), trained three times as long as there,
each from the same seeds. In that table they were trained once, for 1,200 steps, and conditional coding needed fewer bits on eight of
eleven clips; what another seed moves was not known, nor whether the networks had learned what they can.

The rule was set before any of these networks had been measured: conditional coding is better if, in the mean over the seeds, it needs
fewer bits at equal RGB PSNR on at least nine of eleven clips (`RULE`). A network of one kind is compared with that of the other kind
and the same seed, which saw the same crops in the same order.

The record holds seed 0, trained on 78 of the 105 training clips: of scenes cut at three sizes not the middle one, since the search for
motion takes half a minute a clip. A seed takes two hours for each network on one core.

None of them ships: --checkpoints DIR holds a folder ``seed-0``, ``seed-1`` ... for each seed, with both files as `codec_lib train
conditional --profile ... --seed N --steps 3600 --crop 128 --batch 4` writes them. Compared are P frames only, as in `coding-ablation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codec_lib.codecs.protocol import Codec, load_codec
from codec_lib.errors import MissingWeights
from codec_lib.experiments.coding_ablation import EQUAL, FRAMES
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import PointLog, add_mean, measure_points
from codec_lib.experiments.records import Results, label
from codec_lib.metrics.bd import bd_rate

DESCRIPTION = "residual against conditional coding at equal network, over several seeds: P frames of codecs trained equally"
PAPER: dict = {}

RESIDUAL, CONDITIONAL = EQUAL
RULE = 9
"""Clips of eleven on which conditional coding has to need fewer bits."""
BD, WINS, CLIPS = "bd-rate of P frames", "clips won", "clips"
SPREAD = "spread over seeds"
RESUMABLE = True
TAKES_CHECKPOINTS = True


def named(profile: str, seed: str) -> str:
    """How records call the network of a kind that was trained from a seed, "seed-0"."""
    return label(f"conditional:{seed}", profile)


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, checkpoints: Path | None = None,
            out: Path | None = None, resume: Results | None = None) -> Results:
    """Rate points of both kinds for every seed that ``checkpoints`` holds, on ``clips`` (the offline samples unless given).

    Raises MissingWeights where there is no seed of which both are there.
    """
    pairs = load_pairs(checkpoints)
    codecs = {named(p, seed): codec for seed, pair in pairs.items() for p, codec in zip(EQUAL, pair, strict=True)}
    log = PointLog("equal-coding", {"frames": FRAMES}, {name: c.checkpoint.hex() for name, c in codecs.items()}, out, resume)
    measure_points(log, codecs, clips, FRAMES, lambda *_: {}, progress)
    results = log.finish()
    _compare(log)
    return results


def load_pairs(folder: Path | None) -> dict[str, tuple[Codec, Codec]]:
    """Residual and conditional codec by seed, of all seeds of which ``folder`` has both."""
    found = {}
    for part in sorted(Path(folder).glob("seed-*")) if folder else ():
        files = [part / f"conditional-{p}.safetensors" for p in EQUAL]
        if all(f.is_file() for f in files):
            found[part.name] = tuple(load_codec("conditional", p, checkpoint=f) for p, f in zip(EQUAL, files, strict=True))
    if not found:
        raise MissingWeights("this table compares checkpoints that are not shipped: give --checkpoints DIR with folders seed-0, seed-1 "
                             f"... that hold conditional-{RESIDUAL}.safetensors and conditional-{CONDITIONAL}.safetensors")
    return found


def _compare(log: PointLog) -> None:
    """BD-rate of conditional against residual coding for each seed and clip; of their mean over seeds, on how many clips it is negative;
    and how far seeds are apart."""
    columns, measured = ("bpp of P", "psnr of P"), {r.label for r in log.results.records}
    seeds = sorted({name.partition("@")[0].partition(":")[2] for name in measured})
    of = {seed: {clip: bd_rate(log.curve(named(RESIDUAL, seed), clip, *columns),
                               log.curve(named(CONDITIONAL, seed), clip, *columns)).percent for clip in log.clips()}
          for seed in seeds if named(RESIDUAL, seed) in measured and named(CONDITIONAL, seed) in measured}
    for seed, found in of.items():
        add_mean(log.results, BD, found, "%", named(CONDITIONAL, seed))
        _count(log.results, found, named(CONDITIONAL, seed))
    together = {clip: [v for found in of.values() if (v := found[clip]) is not None] for clip in log.clips()}
    means = {clip: float(np.mean(v)) if len(v) == len(of) else None for clip, v in together.items()}
    add_mean(log.results, BD, means, "%", label("conditional", CONDITIONAL))
    add_mean(log.results, SPREAD, {clip: float(np.ptp(v)) for clip, v in together.items() if v}, "%", label("conditional", CONDITIONAL))
    _count(log.results, means, label("conditional", CONDITIONAL))


def _count(results: Results, found: dict[str, float | None], codec: str) -> None:
    numbers = [v for v in found.values() if v is not None]
    results.add_value(WINS, sum(v < 0 for v in numbers), codec=codec)
    results.add_value(CLIPS, len(numbers), codec=codec)


def rows(results: Results) -> list[dict]:
    """A row for each clip and for the mean, a column for each seed, for their mean and for how far they are apart; then the number of
    clips won."""
    values = {(v.codec, v.clip, v.metric): v for v in results.values if v.quality is None}
    mean = label("conditional", CONDITIONAL)
    names = {c.partition("@")[0].partition(":")[2]: c for c, _, what in values if what == WINS and c != mean}
    table = []
    for clip, what in (*((c, BD) for c in dict.fromkeys(c for _, c, w in values if w == BD)), (None, WINS), (None, CLIPS)):
        cells = {seed: values.get((c, clip, what)) for seed, c in names.items()}
        cells["mean of seeds"] = values.get((mean, clip, what))
        if clip:
            cells[SPREAD] = values.get((mean, clip, SPREAD))
        table.append({"clip": clip or what, **{n: v and v.value for n, v in cells.items()}, "ids": {n: v.id for n, v in cells.items() if v}})
    return table
