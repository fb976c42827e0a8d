"""Blocks taken from DCVC-DC: as large as published, and doing what their docstrings say."""

import pytest
import torch

from codec_lib.layers.blocks import SharedQualityScale, SubpixelUp
from codec_lib.layers.depth_conv import DepthConvBlock
from codec_lib.layers.offset_diversity import OffsetDiversity
from codec_lib.layers.residual import NarrowResidual, Residual, ResidualDown, ResidualUp
from codec_lib.layers.spynet import SpyNet
from codec_lib.layers.unet import UNet
from codec_lib.layers.warping import warp


def size(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("make, expected", [
    (SpyNet, 960_200),
    (lambda: UNet(48), 1_008_672),
    (lambda: OffsetDiversity(48, 3, hidden=64, groups=16), 123_248),
    (lambda: Residual(48), 2 * (9 * 48 * 48 + 48)),
    (lambda: NarrowResidual(192), 332_064),
    (lambda: DepthConvBlock(384, 384), 1_087_360),
    (lambda: DepthConvBlock(384, 256), 874_368),
    (lambda: ResidualDown(2, 64), 38_336),
    (lambda: ResidualUp(64, 64), 70_208),
])
def test_blocks_have_the_published_number_of_parameters(make, expected):
    with torch.device("meta"):
        assert size(make()) == expected


@pytest.mark.parametrize("block, shape", [
    (lambda: Residual(8), (8, 12, 8)),
    (lambda: NarrowResidual(8), (8, 12, 8)),
    (lambda: DepthConvBlock(8, 6), (6, 12, 8)),
    (lambda: UNet(8, (4, 6, 8)), (8, 12, 8)),
    (lambda: ResidualDown(8, 6), (6, 6, 4)),
    (lambda: ResidualUp(8, 6), (6, 24, 16)),
    (lambda: SubpixelUp(8, 6, kernel=3), (6, 24, 16)),
])
def test_shapes(block, shape):
    assert block()(torch.zeros(2, 8, 12, 8)).shape == (2, *shape)


def test_spynet_adds_corrections_from_coarse_to_fine():
    torch.manual_seed(0)
    net, x, x_ref = SpyNet((4, 4, 4, 4)), torch.rand(1, 3, 32, 16), torch.rand(1, 3, 32, 16)
    with torch.no_grad():
        for level in net.levels:
            level[-1].weight.zero_()
            level[-1].bias.copy_(torch.tensor([1.0, -0.5]))
        flow = net(x, x_ref)
    assert torch.allclose(flow, torch.tensor([15.0, -7.5])[None, :, None, None].expand(1, 2, 32, 16))  # 1 + 2 + 4 + 8


def test_offset_diversity_without_offsets_is_a_masked_warp():
    torch.manual_seed(0)
    align, feature = OffsetDiversity(8, 3, hidden=6, groups=4), torch.randn(2, 8, 8, 12)
    flow, x_tilde = torch.randn(2, 2, 8, 12), torch.rand(2, 3, 8, 12)
    moved = warp(feature, flow)
    with torch.no_grad():
        align.predict[-1].weight.zero_()
        align.predict[-1].bias.zero_()
        found = align(feature, moved, x_tilde, flow)
        expected = align.fuse(torch.cat([moved, moved], dim=1) / 2)  # a mask of zero is a half
    assert torch.allclose(found, expected, atol=1e-6)


def test_offset_diversity_treats_each_frame_of_a_batch_by_itself():
    torch.manual_seed(0)
    align, feature = OffsetDiversity(8, 3, hidden=6, groups=4), torch.randn(2, 8, 8, 12)
    flow, x_tilde = 3 * torch.randn(2, 2, 8, 12), torch.rand(2, 3, 8, 12)
    with torch.no_grad():
        together = align(feature, warp(feature, flow), x_tilde, flow)
        for i in range(2):
            one = slice(i, i + 1)
            alone = align(feature[one], warp(feature[one], flow[one]), x_tilde[one], flow[one])
            assert torch.allclose(alone, together[one], atol=1e-5)


def test_shared_gains_are_a_basic_one_times_a_scale():
    gain = SharedQualityScale(3, anchors=2)
    with torch.no_grad():
        gain.log_basic.copy_(torch.tensor([1.0, 2.0, 4.0]).log())
        gain.log_gain.copy_(torch.tensor([[1.0], [16.0]]).log())
    assert torch.allclose(gain.gain(torch.tensor([0.0, 0.25])), torch.tensor([[1.0, 2, 4], [2, 4, 8]]))
    assert size(gain) == 3 + 2


def test_a_halving_block_takes_every_second_position_as_shortcut():
    torch.manual_seed(0)
    block, x = ResidualDown(3, 4), torch.randn(1, 3, 8, 6)
    strided = torch.nn.functional.conv2d(x, block.shortcut.weight, block.shortcut.bias, stride=2)
    with torch.no_grad():
        block.second.weight.zero_()
        block.second.bias.zero_()
        assert torch.allclose(block(x), strided, atol=1e-6)
    assert not [m for m in block.modules() if getattr(m, "stride", None) == (2, 2) and m.kernel_size == (1, 1)]
