"""Building blocks: shapes, starting points and interpolation of gains."""

import torch

from codec_lib.layers.blocks import QualityScale, ResidualBottleneck, SubpixelUp, interpolate_anchors


def test_residual_bottleneck_starts_near_the_identity_and_keeps_its_shape():
    torch.manual_seed(0)
    block, x = ResidualBottleneck(16), torch.randn(2, 16, 9, 7)
    y = block(x)
    assert y.shape == x.shape
    assert 0 < (y - x).abs().mean() < 0.1 * x.abs().mean()


def test_residual_bottleneck_costs_what_its_docstring_says():
    c = 64
    weights = sum(p.numel() for p in ResidualBottleneck(c).parameters() if p.ndim == 4)
    assert weights == 3.25 * c**2


def test_subpixel_up_doubles_the_sides():
    assert SubpixelUp(8, 6)(torch.zeros(1, 8, 3, 5)).shape == (1, 6, 6, 10)


def test_gains_are_geometric_between_anchors():
    scale = QualityScale(3, anchors=2, first=1.0, last=16.0)
    gains = scale.gain(torch.tensor([0.0, 0.25, 0.5, 1.0]))
    assert torch.allclose(gains[:, 0], torch.tensor([1.0, 2.0, 4.0, 16.0]))
    x = torch.ones(4, 3, 2, 2)
    assert torch.allclose(scale(x, torch.tensor([0.0, 0.25, 0.5, 1.0]))[:, 1, 0, 0], gains[:, 1])


def test_interpolation_passes_through_every_anchor_and_is_linear_between():
    table = torch.randn(5, 3)
    assert torch.allclose(interpolate_anchors(table, torch.linspace(0, 1, 5)), table, atol=1e-6)
    middle = interpolate_anchors(table, torch.tensor([0.125]))
    assert torch.allclose(middle[0], (table[0] + table[1]) / 2, atol=1e-6)
