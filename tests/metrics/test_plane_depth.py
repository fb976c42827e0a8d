"""Clips of different bit depth are compared in the reference's."""

import torch

from codec_lib.metrics import metric
from codec_lib.metrics.planes import at_depth, plane_pair
from codec_lib.video import Video, YUVPlanes, rgb_to_yuv


def test_ten_bit_decoder_output_is_rounded_to_the_source(clip_maker):
    clip = clip_maker(frames=2)
    source = rgb_to_yuv(clip.frames)
    wide = at_depth(source, 10)
    assert wide.y.dtype == torch.int16 and torch.equal(wide.y, source.y.short() * 4)
    # One 10-bit step up is still nearest to the same 8-bit code, two are a tie that goes up.
    for steps, expected in ((1, source.y), (2, source.y + 1)):
        nudged = YUVPlanes(wide.y + steps, wide.u, wide.v, 10)
        a, b = plane_pair(Video(clip.frames, clip.fps, "a", yuv=source), Video(clip.frames, clip.fps, "b", yuv=nudged))
        assert a is source and b.bit_depth == 8 and b.y.dtype == torch.uint8 and torch.equal(b.y, expected)


def test_the_top_code_does_not_overflow():
    top = torch.full((1, 2, 2), 1023, dtype=torch.int16)
    assert at_depth(YUVPlanes(top, top, top, 10), 8).y.unique().tolist() == [255]


def test_psnr_yuv_of_a_lossless_ten_bit_copy_is_capped(clip_maker):
    clip = clip_maker(frames=1)
    source = rgb_to_yuv(clip.frames)
    reference = Video(clip.frames, clip.fps, "a", yuv=source)
    assert metric("psnr-yuv")(reference, Video(clip.frames, clip.fps, "b", yuv=at_depth(source, 10))) == 100
