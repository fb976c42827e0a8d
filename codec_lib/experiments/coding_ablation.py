"""Table `coding-ablation`: P-frame networks of the same blocks, trained alike, with and without what is said to help.

    lab-residual             the prediction is subtracted, and the networks see the difference only
    lab-conditional          nothing is subtracted, the networks see the frame and the contexts
    lab                      both: the linear part of the transforms sees the difference, the deep part the frame and the contexts
    lab-difference           the networks see the difference and the contexts, and add nothing where nothing moves and nothing is sent
    lab-context              as lab, and the prior looks at the temporal context, in floats
    lab-difference-context   as lab-difference, with that prior
    wide-residual            as lab-residual, with as many parameters as lab-difference-context, and with its mask

The first six are not equally large: contexts add inputs, and the float prior adds about a tenth to the whole (10.45 M parameters
of `lab-residual`, 10.62 M without and 11.58 M with that prior); and of these only `lab-difference` and its relative mask what they
add. The claim that conditional coding beats residual coding at equal network and training is judged on the last two (`EQUAL`), by
a rule that was set before `wide-residual` was measured: fewer bits at equal RGB PSNR on at least nine of eleven clips.

None but `lab` ships, and that one was trained for longer, so all are taken from a folder of checkpoints that were trained for
equally long: `conditional-<profile>.safetensors`, as `codec_lib train conditional --profile ...` writes them. I frames are the
same in all. Compared are the P frames only, bits from the packets, RGB PSNR: BD-rate against `lab-residual`, on how many clips it
is negative, and which part of the P frames the bits are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codec_lib.codecs.conditional.account import HYPER, INTRA, MOTION, STEPS, frame_parts
from codec_lib.codecs.protocol import load_codec
from codec_lib.errors import MissingWeights
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import CodedClip, PointLog, Units, add_mean, measure_points
from codec_lib.experiments.records import Results, label
from codec_lib.metrics.bd import bd_rate
from codec_lib.video import Video

DESCRIPTION = "residual against conditional coding, and what the prior's context is worth: P frames of codecs trained equally"
PAPER: dict = {}

ANCHOR = "lab-residual"
PROFILES = (ANCHOR, "wide-residual", "lab-conditional", "lab", "lab-difference", "lab-context", "lab-difference-context")
EQUAL = ("wide-residual", "lab-difference-context")
"""Equal networks and equal training: residual coding and its rival."""
FRAMES = 12
"""P frames after one I frame are alike; how errors add up over many is what `propagation` is about."""
BD, WINS, CLIPS = "bd-rate of P frames", "clips won", "clips"
EQUALLY = " at equal network"
LATENTS = "latents"
PARTS = (MOTION, HYPER, LATENTS)
RESUMABLE = True
TAKES_CHECKPOINTS = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, checkpoints: Path | None = None,
            out: Path | None = None, resume: Results | None = None) -> Results:
    """Rate points of every profile that ``checkpoints`` holds, on ``clips`` (the offline samples unless given).

    Raises MissingWeights where there is nothing to compare: the anchor and at least one more are needed.
    """
    codecs = load_all(checkpoints)
    log = PointLog("coding-ablation", {"frames": FRAMES}, {name: c.checkpoint.hex() for name, c in codecs.items()}, out, resume)

    def parts(name: str, coded: CodedClip, video: Video) -> Units:
        bits = parts_of_p([p for p in frame_parts(codecs[name], coded.stream) if INTRA not in p])
        return {part: (value / (video.height * video.width), "bit/pixel") for part, value in bits.items()}

    measure_points(log, codecs, clips, FRAMES, parts, progress)
    results = log.finish()
    _compare(log)
    return results


def load_all(folder: Path | None) -> dict:
    """Codecs by label, of all profiles whose checkpoint lies in ``folder``."""
    files = {p: Path(folder) / f"conditional-{p}.safetensors" for p in PROFILES} if folder else {}
    there = [p for p, file in files.items() if file.is_file()]
    if ANCHOR not in there or len(there) < 2:
        raise MissingWeights(f"this table compares checkpoints that are not shipped: give --checkpoints DIR with conditional-{ANCHOR}"
                             f".safetensors and at least one more of {', '.join(PROFILES[1:])}, trained equally")
    return {label("conditional", p): load_codec("conditional", p, checkpoint=files[p]) for p in there}


def parts_of_p(frames: list[dict[str, float]]) -> dict[str, float]:
    """Mean bits of each part of a P frame; zero where there is no P frame."""
    sums = {MOTION: 0.0, HYPER: 0.0, LATENTS: 0.0}
    for frame in frames:
        sums[MOTION] += frame[MOTION]
        sums[HYPER] += frame[HYPER]
        sums[LATENTS] += sum(frame[step] for step in STEPS)
    return {part: bits / max(len(frames), 1) for part, bits in sums.items()}


def _compare(log: PointLog) -> None:
    anchor, columns = label("conditional", ANCHOR), ("bpp of P", "psnr of P")
    measured = {r.label for r in log.results.records}
    names = [n for n in (label("conditional", p) for p in PROFILES) if n in measured]
    for name in names:
        if name != anchor:
            _add_rates(log, anchor, name)
        for quality in sorted({r.quality for r in log.results.records if r.label == name}):
            for part in (*columns, *PARTS):
                values = [v for v in log.results.values if (v.codec, v.quality, v.metric) == (name, quality, part)]
                log.results.add_value(part, sum(v.value for v in values) / len(values), values[0].unit, codec=name, clip="mean",
                                      quality=quality)
    residual, rival = (label("conditional", p) for p in EQUAL)
    if residual in names and rival in names:
        _add_rates(log, residual, rival, EQUALLY)


def _add_rates(log: PointLog, anchor: str, name: str, what: str = "") -> None:
    """BD-rate of ``name`` against ``anchor`` on each clip and in the mean, and how many clips it wins."""
    found = {clip: bd_rate(log.curve(anchor, clip, "bpp of P", "psnr of P"), log.curve(name, clip, "bpp of P", "psnr of P")).percent
             for clip in log.clips()}
    add_mean(log.results, BD + what, found, "%", name)
    numbers = [v for v in found.values() if v is not None]
    log.results.add_value(WINS + what, sum(v < 0 for v in numbers), codec=name)
    log.results.add_value(CLIPS + what, len(numbers), codec=name)


def rows(results: Results) -> list[dict]:
    """A row for each clip and for the mean, a column for each profile, BD-rate in percent, the last column that of `EQUAL`; then the
    number of clips won; then the mean bits per pixel of the parts of a P frame, a row for each profile and quality."""
    values = {(v.codec, v.clip, v.quality, v.metric): v for v in results.values}
    names = [label("conditional", p) for p in PROFILES]
    clips = dict.fromkeys(v.clip for v in results.values if v.metric == BD)
    table = []
    for clip, what in (*((c, BD) for c in clips), (None, WINS), (None, CLIPS)):
        cells = {n: values.get((n, clip, None, what)) for n in names[1:]}
        cells[EQUALLY.strip()] = values.get((label("conditional", EQUAL[1]), clip, None, what + EQUALLY))
        table.append({"clip": clip or what, **{n: v and v.value for n, v in cells.items()}, "ids": {n: v.id for n, v in cells.items() if v}})
    for name, quality in dict.fromkeys((v.codec, v.quality) for v in results.values if v.clip == "mean" and v.quality is not None):
        cells = {part: values[name, "mean", quality, part] for part in ("bpp of P", "psnr of P", *PARTS)}
        table.append({"codec": name, "quality": quality, **{p: v.value for p, v in cells.items()},
                      "ids": {p: v.id for p, v in cells.items()}})
    return table
