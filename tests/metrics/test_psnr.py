"""PSNR by hand, against ffmpeg's filter, and on native planes."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from metric_clips import noisy, panning

from codec_lib.metrics import metric
from codec_lib.metrics.ffmpeg_filter import ffmpeg_exe, run_filter
from codec_lib.metrics.psnr import CAP_DB, psnr
from codec_lib.video import rgb_to_yuv
from codec_lib.video.clip import YUVPlanes


def by_hand(a, b, peak=255):
    error = np.mean((a.numpy().astype(np.float64) - b.numpy().astype(np.float64)) ** 2)
    return 10 * np.log10(peak**2 / error)


def test_rgb_is_the_mean_of_the_frames_decibels(clip, worse):
    frames = torch.stack([worse.frames[0], noisy(clip, 1.5).frames[1], clip.frames[2]])
    values = metric("psnr").per_frame(clip, replace(clip, frames=frames))
    assert values == pytest.approx([by_hand(clip.frames[0], frames[0]), by_hand(clip.frames[1], frames[1]), CAP_DB])
    assert metric("psnr")(clip, replace(clip, frames=frames)) == pytest.approx(sum(values) / 3)


def test_cap_lies_above_every_real_error():
    a = torch.zeros(3, 256, 448, dtype=torch.uint8)
    b = a.clone()
    assert psnr(a, b) == CAP_DB
    b[0, 0, :3] = 1
    assert 98 < psnr(a, b) < CAP_DB
    assert psnr(a, a + 255) == 0


def test_rgb_agrees_with_ffmpegs_filter(clip, worse, tmp_path):
    for video, file in ((clip, "a.rgb"), (worse, "b.rgb")):
        green_first = video.frames[:, [1, 2, 0]].contiguous()
        (tmp_path / file).write_bytes(green_first.numpy().tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", "gbrp", "-s", f"{clip.width}x{clip.height}"]
    command = [ffmpeg_exe(), "-v", "error", *raw, "-i", "b.rgb", *raw, "-i", "a.rgb"]
    subprocess.run([*command, "-lavfi", "psnr=stats_file=p.log", "-f", "null", "-"], cwd=tmp_path, check=True)
    theirs = [float(v) for v in re.findall(r"psnr_avg:(\S+)", (tmp_path / "p.log").read_text())]
    assert metric("psnr").per_frame(clip, worse) == pytest.approx(theirs, abs=0.01)
    assert len(theirs) == len(clip)


def ffmpeg_planes(reference, decoded):
    log = run_filter(reference, decoded, "psnr=stats_file=p.log", "p.log")
    return [[float(v) for v in row] for row in re.findall(r"psnr_y:(\S+) psnr_u:(\S+) psnr_v:(\S+)", log)]


def test_yuv_from_rgb_agrees_with_ffmpegs_filter(clip, worse):
    ours = metric("psnr-yuv").planes(clip, worse)
    assert np.allclose(ours, ffmpeg_planes(clip, worse), atol=0.01)
    y, u, v = np.mean(ours, axis=0)
    assert metric("psnr-yuv")(clip, worse) == pytest.approx((6 * y + u + v) / 8)


def ten_bit(planes: YUVPlanes, seed: int) -> YUVPlanes:
    g = torch.Generator().manual_seed(seed)

    def widen(p):
        return p.to(torch.int16) * 4 + torch.randint(-3, 4, p.shape, generator=g, dtype=torch.int16)

    return YUVPlanes(widen(planes.y), widen(planes.u), widen(planes.v), bit_depth=10)


@pytest.mark.parametrize("depth", [8, 10])
def test_native_planes_are_used_when_both_clips_have_them(depth):
    clip = panning(2, 66, 70)  # chroma of 33x35
    a, b = rgb_to_yuv(clip.frames), rgb_to_yuv(noisy(clip, 6).frames)
    a, b = (a, b) if depth == 8 else (ten_bit(a, 1), ten_bit(b, 2))
    reference, decoded = replace(clip, yuv=a), replace(clip, yuv=b)  # RGB frames alike: only the planes differ
    ours = metric("psnr-yuv").planes(reference, decoded)
    peak = 2**depth - 1
    hand = [[by_hand(p[t], q[t], peak) for p, q in ((a.y, b.y), (a.u, b.u), (a.v, b.v))] for t in range(2)]
    assert np.allclose(ours, hand)
    assert np.allclose(ours, ffmpeg_planes(reference, decoded), atol=0.01)
    assert metric("psnr-yuv")(reference, replace(decoded, yuv=None)) == CAP_DB
