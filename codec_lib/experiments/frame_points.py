"""Rate points that are looked into: bits and PSNR of every frame, from the packets of a real stream.

`evaluate` knows whole files. Tables that tell P frames from I frames, or one frame from the next, measure with `code_clip` and
keep what they found in `PointLog`, which saves after every rate point and can take over what an earlier run measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codec_lib.codecs.protocol import Codec
from codec_lib.entropy.account import framing_bytes
from codec_lib.entropy.container import read_stream
from codec_lib.errors import UsageError
from codec_lib.experiments.evaluate import Progress, fingerprint
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Record, Results
from codec_lib.metrics import metric
from codec_lib.video import Video, find_clips

Units = Mapping[str, tuple[float, str]]
"""metric -> (value, unit)"""


@dataclass(frozen=True)
class CodedClip:
    """A clip at one quality. bits: of each frame's packet, framing included, the stream's header not; psnr: of each frame, RGB, in
    dB; both float64 (T,)."""

    record: Record
    stream: bytes
    bits: np.ndarray
    psnr: np.ndarray

    def of_frames(self, first: int, pixels: int) -> tuple[float, float]:
        """Bits per pixel and mean PSNR of all frames from ``first`` on; pixels: of one frame. Raises UsageError where there are
        none."""
        if first >= len(self.bits):
            raise UsageError(f"'{self.record.clip}' has {len(self.bits)} frames: give a clip of more than {first}")
        return float(self.bits[first:].mean() / pixels), float(self.psnr[first:].mean())


def code_clip(codec: Codec, video: Video, quality: int, called: str | None = None) -> CodedClip:
    """Code a clip, read its stream, and measure what came out. codec: one that writes a packet a frame. called: name in the record
    instead of the codec's own."""
    start = time.perf_counter()
    stream = codec.encode(video, quality)
    return read_clip(codec, video, quality, stream, time.perf_counter() - start, called)


def read_clip(codec: Codec, video: Video, quality: int, stream: bytes, encode_s: float = 0.0, called: str | None = None) -> CodedClip:
    """The same of a clip that was coded before; encode_s: seconds that it took."""
    start = time.perf_counter()
    decoded = codec.decode(stream)
    decode_s = time.perf_counter() - start
    bits = [8 * (len(p.payload) + sum(framing_bytes([p]).values())) for p in read_stream(stream)[1]]
    psnr = metric("psnr").frame_values(video, decoded)
    record = Record(called or codec.name, codec.profile, video.name, len(video), video.width, video.height, quality, len(stream),
                    8 * len(stream) / video.pixels, round(encode_s, 4), round(decode_s, 4),
                    {"psnr": float(np.mean(psnr))})
    return CodedClip(record, stream, np.array(bits, float), np.array(psnr))


