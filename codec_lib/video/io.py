"""`read_video` and `write_video`: the one door for frames, whatever the format."""

from __future__ import annotations

from pathlib import Path

from codec_lib.errors import VideoError
from codec_lib.video.clip import Video
from codec_lib.video.reading import read_file


def read_video(path: str | Path, *, frames: int | None = None, size: tuple[int, int] | None = None, fps=None) -> Video:
    """Read a clip; the first ``frames`` frames only when given."""
    path = Path(path)
    if not path.exists():
        raise VideoError(f"{path}: no such file or folder")
    return read_file(path, frames=frames)
