"""Colour conversion against the equations in double precision, against FFmpeg's zscale, and against itself."""

import subprocess
from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from codec_lib.errors import UsageError
from codec_lib.video import YUVPlanes, rgb_to_yuv, yuv_to_rgb
from codec_lib.video import colour as colour_module

KR_KB = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114), "bt2020": (0.2627, 0.0593)}
SIZES = [(48, 64), (47, 63), (2, 2), (1, 1), (3, 2), (1, 8), (9, 1)]


def picture(height, width, seed=0, frames=2):
    """Smooth colours with some texture, uint8 (T, 3, H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / a + i) * np.cos(y / b) for i, (a, b) in enumerate([(9, 13), (7, 5), (17, 11)])]
    base = 128 + 90 * np.stack(waves)[None] + rng.normal(0, 6, (frames, 3, height, width))
    return torch.from_numpy(base.clip(0, 255).round().astype(np.uint8))


def catmull_rom(t):
    """Keys' cubic kernel with a = -1/2."""
    t = abs(t)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t < 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


def interpolated(c, size, offset, borders):
    """c (n, m) to (size, m): samples at (i + offset) / 2, plain loops; ``borders`` says how the ends are mirrored."""
    n, out = len(c), np.zeros((size, c.shape[1]))
    for i in range(size):
        at = (i + offset) / 2
        for k in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            j = k
            while n > 1 and not 0 <= j < n:
                j = (-j - borders[0]) if j < 0 else 2 * (n - 1) + borders[1] - j
            out[i] += catmull_rom(at - k) * c[j if n > 1 else 0]
    return out


def reference_rgb(planes):
    """The equations in double precision, (T, 3, H, W), not rounded."""
    kr, kb = KR_KB[planes.matrix]
    step = 2 ** (planes.bit_depth - 8)
    offset, luma, chroma = (
        (0, 256 * step - 1, 256 * step - 1) if planes.full_range else (16 * step, 219 * step, 224 * step)
    )
    frames = []
    for y, u, v in zip(planes.y, planes.u, planes.v, strict=True):
        h, w = y.shape
        y = (y.numpy().astype(float) - offset) / luma
        c = [(p.numpy().astype(float) - 128 * step) / chroma for p in (u, v)]
        if planes.subsampling == "420":
            # Vertically chroma sample k stands at luma row 2k + 1/2, horizontally at luma column 2k.
            c = [interpolated(p, h, -0.5, (1, 1)) for p in c]
            c = [interpolated(p.T, w, 0, (0, 1 if w % 2 == 0 else 0)).T for p in c]
        cb, cr = c
        r, b = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
        frames.append(np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b]) * 255)
    return np.stack(frames)


