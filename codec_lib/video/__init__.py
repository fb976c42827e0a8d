"""Frames in and out: files, raw YUV and Y4M, colour, padding, GOP orders, the clip catalogue."""

from codec_lib.video.catalogue import CATALOGUE, clips, find_clips, iter_clips
from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import rgb_to_yuv, yuv_to_rgb
from codec_lib.video.gop import CodedFrame, low_delay, random_access
from codec_lib.video.io import check_video_output, read_video, write_video
from codec_lib.video.padding import crop, pad_to_multiple

__all__ = [
    "CATALOGUE",
    "CodedFrame",
    "Video",
    "YUVPlanes",
    "check_video_output",
    "clips",
    "crop",
    "find_clips",
    "iter_clips",
    "low_delay",
    "pad_to_multiple",
    "random_access",
    "read_video",
    "rgb_to_yuv",
    "write_video",
    "yuv_to_rgb",
]
