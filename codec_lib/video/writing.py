"""Video files out, through PyAV: .mp4 to look at, .mkv to keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import rgb_to_yuv

# H.273 codes (matrix, primaries, transfer) and AVColorRange for the tags of a written file.
_TAGS = {"bt709": (1, 1, 1), "bt601": (6, 6, 6), "bt2020": (9, 9, 14)}

X264 = {"preset": "medium", "qp": "2", "x264-params": "log-level=error"}
FFV1 = {"level": "3", "slicecrc": "1"}


def write_mp4(video: Video, path: Path) -> None:
    """H.264 High profile, 8-bit 4:2:0, constant QP 2, index in front: plays in every browser.

    Planes of the source are coded as they are when they are 8-bit 4:2:0, otherwise the RGB frames are converted to
    BT.709 limited range. On natural clips the RGB read back is 56 dB from what was written, visually lossless; for
    pixels that must not change write .mkv, .y4m or a folder of PNGs. An odd width or height, which H.264 cannot have
    in 4:2:0, makes it 4:4:4 (for players, not for browsers).
    """
    subsampling = "444" if video.width % 2 or video.height % 2 else "420"
    native = video.yuv is not None and (video.yuv.subsampling, video.yuv.bit_depth) == (subsampling, 8)

    def planes(t: int) -> YUVPlanes:
        return _cut(video.yuv, t) if native else rgb_to_yuv(video.frames[t : t + 1], subsampling=subsampling)

    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        _encode(container, "libx264", X264, video, planes)


def write_mkv(video: Video, path: Path) -> None:
    """FFV1 (RFC 9043) in Matroska: lossless, with a checksum for each slice.

    The source's planes where there are any, else RGB.
    """
    with av.open(str(path), "w", format="matroska") as container:
        _encode(container, "ffv1", FFV1, video, (lambda t: _cut(video.yuv, t)) if video.yuv else None)


def _cut(planes: YUVPlanes, t: int) -> YUVPlanes:
    return replace(planes, y=planes.y[t : t + 1], u=planes.u[t : t + 1], v=planes.v[t : t + 1])


def _encode(container, codec: str, options: dict, video: Video, planes: Callable[[int], YUVPlanes] | None) -> None:
    """Code all frames: ``planes(t)`` gives frame t as YCbCr; None codes RGB."""
    stream = container.add_stream(codec, rate=video.fps, options=options)
    stream.width, stream.height, stream.pix_fmt = video.width, video.height, "bgr0"
    context = stream.codec_context
    context.time_base = 1 / video.fps
    for t in range(len(video)):
        if planes is None:
            rgb = np.ascontiguousarray(video.frames[t].permute(1, 2, 0).numpy())
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr0")
        else:
            samples = planes(t)
            frame = av.VideoFrame(video.width, video.height, pixel_format(samples))
            for plane, values in zip(frame.planes, (samples.y, samples.u, samples.v), strict=True):
                _fill(plane, values[0])
            if t == 0:
                stream.pix_fmt = frame.format.name
                context.colorspace, context.color_primaries, context.color_trc = _TAGS[samples.matrix]
                context.color_range = 2 if samples.full_range else 1
        frame.pts, frame.time_base = t, context.time_base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def pixel_format(planes: YUVPlanes) -> str:
    """FFmpeg's name for the layout of planes, such as "yuv420p10le"."""
    return f"yuv{planes.subsampling}p" + ("10le" if planes.bit_depth == 10 else "")


def _fill(plane, samples: Tensor) -> None:
    dtype = np.dtype(np.uint8 if samples.dtype == torch.uint8 else "<i2")
    lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    lines[: plane.height, : plane.width] = samples.numpy()