@pytest.mark.parametrize("subsampling", ["420", "444"])
@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("matrix", ["bt709", "bt601", "bt2020"])
@pytest.mark.parametrize("full_range", [False, True])
def test_to_rgb_follows_the_equations(subsampling, bit_depth, matrix, full_range):
    rng = np.random.default_rng(1)
    top = 2**bit_depth
    dtype = torch.uint8 if bit_depth == 8 else torch.int16
    shapes = [(2, 22, 30)] + [(2, 11, 15) if subsampling == "420" else (2, 22, 30)] * 2
    y, u, v = (torch.from_numpy(rng.integers(top // 4, top * 3 // 4, s)).to(dtype) for s in shapes)
    planes = YUVPlanes(y, u, v, bit_depth, matrix, full_range)
    expected = reference_rgb(planes).clip(0, 255)
    error = np.abs(yuv_to_rgb(planes).numpy() - expected)
    assert error.max() < 0.53  # rounding, and at most 1/32 of a level before it
    assert (yuv_to_rgb(planes).numpy() != np.floor(expected + 0.5)).mean() < 0.02


@pytest.mark.parametrize("size", SIZES)
def test_odd_and_tiny_sizes(size):
    planes = rgb_to_yuv(picture(*size))
    half = (-(-size[0] // 2), -(-size[1] // 2))
    assert planes.u.shape[-2:] == half and planes.v.shape[-2:] == half
    rgb = yuv_to_rgb(planes)
    assert rgb.shape[-2:] == size
    assert np.abs(rgb.numpy() - reference_rgb(planes).clip(0, 255)).max() < 0.53


@pytest.mark.parametrize("bit_depth", [8, 10])
@pytest.mark.parametrize("matrix", ["bt709", "bt601"])
@pytest.mark.parametrize("full_range", [False, True])
def test_to_444_follows_the_equations(bit_depth, matrix, full_range):
    frames = picture(20, 24)
    planes = rgb_to_yuv(frames, subsampling="444", bit_depth=bit_depth, matrix=matrix, full_range=full_range)
    kr, kb = KR_KB[matrix]
    step = 2 ** (bit_depth - 8)
    offset, luma, chroma = (0, 256 * step - 1, 256 * step - 1) if full_range else (16 * step, 219 * step, 224 * step)
    r, g, b = (frames[:, i].numpy() / 255 for i in range(3))
    y = kr * r + (1 - kr - kb) * g + kb * b
    for have, value in (
        (planes.y, offset + luma * y),
        (planes.u, 128 * step + chroma * (b - y) / (2 * (1 - kb))),
        (planes.v, 128 * step + chroma * (r - y) / (2 * (1 - kr))),
    ):
        assert np.abs(have.numpy() - value.clip(0, 256 * step - 1)).max() < 0.51


@pytest.mark.parametrize("matrix", ["bt709", "bt601", "bt2020"])
def test_greys_stay_grey(matrix):
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    planes = rgb_to_yuv(grey, matrix=matrix)
    assert (planes.u == 128).all() and (planes.v == 128).all()
    assert planes.y.min() == 16 and planes.y.max() == 235
    assert (yuv_to_rgb(rgb_to_yuv(grey, matrix=matrix, full_range=True)) == grey).all()


@pytest.mark.parametrize("size", [(48, 64), (50, 66), (47, 63), (46, 63), (47, 64)])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_420_survives_rgb(size, bit_depth):
    """Planes whose colours RGB can hold come back within a code: rounding to 8-bit RGB is all that happens."""
    first = rgb_to_yuv(picture(*size, frames=1), bit_depth=bit_depth)
    half = (128, 50) if bit_depth == 8 else (512, 200)
    tame = replace(first, u=_calm(first.u, half), v=_calm(first.v, half), y=_calm(first.y, half))
    again = rgb_to_yuv(yuv_to_rgb(tame), bit_depth=bit_depth)
    for name in "yuv":
        a, b = getattr(tame, name).int(), getattr(again, name).int()
        if name != "y":  # at odd sizes the last chroma sample has no luma beyond it to be told by
            a, b = a[..., : size[0] // 2, : size[1] // 2], b[..., : size[0] // 2, : size[1] // 2]
        worst = 1 if bit_depth == 8 else 4  # 8-bit RGB between two 10-bit forms
        assert (a - b).abs().max() <= worst + (1 if size[0] % 2 or size[1] % 2 else 0)


def _calm(plane, half):
    middle, spread = half
    return ((plane.float() - middle) * 0.4).clamp(-spread, spread).add(middle).round().to(plane.dtype)


def test_chroma_samples_stand_where_they_should():
    """On a ramp the samples of 4:2:0 are those of 4:4:4 at column 2k, and between rows 2k and 2k+1."""
    x = torch.arange(64.0).expand(64, 64)
    for ramp in (x, x.T, x + x.T):
        ramp = ramp * 180 / ramp.max() + 30
        frames = torch.stack((ramp, torch.full((64, 64), 128.0), 250 - ramp)).round().to(torch.uint8)[None]
        whole = rgb_to_yuv(frames, subsampling="444", bit_depth=10)
        small = rgb_to_yuv(frames, bit_depth=10)
        for name in "uv":
            full, have = getattr(whole, name).float(), getattr(small, name).float()
            expected = (full[:, 0::2, 0::2] + full[:, 1::2, 0::2]) / 2
            off = (have - expected)[:, 4:-4, 4:-4]
            slope = (full[:, -1, -1] - full[:, 0, 0]).abs() / 63  # codes a pixel along the steepest way
            assert off.mean().abs() < 0.05 * slope and off.abs().max() < 4


def test_bands_do_not_show(monkeypatch):
    frames = picture(75, 40)
    whole = rgb_to_yuv(frames)
    rgb = yuv_to_rgb(whole)
    monkeypatch.setattr(colour_module, "_BAND_PIXELS", 40 * 10)
    banded = rgb_to_yuv(frames)
    assert all((getattr(whole, n) == getattr(banded, n)).all() for n in "yuv")
    assert (yuv_to_rgb(whole) == rgb).all()


def test_zscale_agrees():
    """Second opinion: FFmpeg's zscale with the same cubic and siting, on a real decoder's output."""
    planes = rgb_to_yuv(picture(64, 96, frames=2))
    raw = b"".join(p[t].numpy().tobytes() for t in range(2) for p in (planes.y, planes.u, planes.v))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "96x64"]
    command += ["-color_range", "tv", "-colorspace", "bt709", "-i", "-", "-vf"]
    command += ["zscale=min=709:rin=limited:m=gbr:r=full:cin=left:filter=bicubic:param_a=0:param_b=0.5,format=gbrp"]
    command += ["-f", "rawvideo", "-pix_fmt", "gbrp", "-"]
    done = subprocess.run(command, input=raw, capture_output=True, check=True)
    theirs = torch.from_numpy(np.frombuffer(done.stdout, np.uint8).copy()).view(2, 3, 64, 96)[:, [2, 0, 1]]
    difference = (theirs.int() - yuv_to_rgb(planes).int()).abs()[..., 4:-4, 4:-4]  # it extends borders differently
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.03


def test_full_swing_needs_no_more_than_int32():
    """The largest codes of every format come out clipped, not wrapped around."""
    for bit_depth, dtype in ((8, torch.uint8), (10, torch.int16)):
        top = 2**bit_depth - 1
        for full in (False, True):
            for y, u, v in ((top, top, top), (0, 0, 0), (top, 0, top), (0, top, 0)):
                planes = YUVPlanes(
                    *(torch.full((1, 8, 8), c, dtype=dtype) for c in (y, u, v)), bit_depth, "bt709", full
                )
                expected = reference_rgb(planes).clip(0, 255)
                assert np.abs(yuv_to_rgb(planes).numpy() - expected).max() < 0.53
                checks = torch.full((1, 4, 4), u, dtype=dtype)
                checks[:, ::2, ::2] = top - u
                sharp = replace(planes, u=checks, v=checks)
                assert np.abs(yuv_to_rgb(sharp).numpy() - reference_rgb(sharp).clip(0, 255)).max() < 0.53


def test_wrong_arguments():
    frames = picture(4, 4)
    with pytest.raises(UsageError, match="bit depth 12"):
        rgb_to_yuv(frames, bit_depth=12)
    with pytest.raises(UsageError, match="subsampling '422'"):
        rgb_to_yuv(frames, subsampling="422")
    with pytest.raises(UsageError, match="matrix 'rec709'"):
        rgb_to_yuv(frames, matrix="rec709")
