"""Clips by name or by path: one way to ask for a test set, a file or a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from codec_lib.errors import UsageError, VideoError
from codec_lib.video.clip import Video
from codec_lib.video.datasets import DATASETS, VIDEO_SUFFIXES, Dataset, Sequence
from codec_lib.video.images import image_files, natural_key
from codec_lib.video.io import read_video

CATALOGUE = ("sample", *DATASETS)
"""The names that `clips` knows: "sample" is always there, the others where the reader has put them (`datasets`)."""


@dataclass(frozen=True)
class Source:
    """A clip that has not been read yet. load(frames) reads it, or its first so many frames."""

    name: str
    load: Callable[[int | None], Video]


def clips(name_or_path: str | Path, *, frames: int | None = None) -> list[Video]:
    """All clips of `iter_clips` at once."""
    return list(iter_clips(name_or_path, frames=frames))


def iter_clips(name_or_path: str | Path, *, frames: int | None = None) -> Iterator[Video]:
    """Clips one by one, each read when asked for; ``frames``: the first so many of each.

    What can be asked for is listed at `find_clips`; what cannot be found is reported here, before the first clip is
    read.
    """
    if frames is not None and frames < 1:
        raise UsageError(f"cannot take the first {frames} frames: give 1 or more")
    return (source.load(frames) for source in find_clips(name_or_path))


def find_clips(name_or_path: str | Path) -> list[Source]:
    """The clips behind a name or path, without reading them.

    A catalogue name: sample, davis, uvg, mcl-jcv, hevc-b, vimeo90k. One clip or some of it: "sample:pan", "uvg:B*".
    A path: a video file, a folder of images (one clip), a folder of video files or of such folders (a clip each).
    A folder called like a catalogue name is reached by its path, as "./sample".

    Raises MissingData for a test set that is not here or not whole, VideoError or UsageError for anything else.
    """
    text = str(name_or_path)
    name, _, pattern = text.partition(":")
    if name in CATALOGUE and isinstance(name_or_path, str):
        found = _sample(pattern) if name == "sample" else _dataset(DATASETS[name], pattern)
        if not found:
            raise UsageError(f"no clip of '{name}' is called '{pattern}'")
        return found
    path = Path(name_or_path)
    if not path.exists():
        raise VideoError(f"'{text}' is neither a file or folder nor a catalogue name ({', '.join(CATALOGUE)})")
    if path.is_dir() and not image_files(path):
        return _folder(path)
    return [Source(path.stem if path.is_file() else path.resolve().name, lambda n: read_video(path, frames=n))]


def _matches(name: str, pattern: str) -> bool:
    return not pattern or fnmatchcase(name.lower(), pattern.lower())


def _sample(pattern: str) -> list[Source]:
    from codec_lib.video.sample import CLIPS  # the virtual camera brings OpenCV along

    return [
        Source(name, lambda n, make=make: make().first(n)) for name, make in CLIPS.items() if _matches(name, pattern)
    ]


def _dataset(dataset: Dataset, pattern: str) -> list[Source]:
    wanted = [s for s in dataset.sequences if _matches(s.name, pattern)]
    absent = [s for s in wanted if dataset.find(dataset, s) is None]
    if absent:
        raise dataset.missing(absent)

    def load(sequence: Sequence) -> Callable[[int | None], Video]:
        return lambda n: dataset.read(sequence, n)

    return [Source(s.name, load(s)) for s in wanted]


def _folder(folder: Path) -> list[Source]:
    """Each video file, and each folder of images, directly in ``folder``; named by stem where that is enough."""
    entries = sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=natural_key)
    entries = [p for p in entries if p.suffix.lower() in VIDEO_SUFFIXES or (p.is_dir() and image_files(p))]
    if not entries:
        raise VideoError(f"{folder}: holds neither images nor video files ({', '.join(VIDEO_SUFFIXES)})")
    stems = [p.stem if p.is_file() else p.name for p in entries]
    names = [s if stems.count(s) == 1 else p.name for s, p in zip(stems, entries, strict=True)]
    return [
        Source(name, lambda n, p=path, name=name: replace(read_video(p, frames=n), name=name))
        for name, path in zip(names, entries, strict=True)
    ]
