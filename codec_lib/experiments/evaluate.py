"""Rate points from real files: code here, write the file, decode in another process, measure what came out."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codec_lib import weights
from codec_lib.codecs.conventional.bitstream import kind_of
from codec_lib.codecs.protocol import Codec, load_codec
from codec_lib.errors import CodecLibError, UsageError
from codec_lib.experiments.decode_worker import Decoded, DecodeWorker
from codec_lib.experiments.provenance import provenance, weights_of
from codec_lib.experiments.records import Record, Results, label
from codec_lib.metrics import Metric, metric
from codec_lib.video import Video, find_clips, write_video

DEFAULT_METRICS = ("psnr", "psnr-yuv", "ms-ssim")

SUFFIX = {"h264": ".264", "hevc": ".265", "vvc": ".266", "obu": ".obu", None: ".gvc"}
"""File names for kept streams by the kind of stream; None stands for our own container."""

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total of this clip, what) before each rate point and once more at the end of a clip."""


def evaluate(codecs: Sequence[str], clips: Sequence[str], *, qualities: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
             metrics: Sequence[str] = DEFAULT_METRICS, frames: int | None = None, experiment: str = "eval",
             out: Path | None = None, resume: Results | None = None, keep: Path | None = None,
             progress: Progress | None = None) -> Results:
    """Measure codecs x clips x qualities. Codecs of one `Codec.encoder` share its streams, and the time that these took.

    codecs: names for `load_codec`. clips: catalogue names or paths. qualities: each codec's own defaults unless given, for all codecs
    or by label.
    metrics: names; one that cannot run here is listed in the records as absent, with the reason.
    frames: the first so many of each clip. out: saved after every rate point, so that nothing measured is lost.
    resume: earlier results to add to; a rate point is measured again when codec weights, frames or metrics differ.
    keep: folder that gets each stream and, as .mkv, what was decoded from it.

    A rate point that fails is listed in ``failures`` and the others go on.
    Raises UsageError, MissingWeights or MissingData before any work for a name or quality that cannot be.
    """
    start = time.perf_counter()
    loaded = {label(c.name, c.profile): c for c in map(load_codec, codecs)}
    wanted = _wanted(loaded, qualities)
    sources = [source for named in clips for source in find_clips(named)]
    for name, times in Counter(source.name for source in sources).items():
        if times > 1:
            raise UsageError(f"{times} clips are called '{name}': give them different file names")
    chosen = {name: metric(name) for name in metrics}
    absent = {name: reason for name, m in chosen.items() if (reason := _unavailable(m))}
    config = {"codecs": {name: list(q) for name, q in wanted.items()}, "clips": {}, "frames": frames,
              "metrics": list(metrics)}
    checkpoints = {name: weights_of(c) for name, c in loaded.items() if getattr(c, "checkpoint", None)}
    results = Results(experiment)
    if resume:
        _take_over(resume, results, config, checkpoints)

    def save() -> None:
        results.provenance = provenance(config, checkpoints=checkpoints, seconds=time.perf_counter() - start)
        if out and (results.records or results.failures):
            results.save(out)

    with tempfile.TemporaryDirectory(prefix="codec_lib-") as work, DecodeWorker(Path(work) / "decoded") as worker:
        for source in sources:
            try:
                video = replace(source.load(frames), name=source.name)
            except CodecLibError as error:
                if len(sources) == 1:
                    raise
                results.failures.append(_failure(None, source.name, None, error))
                continue
            now = fingerprint(video)
            if config["clips"].get(video.name, now) != now:  # the name now stands for other frames
                results.records = [r for r in results.records if r.clip != video.name]
            config["clips"][video.name] = now
            points = [(name, codec, q) for name, codec in loaded.items() for q in wanted[name]]
            written: dict[Hashable, Written] = {}
            for done, (name, codec, quality) in enumerate(points):
                if progress:
                    progress(done, len(points), f"{video.name} {name} q{quality}")
                known = [r for r in results.records if r.key == (name, video.name, quality)]
                if known and not _lacking(known[0], chosen, video):
                    continue
                measures = chosen | {n: metric(n) for r in known for n in r.metrics}  # what was known stays known
                try:
                    key = name if codec.encoder is None else codec.encoder, quality
                    if key not in written:
                        written[key] = _write(codec, video, quality)
                    record, problems = _rate_point(codec, video, quality, written[key], measures, absent, Path(work), worker, keep)
                    results.records = [r for r in results.records if r.key != record.key] + [record]
                    results.failures += problems
                except Exception as error:  # one codec that fails on one clip must not cost the others their numbers
                    results.failures.append(_failure(name, video.name, quality, error))
                save()
            if progress:
                progress(len(points), len(points), video.name)
    save()
    return results


