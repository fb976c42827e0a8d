"""The ffmpeg binary inside imageio-ffmpeg, run as a child process in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

from codec_lib.errors import CodecLibError, MissingData


class FFmpegFailed(CodecLibError):
    """ffmpeg left with an error, or did not come to an end in time; the message is its first complaint."""


@cache
def ffmpeg_exe() -> str:
    """Path of the binary. Raises MissingData when imageio-ffmpeg is not installed or carries none for this system."""
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise MissingData("conventional codecs need the ffmpeg of imageio-ffmpeg: pip install imageio-ffmpeg==0.8.1") from error


@cache
def ffmpeg_version() -> str:
    """Its version as it prints it, for records."""
    return _output("-version").split()[2]


@cache
def encoders() -> frozenset[str]:
    """Names of the video encoders that it carries."""
    lines = (line.split() for line in _output("-encoders").splitlines())
    return frozenset(words[1] for words in lines if len(words) > 1 and words[0].startswith("V"))


def _output(option: str) -> str:
    return subprocess.run([ffmpeg_exe(), "-hide_banner", option], capture_output=True, text=True, check=True).stdout


def run(arguments: list[str], folder: Path, *, limit_s: float, on_frame: Callable[[int], None] | None = None) -> str:
    """Run ffmpeg inside ``folder`` and return what it logged, each line with its level in brackets ("[error]").

    arguments: from the first input to the last output; file names are relative to ``folder``. Nothing goes through a
    shell. limit_s: wall-clock seconds after which it is stopped. on_frame: told the number of frames done, about twice
    a second.
    Raises FFmpegFailed.
    """
    command = [ffmpeg_exe(), "-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+info", "-progress", "pipe:1"]
    log = folder / "ffmpeg.log"
    # SVT-AV1 writes its settings to the log unless told to report errors only.
    environment = os.environ | {"SVT_LOG": "1"}
    with open(log, "wb") as stderr, subprocess.Popen(
        command + arguments, cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
    ) as child:  # fmt: skip
        late = threading.Event()

        def stop():
            late.set()
            child.kill()

        timer = threading.Timer(limit_s, stop)
        timer.start()
        try:
            for line in child.stdout:
                if on_frame and line.startswith("frame="):
                    on_frame(int(line[6:]))
            child.wait()
        except BaseException:
            child.kill()
            raise
        finally:
            timer.cancel()
    text = log.read_text(errors="replace")
    if late.is_set():
        raise FFmpegFailed(f"ffmpeg did not finish within {limit_s:.0f} s and was stopped")
    if child.returncode:
        raise FFmpegFailed(complaint(text) or f"ffmpeg left with status {child.returncode}")
    return text


def complaint(log: str) -> str | None:
    """The first error in a log, without the addresses that ffmpeg prints; None when there is none."""
    for line in log.splitlines():
        for level in ("[error]", "[fatal]", "[panic]", "Error:", "[error]:"):
            _, found, message = line.partition(level)
            if found and message.strip():
                return message.strip()
    return None
