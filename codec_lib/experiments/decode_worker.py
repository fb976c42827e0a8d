"""Decoding in a process of its own, so that a decoder has nothing but the bytes and its checkpoint.

Both ends are here. `DecodeWorker` starts ``python -m codec_lib.experiments.decode_worker`` and sends it one line of JSON a
request, {"codec", "profile", "stream", "out"}; `main` is that process: it reads the stream from disk, decodes, leaves the
frames as .npy files in the folder ``out``, and answers one line of JSON with the time taken and the digest of the symbols.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from codec_lib.errors import CodecLibError

PLANES = ("y", "u", "v")


class DecodeFailed(CodecLibError):
    """The other process could not decode; the message is its own."""


@dataclass(frozen=True)
class Decoded:
    """What came back. video: a codec_lib Video; seconds: of decoding alone; symbols_sha256: None where there is none."""

    video: object
    seconds: float
    symbols_sha256: str | None


class DecodeWorker:
    """A decoder process, kept for many streams; codecs stay loaded in it. Use as a context manager.

    folder: where decoded frames are put; each call replaces what the one before it left.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen | None = None
        self._stderr = None

    def __enter__(self) -> DecodeWorker:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def decode(self, codec: str, profile: str | None, stream: Path) -> Decoded:
        """Decode a file. Raises DecodeFailed with the decoder's own message, also when its process dies."""
        process = self._running()
        request = {"codec": codec, "profile": profile, "stream": str(stream), "out": str(self.folder)}
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = process.wait()
            tail = self._last_words()
            self.close()
            raise DecodeFailed(f"the decoding process ended with status {status}" + (f": {tail}" if tail else ""))
        reply = json.loads(answer)
        if "error" in reply:
            raise DecodeFailed(reply["error"])
        return Decoded(_load_video(self.folder, reply), reply["seconds"], reply["symbols_sha256"])

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._stderr.close()
        self._process = None

    def _running(self) -> subprocess.Popen:
        if self._process is None:
            root = str(Path(__file__).parents[2])
            path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
            self._stderr = tempfile.TemporaryFile()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "codec_lib.experiments.decode_worker"], env=os.environ | {"PYTHONPATH": path},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True)
        return self._process

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _save_video(folder: Path, video) -> dict:
    """Leave the frames (and planes, where the stream holds YCbCr) in ``folder``; returns the rest of the Video as JSON."""
    import numpy as np

    np.save(folder / "frames.npy", video.frames.numpy())
    described = {"fps": str(video.fps), "name": video.name}
    if video.yuv is not None:
        for plane in PLANES:
            np.save(folder / f"{plane}.npy", getattr(video.yuv, plane).numpy())
        described["yuv"] = {name: getattr(video.yuv, name) for name in ("bit_depth", "matrix", "full_range")}
    return described


def _load_video(folder: Path, described: dict):
    import numpy as np
    import torch

    from codec_lib.video.clip import Video, YUVPlanes

    def load(name: str) -> torch.Tensor:
        return torch.from_numpy(np.load(folder / f"{name}.npy"))

    yuv = YUVPlanes(*map(load, PLANES), **described["yuv"]) if "yuv" in described else None
    return Video(load("frames"), Fraction(described["fps"]), described["name"], yuv)


def _serve(request: dict, codecs: dict) -> dict:
    from codec_lib.codecs.protocol import load_codec

    wanted = request["codec"], request["profile"]
    try:
        if wanted not in codecs:
            codecs[wanted] = load_codec(*wanted)
        codec = codecs[wanted]
        stream = Path(request["stream"]).read_bytes()
        start = time.perf_counter()
        video = codec.decode(stream)
        seconds = time.perf_counter() - start
        symbols = codec.symbols_sha256(stream)
        return _save_video(Path(request["out"]), video) | {"seconds": seconds, "symbols_sha256": symbols}
    except Exception as error:  # whatever a codec raises is an answer; the process stays for the next stream
        kind = "" if isinstance(error, CodecLibError) else f"{type(error).__name__}: "
        return {"error": kind + " ".join(str(error).split())}


def main() -> None:
    """Answer requests from stdin until it closes."""
    # Answers go out on a private copy of stdout; whatever a library prints is sent to stderr instead.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    codecs: dict = {}
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line), codecs)), file=answers, flush=True)


if __name__ == "__main__":
    main()
