"""The test sets of the literature, used from where the reader has put them.

Nothing is downloaded: most of them ask for a licence to be accepted, and some weigh tens of gigabytes. Each set is
looked for in its own folder of `data_root` (``$CODEC_LIB_DATA``, by default ``~/.cache/codec_lib/data``), in the
layout in which it is distributed; what is missing is named together with where to get it.

None of these sets publishes checksums of its files. `manifest.verify` therefore records one at the first check and
reports any change after that, and compares lengths and sizes with the published ones below.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from codec_lib.errors import MissingData
from codec_lib.video.clip import Video
from codec_lib.video.images import image_files
from codec_lib.video.io import read_video
from codec_lib.video.raw import layout_from_name

VIDEO_SUFFIXES = (".yuv", ".y4m", ".mkv", ".mp4", ".webm", ".mov", ".avi")


@dataclass(frozen=True)
class Sequence:
    """One clip of a set as published.

    size: (width, height), None where the set does not fix it. frames: None if unknown.
    """

    name: str
    size: tuple[int, int] | None
    fps: Fraction
    frames: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A set: ``find(dataset, sequence)`` gives the file or folder of a sequence, or None."""

    name: str
    title: str
    get: str
    put: str
    find: Callable[[Dataset, Sequence], Path | None]
    published: Callable[[Dataset], tuple[Sequence, ...]]

    @property
    def folder(self) -> Path:
        """Where this set is looked for."""
        return data_root() / self.name

    @property
    def sequences(self) -> tuple[Sequence, ...]:
        """All sequences of the set, here or not."""
        return self.published(self)

    def where(self, sequence: Sequence) -> Path:
        """The file or folder of a sequence; MissingData if it is not here."""
        path = self.find(self, sequence)
        if path is None:
            raise self.missing([sequence])
        return path

    def missing(self, sequences: list[Sequence]) -> MissingData:
        """The error that says what is missing, where to get it and where to put it."""
        names = ", ".join(s.name for s in sequences[:3]) + (", ..." if len(sequences) > 3 else "")
        what = f" ({len(sequences)} missing: {names})" if sequences else ""
        return MissingData(
            f"{self.name}: not in {self.folder}{what}: get {self.get}; put {self.put} there, "
            "or name another place in CODEC_LIB_DATA"
        )

    def read(self, sequence: Sequence, frames: int | None = None) -> Video:
        """A sequence as a clip under its published name and frame rate."""
        path = self.where(sequence)
        options: dict = {}
        if path.is_dir():
            options["fps"] = sequence.fps
        elif path.suffix.lower() == ".yuv":
            told = layout_from_name(path.stem)
            options = {"size": told.get("size", sequence.size), "fps": told.get("fps", sequence.fps)}
        return replace(read_video(path, frames=frames, **options), name=sequence.name)


def data_root() -> Path:
    """``$CODEC_LIB_DATA``, or ``codec_lib/data`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if given := os.environ.get("CODEC_LIB_DATA"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "codec_lib" / "data"


def _file_of(dataset: Dataset, sequence: Sequence) -> Path | None:
    """A video file or a folder of images named after the sequence, in the set's folder or one below."""
    if not dataset.folder.is_dir():
        return None
    entries = [p for p in dataset.folder.iterdir() if not p.name.startswith(".")]
    entries += [q for p in entries if p.is_dir() for q in p.iterdir() if not q.name.startswith(".")]
    names = [n.lower() for n in (sequence.name, *sequence.aliases)]

    def rank(path: Path) -> tuple | None:
        stem = path.name.lower()
        if not any(stem.startswith(n) and not stem[len(n) : len(n) + 1].isalnum() for n in names):
            return None
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file():
            order = VIDEO_SUFFIXES.index(path.suffix.lower())
        elif path.is_dir() and image_files(path):
            order = len(VIDEO_SUFFIXES)
        else:
            return None
        right_size = sequence.size is not None and "{}x{}".format(*sequence.size) in stem
        return not right_size, order, path.name

    ranked = [(r, p) for p in entries if (r := rank(p)) is not None]
    return min(ranked)[1] if ranked else None


def _davis_folder(dataset: Dataset, sequence: Sequence) -> Path | None:
    for above in ("DAVIS/JPEGImages/480p", "JPEGImages/480p", "."):
        folder = dataset.folder / above / sequence.name
        if folder.is_dir() and image_files(folder):
            return folder
    return None


def _vimeo_base(dataset: Dataset) -> Path:
    inner = dataset.folder / "vimeo_septuplet"
    return inner if inner.is_dir() else dataset.folder


