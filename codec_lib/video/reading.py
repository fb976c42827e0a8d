"""Video files in: whatever FFmpeg decodes, through PyAV, with the samples kept as the file holds them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import torch
from av.error import FFmpegError
from av.video.reformatter import Interpolation
from torch import Tensor

from codec_lib.errors import VideoError
from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import yuv_to_rgb
from codec_lib.video.completeness import check_complete
from codec_lib.video.store import Stack

# Pixel formats whose planes become `Video.yuv` as they are, with their bit depth.
PLANAR = {
    "yuv420p": 8, "yuvj420p": 8, "yuv444p": 8, "yuvj444p": 8, "yuv420p10le": 10, "yuv444p10le": 10,
}  # fmt: skip
# The same samples in another order: repacked first, nothing computed.
_REPACKED = {
    "nv12": "yuv420p", "nv21": "yuv420p", "p010le": "yuv420p10le", "yuva420p": "yuv420p", "yuva444p": "yuv444p",
    "yuv420p10be": "yuv420p10le", "yuv444p10be": "yuv444p10le",
}  # fmt: skip
_GREY = {"gray": 8, "gray10le": 10}
_ACCURATE = (
    Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)  # fmt: skip

# matrix_coefficients of ITU-T H.273, table 4: 1 BT.709, 5 and 6 BT.601, 9 BT.2020.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_UNSPECIFIED = (2, 3)
_FULL, _LIMITED = 2, 1  # AVColorRange


class Colour(NamedTuple):
    """How samples are to be understood."""

    bit_depth: int
    matrix: str
    full_range: bool


def read_file(
    path: Path, *, frames: int | None = None, matrix: str | None = None, full_range: bool | None = None
) -> Video:
    """Decode the first video stream of a file; `io.read_video` states the rules.

    matrix, full_range: instead of what the file says.
    """
    check_complete(path)
    try:
        with av.open(f"file:{path}") as container:
            if container.format.name == "tty":  # FFmpeg would draw any text file as a terminal
                raise VideoError(f"{path}: is a text file, not a video")
            if not container.streams.video:
                raise VideoError(f"{path}: has no pictures, only {_kinds(container)}")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            fps = frame_rate(stream)
            return _collect(path, _decoded(path, container, stream, frames), fps, matrix, full_range)
    except av.error.EOFError as error:
        raise VideoError(f"{path}: holds no frames") from error
    except FFmpegError as error:
        raise VideoError(f"{path}: cannot be read as video ({error.strerror})") from error


def frame_rate(stream) -> Fraction:
    """Frames a second as the stream declares them; 25 where it says nothing.

    Matroska keeps the duration of a frame in whole nanoseconds, so 60000/1001 may come back as 19001/317:
    a rate within a millionth of a whole number, or of one times 1000/1001, is taken for that.
    """
    rate = stream.guessed_rate or stream.average_rate or stream.base_rate
    if not rate or rate <= 0:
        return Fraction(25)
    rate = Fraction(rate)
    for near in (Fraction(round(rate)), Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)):
        if abs(near - rate) * 1_000_000 < rate:
            return near
    return rate


def _kinds(container) -> str:
    return ", ".join(sorted({s.type or "data" for s in container.streams})) or "no streams"


def _decoded(path: Path, container, stream, limit: int | None) -> Iterator[av.VideoFrame]:
    shape = None
    for count, frame in enumerate(container.decode(stream)):
        if frame.is_corrupt:
            raise VideoError(f"{path}: frame {count} is damaged")
        now = (frame.format.name, frame.width, frame.height)
        shape = shape or now
        if now != shape:
            raise VideoError(
                f"{path}: frame {count} is {now[1]}x{now[2]} {now[0]} after frames of "
                f"{shape[1]}x{shape[2]} {shape[0]}: a clip must keep one size and format"
            )
        yield frame
        if limit is not None and count + 1 >= limit:
            return


def _collect(
    path: Path, decoded: Iterator[av.VideoFrame], fps: Fraction, matrix: str | None, full: bool | None
) -> Video:
    first = next(decoded, None)
    if first is None:
        raise VideoError(f"{path}: holds no frames")
    turns = round(first.rotation / 90) % 4
    if first.format.is_rgb:
        pictures = Stack()
        for frame in chain((first,), decoded):
            pictures.append(_rgb(frame)[None])
        return Video(_turned(pictures.tensor(), turns), fps, path.stem)

    colour = colour_of(path, first, matrix, full)
    samples = Stack(), Stack(), Stack()
    for frame in chain((first,), decoded):
        for stack, plane in zip(samples, _planes(frame, colour.bit_depth), strict=True):
            stack.append(plane[None])
    yuv = YUVPlanes(*(stack.tensor() for stack in samples), *colour)
    native = first.format.name in PLANAR or first.format.name in _REPACKED or first.format.name in _GREY
    keep = native and turns == 0
    return Video(_turned(yuv_to_rgb(yuv), turns), fps, path.stem, yuv=yuv if keep else None)


def colour_of(path: Path, frame: av.VideoFrame, matrix: str | None, full: bool | None) -> Colour:
    """Bit depth, matrix and range by the file's tags, or by the assumptions of `io.read_video` where it has none."""
    name = frame.format.name
    depth = 8 if max(c.bits for c in frame.format.components) == 8 else 10
    if matrix is None:
        space = int(frame.colorspace)
        if space in _UNSPECIFIED:
            matrix = "bt709" if frame.width >= 1280 or frame.height > 576 else "bt601"
        elif space in _MATRICES:
            matrix = _MATRICES[space]
        else:
            raise VideoError(f"{path}: colour matrix {space} of H.273 is not supported: convert the file to BT.709")
    if full is None:
        tag = int(frame.color_range)
        full = tag == _FULL or (tag != _LIMITED and (name.startswith("yuvj") or name in _GREY))
    return Colour(depth, matrix, full)


def _planes(frame: av.VideoFrame, bit_depth: int) -> list[Tensor]:
    """Y, Cb, Cr of a frame in 4:2:0 or 4:4:4, each uint8 or int16 (H, W)."""
    name = frame.format.name
    if name in _GREY:
        y = plane_samples(frame.planes[0], bit_depth)
        neutral = torch.full(((frame.height + 1) // 2, (frame.width + 1) // 2), 1 << (bit_depth - 1), dtype=y.dtype)
        return [y, neutral, neutral]
    if name not in PLANAR:
        target = _REPACKED.get(name, "yuv444p" if bit_depth == 8 else "yuv444p10le")
        same = {"src_colorspace": frame.colorspace, "dst_colorspace": frame.colorspace}
        same |= {"src_color_range": frame.color_range, "dst_color_range": frame.color_range}
        frame = frame.reformat(format=target, interpolation=_ACCURATE, threads=1, **same)
    return [plane_samples(plane, bit_depth) for plane in frame.planes[:3]]


def plane_samples(plane, bit_depth: int) -> Tensor:
    """One plane as uint8 or int16 (H, W), without the padding that FFmpeg puts after each line."""
    dtype = np.dtype(np.uint8 if bit_depth == 8 else "<i2")
    lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return torch.from_numpy(lines[: plane.height, : plane.width].astype(dtype.newbyteorder("="), copy=True))


def _rgb(frame: av.VideoFrame) -> Tensor:
    return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).contiguous()


def _turned(frames: Tensor, quarter_turns: int) -> Tensor:
    """Counterclockwise, as the display matrix of the file asks."""
    return torch.rot90(frames, quarter_turns, (-2, -1)).contiguous() if quarter_turns else frames