class PointLog:
    """What a table measures, rate point by rate point.

    config: of the provenance. checkpoints: label of each codec measured -> digest of its weights. out: saved after every point.
    resume: earlier results; their rate points count, unless weights or frames of their clips have changed since.
    """

    def __init__(self, experiment: str, config: dict, checkpoints: Mapping[str, str], out: Path | None = None,
                 resume: Results | None = None):
        self.config, self.checkpoints, self.out = config | {"clips": {}}, dict(checkpoints), out
        self.start = time.perf_counter()
        self.results = Results(experiment)
        if resume:
            self._take_over(resume)

    def _take_over(self, resume: Results) -> None:
        before = resume.provenance.get("checkpoint_digest", {})
        self.config["clips"] = dict(resume.provenance.get("config", {}).get("clips", {}))
        self.results.records = [r for r in resume.records if self.checkpoints.get(r.label, before.get(r.label)) == before.get(r.label)]
        self._keep_values(resume.values)
        self.results.earlier = [*resume.earlier, resume.provenance]
        self.checkpoints = before | self.checkpoints

    def _keep_values(self, values) -> None:
        """Only values of rate points that are there; whatever was derived from them is derived again."""
        there = {r.key for r in self.results.records}
        self.results.values = [v for v in values if (v.codec, v.clip, v.quality) in there]

    def begin(self, video: Video) -> None:
        """Say that the points of a clip come next. Points on other frames of the same name are forgotten."""
        now = fingerprint(video)
        if self.config["clips"].get(video.name, now) != now:
            self.results.records = [r for r in self.results.records if r.clip != video.name]
            self._keep_values(self.results.values)
        self.config["clips"][video.name] = now

    def has(self, label: str, clip: str, quality: int) -> bool:
        return any(r.key == (label, clip, quality) for r in self.results.records)

    def add(self, record: Record, found: Units) -> None:
        """Keep a rate point and what else was found at it."""
        self.results.records.append(record)
        for name, (value, unit) in found.items():
            self.results.add_value(name, value, unit, codec=record.label, clip=record.clip, quality=record.quality)
        self._save()

    def value(self, label: str, clip: str, quality: int, name: str) -> float:
        """One of the values that were added. Raises KeyError where it is not."""
        return self._by_point()[label, clip, quality, name]

    def curve(self, label: str, clip: str, rate: str, quality: str) -> list[tuple[float, float]]:
        """Points (rate, quality) of a codec on a clip by the names of two values, or of the record's own numbers."""
        found = self._by_point()
        points = []
        for r in self.results.records:
            if (r.label, r.clip) == (label, clip):
                points.append(tuple(found[*r.key, n] if (*r.key, n) in found else r.number(n) for n in (rate, quality)))
        return points

    def clips(self) -> list[str]:
        """Names of all clips with a rate point."""
        return list(dict.fromkeys(r.clip for r in self.results.records))

    def finish(self) -> Results:
        """The results, with their provenance."""
        self._save()
        return self.results

    def _by_point(self) -> dict:
        return {(v.codec, v.clip, v.quality, v.metric): v.value for v in self.results.values}

    def _save(self) -> None:
        made = provenance(self.config, checkpoints=self.checkpoints, seconds=time.perf_counter() - self.start)
        self.results.provenance.clear()
        self.results.provenance.update(made)  # values share the dictionary
        if self.out and self.results.records:
            self.results.save(self.out)


def measure_points(log: PointLog, codecs: Mapping[str, Codec], clips: Sequence[str] | None, frames: int,
                   also: Callable[[str, CodedClip, Video], Units], progress: Progress | None) -> None:
    """Every codec on the first frames of ``clips`` (the offline samples unless given) at its default qualities, into ``log``: rate
    and PSNR of the P frames, and what ``also`` finds for (label, coded clip, original). codecs: by label, as in "conditional@lab"."""
    for source in (s for named in clips or ["sample"] for s in find_clips(named)):
        video = replace(source.load(frames), name=source.name)
        log.begin(video)
        points = [(name, q) for name, codec in codecs.items() for q in codec.default_qualities]
        for done, (name, quality) in enumerate(points):
            if progress:
                progress(done, len(points), f"{video.name} {name} q{quality}")
            if not log.has(name, video.name, quality):
                coded = code_clip(codecs[name], video, quality, name.partition("@")[0])
                bpp, psnr = coded.of_frames(1, video.height * video.width)
                log.add(coded.record, {"bpp of P": (bpp, "bit/pixel"), "psnr of P": (psnr, "dB"), **also(name, coded, video)})
        if progress:
            progress(len(points), len(points), video.name)


def add_mean(results: Results, name: str, by_clip: Mapping[str, float | None], unit: str, codec: str | None) -> None:
    """Record a number of each clip that has one, and their mean as clip "mean"."""
    there = {clip: value for clip, value in by_clip.items() if value is not None}
    if there:
        there["mean"] = float(np.mean(list(there.values())))
    for clip, value in there.items():
        results.add_value(name, value, unit, codec=codec, clip=clip)
