"""Table `portability`: do the same streams decode to the same symbols under other arithmetic?

One machine is enough to break a float entropy model: other vector instructions, another number of threads, another
memory layout or batch add in another order. Each setting decodes in a process of its own; what it found for a stream is
either the SHA-256 of the symbols or the error. The encoder's process used the first setting.

The integer path must agree everywhere. Its float twin, the same weights in ordinary arithmetic, is put through the same
test: it shows that the test can fail, and what the integers cost in bytes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codec_lib.codecs.protocol import Progress, load_codec
from codec_lib.errors import CodecLibError
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results
from codec_lib.video import iter_clips

DESCRIPTION = "symbols decoded under ten settings of vector width, threads, layout and batch; integer and float path"
PAPER: dict = {}

QUALITIES = (0, 12, 25, 38, 50, 63)
FRAMES = 4


@dataclass(frozen=True)
class Setting:
    """One way of doing the same arithmetic. Empty vector widths leave the choice to the library."""

    name: str
    aten: str = ""  # ATEN_CPU_CAPABILITY
    onednn: str = ""  # ONEDNN_MAX_CPU_ISA
    threads: int = 2
    channels_last: bool = True
    batch: int = 4

    def environment(self) -> dict[str, str]:
        """Environment of a process under this setting."""
        wanted = {"ATEN_CPU_CAPABILITY": self.aten, "ONEDNN_MAX_CPU_ISA": self.onednn, "OMP_NUM_THREADS": str(self.threads)}
        return {k: v for k, v in os.environ.items() if k not in wanted} | {k: v for k, v in wanted.items() if v}


SETTINGS = (
    Setting("as encoded"),
    Setting("1 thread", threads=1),
    Setting("planar layout", channels_last=False),
    Setting("batch 1", batch=1),
    Setting("batch 3", batch=3),
    Setting("AVX2", aten="avx2", onednn="AVX2"),
    Setting("SSE4.1", aten="default", onednn="SSE41"),
    Setting("AVX2, planar, 1 thread", aten="avx2", onednn="AVX2", threads=1, channels_last=False),
    Setting("AVX-512 core, batch 2", aten="avx512", onednn="AVX512_CORE", batch=2),
    Setting("SSE4.1, planar, batch 1", aten="default", onednn="SSE41", channels_last=False, batch=1),
)


def decode_under(setting: Setting, streams: Sequence[Path], codec: str, options: dict) -> list[str]:
    """Symbol digest of each stream, or "error: ...", found in a new process under ``setting``."""
    job = {"codec": codec, "streams": [str(p) for p in streams],
           "options": options | {"batch": setting.batch, "channels_last": setting.channels_last}}
    done = subprocess.run([sys.executable, "-m", "codec_lib.experiments.portability"], input=json.dumps(job), text=True,
                          capture_output=True, env=setting.environment())
    if done.returncode:
        raise CodecLibError(f"decoding under '{setting.name}' failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def digests(job: dict) -> list[str]:
    """What `decode_under` asks of the new process."""
    codec = load_codec(job["codec"], **job["options"])
    found = []
    for path in job["streams"]:
        try:
            found.append(codec.symbols_sha256(Path(path).read_bytes()))
        except CodecLibError as error:
            found.append(f"error: {error}")
    return found


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, codec: str = "intra",
            qualities: Sequence[int] = QUALITIES, frames: int = FRAMES, settings: Sequence[Setting] = SETTINGS) -> Results:
    """Encode the first frames of ``clips`` by both paths, decode everything under every setting, count mismatches."""
    names = list(clips or ["sample"])
    results = Results("portability", provenance({"codec": codec, "qualities": list(qualities), "frames": frames,
                                                 "settings": [s.name for s in settings]}))
    total, done = 2 * (len(settings) + 1), 0
    with tempfile.TemporaryDirectory() as folder:
        for path in ("integer", "float"):
            encoder = load_codec(codec, entropy=path)
            streams = []
            for i, video in enumerate(v for n in names for v in iter_clips(n, frames=frames)):
                for q in qualities:
                    streams.append(Path(folder) / f"{path}-{i:03}-{q}.bin")
                    streams[-1].write_bytes(encoder.encode(video, q))
            results.add_value("streams", len(streams), "", codec=f"{codec}:{path}")
            results.add_value("bytes", sum(s.stat().st_size for s in streams), "byte", codec=f"{codec}:{path}")
            expected = decode_under(settings[0], streams, codec, {"entropy": path})
            done += 1
            for setting in settings:
                found = decode_under(setting, streams, codec, {"entropy": path})
                wrong = sum(f.startswith("error") or f != e for f, e in zip(found, expected, strict=True))
                results.add_value("mismatches", wrong, "", codec=f"{codec}:{path}", clip=setting.name)
                done += 1
                if progress:
                    progress(done, total)
    return results


def rows(results: Results) -> list[dict]:
    """One row a setting, with the streams that went wrong on each path; a last row with the bytes."""
    value = {(v.codec.partition(":")[2], v.metric, v.clip): v for v in results.values}
    out = []
    for name in dict.fromkeys(v.clip for v in results.values if v.clip):
        cells = {path: value[path, "mismatches", name] for path in ("integer", "float")}
        out.append({"setting": name, **{f"{p} path: wrong streams": v.value for p, v in cells.items()},
                    "ids": {f"{p} path: wrong streams": v.id for p, v in cells.items()}})
    for metric in ("streams", "bytes"):
        cells = {path: value[path, metric, None] for path in ("integer", "float")}
        out.append({"setting": f"{metric} in all", **{f"{p} path: wrong streams": v.value for p, v in cells.items()},
                    "ids": {f"{p} path: wrong streams": v.id for p, v in cells.items()}})
    return out


if __name__ == "__main__":
    print(json.dumps(digests(json.load(sys.stdin))))
