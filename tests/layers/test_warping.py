"""Warping: what it samples, and where it stops."""

import pytest
import torch

from codec_lib.layers.warping import shrink_flow, warp


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_whole_pixels_are_moved_unchanged(mode):
    x = torch.rand(2, 3, 16, 24)
    flow = torch.tensor([3.0, -2.0])[None, :, None, None].expand(2, 2, 16, 24)
    moved = warp(x, flow, mode)
    assert torch.allclose(moved[:, :, 4:, :18], x[:, :, 2:-2, 3:21], atol=2e-5)
    assert torch.allclose(warp(x, torch.zeros(2, 2, 16, 24), mode), x, atol=2e-5)


def test_bilinear_agrees_with_a_plain_loop():
    x, flow = torch.rand(1, 1, 6, 7), 3 * torch.randn(1, 2, 6, 7)
    found = warp(x, flow)[0, 0]
    for i in range(6):
        for j in range(7):
            c, r = (j + flow[0, 0, i, j]).clamp(0, 6), (i + flow[0, 1, i, j]).clamp(0, 5)
            c0, r0 = int(c), int(r)
            c1, r1, w, v = min(c0 + 1, 6), min(r0 + 1, 5), c - c0, r - r0
            p = x[0, 0]
            expected = (1 - v) * ((1 - w) * p[r0, c0] + w * p[r0, c1]) + v * ((1 - w) * p[r1, c0] + w * p[r1, c1])
            assert abs(found[i, j] - expected) < 1e-4


def test_warping_is_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert warp(torch.rand(1, 1, 8, 8).bfloat16(), torch.zeros(1, 2, 8, 8)).dtype == torch.float32


def test_a_flow_of_smaller_features_is_measured_in_their_pixels():
    assert torch.allclose(shrink_flow(torch.full((1, 2, 8, 8), 8.0), 4), torch.full((1, 2, 2, 2), 2.0))
