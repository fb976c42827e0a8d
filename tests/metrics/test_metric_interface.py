"""Every metric: its name and reasons, how it refuses, and that it orders distortions."""

import math
import subprocess
import sys
from dataclasses import replace

import pytest
from metric_clips import noisy, panning

from codec_lib.errors import MissingWeights, UsageError, VideoError
from codec_lib.metrics import METRICS, Undefined, metric

WITHOUT_WEIGHTS = ["psnr", "psnr-yuv", "ms-ssim", "vmaf", "xpsnr", "ssimulacra2", "e-warp"]
WITH_WEIGHTS = ["lpips", "lpips-alex", "lpips-vgg", "dists", "clip-f", "fvd"]


def test_every_metric_says_what_it_is():
    assert set(METRICS) == {*WITHOUT_WEIGHTS, *WITH_WEIGHTS}
    for name in METRICS:
        m = metric(name)
        assert m.name == name and m.better in ("higher", "lower") and m.about and isinstance(m.unit, str)
        assert (m.needs is not None) == (name in WITH_WEIGHTS)
        assert metric(name) is m


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(UsageError, match="unknown metric 'psrn'.*psnr-yuv"):
        metric("psrn")


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_available_without_weights_and_worse_is_worse(name, clip, worse, folder):
    m = metric(name)
    assert m.available() is None and m.available(clip) is None
    sign = 1 if m.better == "higher" else -1
    best, good, bad = sign * m(clip, clip), sign * m(clip, noisy(clip, 3.0)), sign * m(clip, worse)
    assert best > good > bad
    assert m(clip, worse) == sign * bad  # the same value again


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_absent_with_a_reason_without_weights(name, folder):
    m, clip = metric(name), panning(20, 176, 176, 1)
    reason = m.available(clip)
    assert f"weights get {m.needs}" in reason and "http" in reason and str(folder) in reason and "\n" not in reason
    with pytest.raises(MissingWeights) as error:
        m(clip, clip)
    assert str(error.value) == reason and error.value.exit_status == 1


@pytest.mark.parametrize("name", METRICS)
def test_clips_of_different_shape_are_refused(name, clip):
    with pytest.raises(VideoError, match="pan.*3 frames of 208x176.*2 of 208x176"):
        metric(name)(clip, clip.first(2))


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("ms-ssim", (2, 160, 300), "161x161"),
        ("vmaf", (2, 16, 64), "32x32"),
        ("ssimulacra2", (2, 6, 64), "8x8"),
        ("e-warp", (1, 64, 64), "only one"),
        ("e-warp", (2, 8, 64), "16x16"),
        ("clip-f", (1, 64, 64), "only one"),
        ("fvd", (16, 32, 32), "17 frames"),
    ],
)
def test_no_value_for_such_a_clip(name, shape, why):
    clip = panning(*shape)
    m = metric(name)
    assert why in m.undefined_for(clip)
    with pytest.raises(Undefined, match=f"{name} is not defined for 'pan'.*{why}"):
        m(clip, clip)


def test_smallest_clips_that_are_measured():
    assert 0 < metric("ms-ssim")(panning(1, 161, 161), noisy(panning(1, 161, 161), 9)) < 1
    assert 0 < metric("vmaf")(panning(2, 32, 32), noisy(panning(2, 32, 32), 9)) < 100
    assert math.isfinite(metric("ssimulacra2")(panning(1, 8, 8), noisy(panning(1, 8, 8), 9)))
    assert metric("e-warp")(panning(2, 16, 16), noisy(panning(2, 16, 16), 9)) > 0


@pytest.mark.parametrize("name", ["psnr", "ms-ssim", "vmaf", "xpsnr", "ssimulacra2"])
def test_per_frame_values_belong_to_their_frames(name, clip, worse):
    """Only the middle frame is damaged: only its value is lower than among identical clips."""
    frames = clip.frames.clone()
    frames[1] = worse.frames[1]
    first, middle, last = metric(name).per_frame(clip, replace(clip, frames=frames))
    clean = metric(name).per_frame(clip, clip)
    assert (first, last) == (clean[0], clean[2]) and middle < clean[1]


def test_importing_the_metrics_imports_none_of_their_libraries():
    code = (
        "import sys, codec_lib.metrics, codec_lib.metrics.bd; heavy = {'lpips', 'piq', 'transformers', 'cv2', 'scipy',"
        " 'pytorch_msssim', 'ssimulacra2', 'bjontegaard', 'torchvision'} & set(sys.modules);"
        " sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
