"""Video files in: anything FFmpeg can decode, through PyAV, with the samples kept as the file holds them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.error import FFmpegError
from av.video.reformatter import Interpolation
from torch import Tensor

from codec_lib.errors import VideoError
from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import yuv_to_rgb

# Pixel formats whose planes go into `Video.yuv` unchanged: (bit depth, full range by definition).
_PLANAR = {
    "yuv420p": (8, False),
    "yuvj420p": (8, True),
    "yuv444p": (8, False),
    "yuvj444p": (8, True),
    "yuv420p10le": (10, False),
    "yuv444p10le": (10, False),
}
# Same samples in another order: repacked, nothing computed.
_REPACKED = {"nv12": "yuv420p", "nv21": "yuv420p", "p010le": "yuv420p10le", "yuva420p": "yuv420p", "yuva444p": "yuv444p"}
_EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT

# AVColorSpace (ITU-T H.273 matrix_coefficients) by the names used here.
_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_UNTAGGED = (2, 3)


def read_file(path: Path, frames: int | None = None) -> Video:
    """Decode the first video stream of a file; see `read_video` for the rules."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: has no video stream (sound only)")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            planes, rgb, first, truncated = _decode(container, stream, frames)
            fps = frame_rate(stream)
    except FFmpegError as error:
        raise VideoError(f"{path}: cannot be read as video ({error.strerror})") from error
    if first is None:
        raise VideoError(f"{path}: holds no frames")
    if planes:
        yuv = YUVPlanes(*(torch.stack([p[k] for p in planes]) for k in range(3)), *first)
        return Video(yuv_to_rgb(yuv), fps, path.stem, yuv=yuv)
    return Video(torch.stack(rgb), fps, path.stem)


def frame_rate(stream) -> Fraction:
    """Frames a second as the stream declares them; 25 where it says nothing."""
    return Fraction(stream.guessed_rate or stream.average_rate or stream.base_rate or 25)


def _decode(container, stream, limit):
    planes, rgb, first = [], [], None
    for frame in container.decode(stream):
        name = _REPACKED.get(frame.format.name, frame.format.name)
        if name != frame.format.name:
            frame = frame.reformat(format=name, interpolation=_EXACT)
        if name not in _PLANAR:
            rgb.append(torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1).contiguous())
            first = first or name
        else:
            bits, full = _PLANAR[name]
            first = first or (bits, matrix_of(frame), full or int(frame.color_range) == 2)
            planes.append([plane_samples(p, bits) for p in frame.planes[:3]])
        if limit is not None and len(planes) + len(rgb) >= limit:
            break
    return planes, rgb, first, False


def matrix_of(frame) -> str:
    space = int(frame.colorspace)
    if space in _UNTAGGED:
        return "bt709" if frame.width >= 1280 or frame.height > 576 else "bt601"
    if space not in _MATRICES:
        raise VideoError(f"colour matrix {space} (H.273) is not supported: convert the file to BT.709 first")
    return _MATRICES[space]


def plane_samples(plane, bit_depth: int) -> Tensor:
    """One plane as uint8 or int16 (H, W), without the padding at the end of each line."""
    dtype = np.uint8 if bit_depth == 8 else np.int16
    lines = np.frombuffer(plane, dtype).reshape(plane.height, plane.line_size // np.dtype(dtype).itemsize)
    return torch.from_numpy(lines[:, : plane.width].copy())
