"""Frames in and out: files, raw YUV and Y4M, colour, padding, GOP orders, the clip catalogue."""

from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import rgb_to_yuv, yuv_to_rgb
from codec_lib.video.io import read_video

__all__ = ["Video", "YUVPlanes", "read_video", "rgb_to_yuv", "yuv_to_rgb"]
