"""The luma and chroma samples that psnr-yuv, VMAF and XPSNR compare."""

from __future__ import annotations

from codec_lib.video import rgb_to_yuv
from codec_lib.video.clip import Video, YUVPlanes


def plane_pair(reference: Video, decoded: Video) -> tuple[YUVPlanes, YUVPlanes]:
    """4:2:0 planes of both clips in one format.

    The native samples when both clips carry them and they agree in depth, matrix and range: a conventional codec is
    then measured on what it coded, without a detour through RGB. Otherwise both clips' RGB frames are converted alike,
    to 8-bit limited-range BT.709.
    """
    a, b = reference.yuv, decoded.yuv
    if a is not None and b is not None and _format(a) == _format(b) and a.subsampling == "420":
        return a, b
    return rgb_to_yuv(reference.frames), rgb_to_yuv(decoded.frames)


def _format(p: YUVPlanes) -> tuple:
    return p.subsampling, p.bit_depth, p.matrix, p.full_range, p.y.shape
