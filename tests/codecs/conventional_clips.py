"""What the tests of conventional codecs share besides fixtures: names, clips with planes, a distortion."""

import numpy as np

from codec_lib.codecs import conventional
from codec_lib.video import Video, rgb_to_yuv

ENCODERS = list(conventional.ENCODERS)
NAMES = [f"{e}:{v}" for e in ENCODERS for v in conventional.VARIANTS]
MIDDLE = 3  # index among the default qualities


def with_planes(video, **how):
    return Video(video.frames, video.fps, video.name, yuv=rgb_to_yuv(video.frames, **how))


def psnr(a, b, peak=255):
    error = (a.double() - b.double()).square().mean().item()
    return 99.0 if error == 0 else 10 * np.log10(peak**2 / error)