def _wanted(loaded: dict[str, Codec], qualities: Sequence[int] | Mapping[str, Sequence[int]] | None) -> dict[str, tuple[int, ...]]:
    """The qualities of each codec, by its label."""
    if not isinstance(qualities, Mapping):
        qualities = dict.fromkeys(loaded, qualities)
    for name in qualities:
        if name not in loaded:
            raise UsageError(f"there are qualities for '{name}', which is not among the codecs {', '.join(loaded)}")
    return {name: tuple(map(codec.check_quality, qualities[name])) if qualities.get(name) else codec.default_qualities
            for name, codec in loaded.items()}


def _unavailable(m: Metric) -> str | None:
    """Why a metric has no number here, for a record: unlike the metric's own words, without folders of this machine."""
    if m.needs and weights.paths(m.needs) is None:
        return f"weights '{m.needs}' are not on this machine: python -m codec_lib weights get {m.needs}"
    return m.available()


def _lacking(record: Record, chosen: dict, video: Video) -> list[str]:
    """Metrics that could be measured here and now and that a record does not have."""
    return [n for n, m in chosen.items() if n not in record.metrics and (n not in record.absent or not m.available(video))]


@dataclass(frozen=True)
class Written:
    """A stream, the seconds that encoding it took, and the digest of its symbols, as the encoding process has it."""

    stream: bytes
    seconds: float
    symbols_sha256: str | None


def _write(codec: Codec, video: Video, quality: int) -> Written:
    begin = time.perf_counter()
    stream = codec.encode(video, quality)
    return Written(stream, time.perf_counter() - begin, codec.symbols_sha256(stream))


def _rate_point(codec: Codec, video: Video, quality: int, written: Written, measures: dict, absent: dict[str, str], work: Path,
                worker: DecodeWorker, keep: Path | None) -> tuple[Record, list[dict]]:
    stream, ours = written.stream, written.symbols_sha256
    file = work / "stream.bin"
    file.write_bytes(stream)
    name = label(codec.name, codec.profile)
    decoded = worker.decode(codec.name, codec.profile, file)
    _check(decoded, video, ours)
    if keep:
        _keep(keep, f"{video.name}-{name}-q{quality}".replace(":", "-").replace("/", "-"), stream, decoded)
    values, absent, problems = {}, dict(absent), []
    for metric_name, measure in measures.items():
        if metric_name in absent:
            continue
        try:
            value = float(measure(video, decoded.video))
            if math.isfinite(value):
                values[metric_name] = value
            else:
                absent[metric_name] = "no finite value: the decoded frames equal the source"
        except CodecLibError as error:  # the metric says why it does not apply here, to a single frame for one
            absent[metric_name] = str(error)
        except Exception as error:
            absent[metric_name] = f"failed: {error}"
            problems.append(_failure(name, video.name, quality, error) | {"metric": metric_name})
    size = file.stat().st_size
    record = Record(codec=codec.name, profile=codec.profile, clip=video.name, frames=len(video), width=video.width,
                    height=video.height, quality=quality, bytes=size, bpp=8 * size / video.pixels,
                    encode_s=round(written.seconds, 4), decode_s=round(decoded.seconds, 4), metrics=values,
                    symbols_sha256=ours, absent=absent)
    return record, problems


def _check(decoded: Decoded, video: Video, ours: str | None) -> None:
    if decoded.symbols_sha256 != ours:
        raise CodecLibError("the decoding process read other symbols than the encoder wrote")
    got = tuple(decoded.video.frames.shape)
    if got != tuple(video.frames.shape):
        raise CodecLibError(f"decoded frames have shape {got}, the source {tuple(video.frames.shape)}")


def _keep(folder: Path, name: str, stream: bytes, decoded: Decoded) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}{SUFFIX[kind_of(stream)]}").write_bytes(stream)
    write_video(decoded.video, folder / f"{name}.mkv", force=True)


def fingerprint(video: Video) -> str:
    """Short digest of the frames a number was measured on."""
    return hashlib.sha256(video.frames.numpy().tobytes()).hexdigest()[:16]


def _failure(codec: str | None, clip: str, quality: int | None, error: Exception) -> dict:
    kind = "" if isinstance(error, CodecLibError) else f"{type(error).__name__}: "
    return {"codec": codec, "clip": clip, "quality": quality, "error": kind + " ".join(str(error).split())}


def _take_over(resume: Results, results: Results, config: dict, checkpoints: dict[str, str]) -> None:
    """Begin ``results`` with what an earlier run measured, less the codecs whose weights have changed since."""
    before = resume.provenance.get("checkpoint_digest", {})
    config["clips"] = dict(resume.provenance.get("config", {}).get("clips", {}))
    asked = set(config["codecs"])
    same = {r.label for r in resume.records if r.label not in asked or before.get(r.label) == checkpoints.get(r.label)}
    results.records = [r for r in resume.records if r.label in same]
    results.earlier = [*resume.earlier, resume.provenance]
    checkpoints |= {name: digest for name, digest in before.items() if name in same}