def _septuplet(dataset: Dataset, sequence: Sequence) -> Path | None:
    folder = _vimeo_base(dataset) / "sequences" / sequence.name
    return folder if folder.is_dir() and image_files(folder) else None


def _vimeo_list(dataset: Dataset) -> tuple[Sequence, ...]:
    """The official test list; vimeo90k states no frame rate, 24 is nominal."""
    file = _vimeo_base(dataset) / "sep_testlist.txt"
    if not file.exists():
        raise dataset.missing([])
    names = file.read_text().split()
    return tuple(Sequence(name, (448, 256), Fraction(24), 7) for name in names)


def _hd(names: dict[str, tuple[int, int]], **aliases: str) -> Callable[[Dataset], tuple[Sequence, ...]]:
    """1920x1080 sequences from {name: (frames a second, frames)}."""
    made = tuple(
        Sequence(n, (1920, 1080), Fraction(fps), frames, (aliases[n],) if n in aliases else ())
        for n, (fps, frames) in names.items()
    )
    return lambda dataset: made


_UVG = {n: (120, 300 if n == "ShakeNDry" else 600) for n in (
    "Beauty", "Bosphorus", "HoneyBee", "Jockey", "ReadySteadyGo", "ShakeNDry", "YachtRide",
)}  # fmt: skip
_MCL_RATES = {5: 25, 6: 25, 7: 25, 8: 25, 9: 25, 18: 25, 20: 25, 17: 24, 21: 24, 22: 24, 23: 24, 24: 24, 25: 24, 29: 24}
_MCL = {f"videoSRC{i:02d}": (_MCL_RATES.get(i, 30), 5 * _MCL_RATES.get(i, 30)) for i in range(1, 31)}
_HEVC_B = {
    "BasketballDrive": (50, 500), "BQTerrace": (60, 600), "Cactus": (50, 500), "Kimono1": (24, 240),
    "ParkScene": (24, 240),
}  # fmt: skip
# The validation set of DAVIS 2017: 30 sequences, 1999 frames of 480 lines (most of them 854 wide).
_DAVIS = {
    "bike-packing": 69, "blackswan": 50, "bmx-trees": 80, "breakdance": 84, "camel": 90, "car-roundabout": 75,
    "car-shadow": 40, "cows": 104, "dance-twirl": 90, "dog": 60, "dogs-jump": 66, "drift-chicane": 52,
    "drift-straight": 50, "goat": 90, "gold-fish": 78, "horsejump-high": 50, "india": 81, "judo": 34,
    "kite-surf": 50, "lab-coat": 47, "libby": 49, "loading": 50, "mbike-trick": 79, "motocross-jump": 40,
    "paragliding-launch": 80, "parkour": 100, "pigs": 79, "scooter-black": 43, "shooting": 40, "soapbox": 99,
}  # fmt: skip
_DAVIS_SEQUENCES = tuple(Sequence(n, None, Fraction(24), frames) for n, frames in _DAVIS.items())

DATASETS = {
    d.name: d
    for d in (
        Dataset(
            "davis", "DAVIS 2017 validation, 480p",
            "DAVIS-2017-trainval-480p.zip from davischallenge.org",
            "its folder DAVIS (with JPEGImages/480p/blackswan/00000.jpg)",
            _davis_folder, lambda dataset: _DAVIS_SEQUENCES,
        ),
        Dataset(
            "uvg", "UVG, 1080p 8 bit, 120 frames a second",
            "the 1080p 8-bit YUV files from ultravideo.fi",
            "the unpacked files (Beauty_1920x1080_120fps_420_8bit_YUV.yuv, ...)",
            _file_of, _hd(_UVG, ReadySteadyGo="ReadySetGo"),
        ),
        Dataset(
            "mcl-jcv", "MCL-JCV, 1080p",
            "the 30 source clips from mcl.usc.edu/mcl-jcv-dataset", "the files (videoSRC01_1920x1080_30.yuv, ...)",
            _file_of, _hd(_MCL),
        ),
        Dataset(
            "hevc-b", "HEVC common test conditions, class B, 1080p",
            "the class B sequences of JCT-VC (for members of standards bodies and by their licence)",
            "the files (BasketballDrive_1920x1080_50.yuv, ...)",
            _file_of, _hd(_HEVC_B, Kimono1="Kimono"),
        ),
        Dataset(
            "vimeo90k", "Vimeo-90k septuplets, test list, 448x256",
            "vimeo_septuplet.zip from toflow.csail.mit.edu",
            "its folder vimeo_septuplet (with sep_testlist.txt and sequences/00001/0266/im1.png)",
            _septuplet, _vimeo_list,
        ),
    )
}  # fmt: skip
