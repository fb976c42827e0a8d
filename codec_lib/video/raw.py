"""Headerless .yuv: planar samples frame after frame, described by the file's name or by the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from codec_lib.errors import UsageError, VideoError
from codec_lib.video import store
from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import rgb_to_yuv, yuv_to_rgb

_NAMED_SIZES = {"qcif": (176, 144), "cif": (352, 288), "4cif": (704, 576), "sif": (352, 240)}


@dataclass(frozen=True)
class RawLayout:
    """What a .yuv file does not say about itself. size: (width, height) in pixels."""

    size: tuple[int, int]
    fps: Fraction = Fraction(25)
    subsampling: str = "420"
    bit_depth: int = 8

    @property
    def plane_shapes(self) -> list[tuple[int, int]]:
        """(rows, columns) of Y, Cb and Cr."""
        width, height = self.size
        chroma = (height, width) if self.subsampling == "444" else ((height + 1) // 2, (width + 1) // 2)
        return [(height, width), chroma, chroma]

    @property
    def dtype(self) -> np.dtype:
        """One byte a sample at 8 bits, two little-endian ones at 10."""
        return np.dtype(np.uint8 if self.bit_depth == 8 else "<i2")

    @property
    def frame_bytes(self) -> int:
        return sum(h * w for h, w in self.plane_shapes) * self.dtype.itemsize

    def __str__(self) -> str:
        layout = f"{self.subsampling[0]}:{self.subsampling[1]}:{self.subsampling[2]}"
        return f"{self.size[0]}x{self.size[1]} {layout} {self.bit_depth}-bit"


def layout_from_name(name: str) -> dict:
    """The fields of `RawLayout` that a file name tells, by the habits of the test sequences.

    Understood, between any of ``_ - . space``: 1920x1080, cif, qcif; 120fps, 29.97fps, 5994fps or a number alone after
    the size; 8bit, 10bit, 10b; 420, 444, yuv420p10le.
    """
    tokens = [t for t in re.split(r"[_\-\s]+|\.(?!\d)", name.lower()) if t]
    found: dict = {}
    for token in tokens:
        if "size" not in found and (m := re.fullmatch(r"(\d{2,5})[x×](\d{2,5})(p?(\d{1,3}))?", token)):
            found["size"] = (int(m[1]), int(m[2]))
            if m[4]:
                found["fps"] = frames_a_second(m[4])
        elif "size" not in found and token in _NAMED_SIZES:
            found["size"] = _NAMED_SIZES[token]
        elif m := re.fullmatch(r"(\d+(?:\.\d+)?)(?:fps|hz)", token):
            found["fps"] = frames_a_second(m[1])
        elif m := re.fullmatch(r"(\d{1,2})(?:bits?|bpp|b)", token):
            found["bit_depth"] = int(m[1])
        elif m := re.fullmatch(
            r"(?:yuv|p)?(400|410|411|420|422|440|444)(?:p|yuv)?(?:(\d\d)(?:le)?)?(?:(\d+)bits?)?", token
        ):
            found["subsampling"] = m[1]
            if m[2] or m[3]:
                found["bit_depth"] = int(m[2] or m[3])
        elif "size" in found and "fps" not in found and re.fullmatch(r"\d{1,3}(?:\.\d+)?", token):
            found["fps"] = frames_a_second(token)
    return found


def frames_a_second(text: str) -> Fraction:
    """A frame rate as people write it: 23.976, 29.97 and 59.94 (2397, 2997, 5994) mean 1000/1001 of a whole number."""
    rate = Fraction(text)
    if "." not in text and rate >= 1000:
        rate /= 100
    whole = round(rate * Fraction(1001, 1000))
    if rate.denominator > 1 and abs(Fraction(whole * 1000, 1001) - rate) < Fraction(1, 100):
        return Fraction(whole * 1000, 1001)
    return rate


def layout_of(path: Path, *, size: tuple[int, int] | None = None, fps=None, **given) -> RawLayout:
    """What the caller gives, then what the name tells, then 25 frames a second, 4:2:0, 8 bit."""
    given = {k: v for k, v in given.items() if v is not None}
    told = layout_from_name(path.stem) | given
    if size is not None:
        told["size"] = tuple(size)
    if fps is not None:
        told["fps"] = Fraction(fps)
    if "size" not in told:
        raise VideoError(f"{path}: the size is not in the name (as in clip_832x480_30fps_8bit_420.yuv): give it")
    if min(told["size"]) < 1:
        raise UsageError(f"{path}: size {told['size'][0]}x{told['size'][1]} is not possible")
    layout = RawLayout(**told)
    if layout.subsampling not in ("420", "444") or layout.bit_depth not in (8, 10):
        raise UsageError(f"{path}: {layout} is not supported: use 4:2:0 or 4:4:4, 8 or 10 bits")
    return layout


def read_raw(
    path: Path,
    layout: RawLayout,
    *,
    frames: int | None = None,
    matrix: str | None = None,
    full_range: bool | None = None,
) -> Video:
    """Frames of a .yuv file; the size of the file must be a whole number of frames."""
    total = path.stat().st_size
    count, rest = divmod(total, layout.frame_bytes)
    if total == 0:
        raise VideoError(f"{path}: is empty (0 bytes)")
    if rest:
        raise VideoError(
            f"{path}: {total} bytes are not a whole number of {layout} frames of {layout.frame_bytes} bytes: "
            "the size or format is wrong or the file is cut short"
        )
    count = count if frames is None else min(frames, count)
    samples = empty_planes(count, layout)
    with open(path, "rb") as file:
        for t in range(count):
            read_frame(file, layout, [plane[t] for plane in samples], f"{path}: frame {t}")
    yuv = YUVPlanes(*samples, layout.bit_depth, matrix or "bt709", bool(full_range))
    return Video(yuv_to_rgb(yuv), layout.fps, path.stem, yuv=yuv)


def empty_planes(count: int, layout: RawLayout) -> list[Tensor]:
    dtype = torch.uint8 if layout.bit_depth == 8 else torch.int16
    return [store.empty((count, *shape), dtype) for shape in layout.plane_shapes]


def read_frame(file: BinaryIO, layout: RawLayout, planes: list[Tensor], where: str) -> None:
    """Read the samples of one frame into ``planes``; ``where`` opens the message of an error."""
    data = file.read(layout.frame_bytes)
    if len(data) < layout.frame_bytes:
        raise VideoError(f"{where} is cut short ({len(data)} of {layout.frame_bytes} bytes)")
    values = np.frombuffer(data, layout.dtype)
    if layout.bit_depth == 10 and (values.min() < 0 or values.max() > 1023):
        raise VideoError(f"{where} holds values above 1023: these are not 10-bit little-endian samples")
    start = 0
    for plane in planes:
        part = values[start : start + plane.numel()]
        plane.numpy()[...] = part.reshape(plane.shape)
        start += plane.numel()


def planes_to_write(video: Video, t: int) -> YUVPlanes:
    """Frame t as a raw file stores it: the source's samples where there are any, else 8-bit BT.709 4:2:0."""
    yuv = video.yuv
    if yuv is None:
        return rgb_to_yuv(video.frames[t : t + 1])
    return replace(yuv, y=yuv.y[t : t + 1], u=yuv.u[t : t + 1], v=yuv.v[t : t + 1])


def frame_bytes(planes: YUVPlanes) -> bytes:
    """Y, then Cb, then Cr."""
    dtype = np.uint8 if planes.bit_depth == 8 else "<i2"
    return b"".join(p.numpy().astype(dtype, copy=False).tobytes() for p in (planes.y, planes.u, planes.v))


def write_raw(video: Video, path: Path) -> None:
    """Planar samples, nothing else: size, rate and format are known only to whoever names the file."""
    with open(path, "wb") as file:
        for t in range(len(video)):
            file.write(frame_bytes(planes_to_write(video, t)))
