"""The luma and chroma samples that psnr-yuv, VMAF and XPSNR compare."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from codec_lib.video import rgb_to_yuv
from codec_lib.video.clip import Video, YUVPlanes


def plane_pair(reference: Video, decoded: Video) -> tuple[YUVPlanes, YUVPlanes]:
    """4:2:0 planes of both clips in one format, of the reference's bit depth where it has planes.

    The native samples when both clips carry them and they agree in matrix and range: a conventional codec is then
    measured on what it coded, without a detour through RGB. A codec that works in 10 bits whatever it is given (VVenC) is
    rounded to the source's 8, as the JVET common test conditions do. Otherwise both clips' RGB frames are converted alike,
    to 8-bit limited-range BT.709.
    """
    a, b = reference.yuv, decoded.yuv
    if a is not None and b is not None and _format(a) == _format(b) and a.subsampling == "420":
        return a, at_depth(b, a.bit_depth)
    return rgb_to_yuv(reference.frames), rgb_to_yuv(decoded.frames)


def at_depth(planes: YUVPlanes, bit_depth: int) -> YUVPlanes:
    """The planes in 8 or 10 bits: rounded to the nearest code, or multiplied by four."""
    if planes.bit_depth == bit_depth:
        return planes

    def convert(plane: Tensor) -> Tensor:
        if bit_depth == 10:
            return plane.to(torch.int16) << 2
        return ((plane + 2) >> 2).clamp(max=255).to(torch.uint8)

    return replace(planes, y=convert(planes.y), u=convert(planes.u), v=convert(planes.v), bit_depth=bit_depth)


def _format(p: YUVPlanes) -> tuple:
    return p.subsampling, p.matrix, p.full_range, p.y.shape
