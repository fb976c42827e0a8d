"""Motion as a learned flow: estimated by SpyNet, coded as latents of an autoencoder that remembers the frame before.

    frame, reference --SpyNet--> flow --g_a--> y --entropy model--> y_hat --g_s--> flow, feature
                                       feature of the frame before    `--- latents of the frame before

Source: DCVC-DC (Li et al. 2023), motion encoder and decoder. It runs in float32 whatever autocast says: in bfloat16 a
flow of 20 pixels is known to an eighth of a pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.fused_prior import FusedEntropyModel, hyper_encoder
from codec_lib.codecs.conditional.reference import CodedMotion, MotionMemory, Reference
from codec_lib.entropy.integer import LIMIT, round_through
from codec_lib.layers.blocks import SharedQualityScale, SubpixelUp
from codec_lib.layers.depth_conv import DepthConvBlock
from codec_lib.layers.precision import in_float32
from codec_lib.layers.residual import ResidualDown, ResidualUp
from codec_lib.layers.spynet import SpyNet


class MotionEncoder(nn.Module):
    """Flow (N, 2, H, W) to latents (N, C, H/16, W/16). The feature of the frame before joins at 1/4, the quality acts at 1/2."""

    def __init__(self, channels: int, anchors: int):
        super().__init__()
        c = channels
        self.enter = nn.Sequential(ResidualDown(2, c), DepthConvBlock(c, c))
        self.gain = SharedQualityScale(c, anchors)
        self.down = ResidualDown(c, c)
        self.adaptor_i = DepthConvBlock(c, c)
        self.adaptor = DepthConvBlock(2 * c, c)
        self.leave = nn.Sequential(ResidualDown(c, c), DepthConvBlock(c, c), nn.Conv2d(c, c, 3, stride=2, padding=1))

    def forward(self, flow: Tensor, feature: Tensor | None, u: Tensor) -> Tensor:
        h = self.down(self.gain(self.enter(flow), u))
        h = self.adaptor_i(h) if feature is None else self.adaptor(torch.cat([h, feature], dim=1))
        return self.leave(h)


class MotionDecoder(nn.Module):
    """Latents (N, C, H/16, W/16) to flow (N, 2, H, W) and a feature for the next frame, (N, C, H/4, W/4)."""

    def __init__(self, channels: int, anchors: int):
        super().__init__()
        c = channels
        self.enter = nn.Sequential(DepthConvBlock(c, c), ResidualUp(c, c), DepthConvBlock(c, c), ResidualUp(c, c),
                                   DepthConvBlock(c, c))
        self.up = ResidualUp(c, c)
        self.gain = SharedQualityScale(c, anchors)
        self.leave = nn.Sequential(DepthConvBlock(c, c), SubpixelUp(c, 2))

    def forward(self, y_hat: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.enter(y_hat)
        return self.leave(self.gain(self.up(feature), u)), feature


class LearnedMotion(nn.Module):
    """Flow estimation, encoder, hyper-encoder, entropy model and decoder of motion."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        n = c.motion_channels
        self.estimate = SpyNet(c.flow_widths)
        self.g_a = MotionEncoder(n, c.anchors)
        self.h_a = hyper_encoder(n, n, deep=True)
        self.entropy = FusedEntropyModel(n, n, context=None, context_channels=0, fused=2 * n, density=c.density)
        self.g_s = MotionDecoder(n, c.anchors)

    def forward(self, x: Tensor, reference: Reference, nodes: Tensor | None, u: Tensor, rounded: bool) -> CodedMotion:
        """x: frames (N, 3, H, W) in [0, 1], sides divisible by 64; nodes: not used; u: relative qualities (N,). rounded: what
        bits are measured on."""
        memory, e = reference.motion, self.entropy
        with in_float32(x):
            y = self.latents(x.float(), reference.x_hat.float(), memory and memory.feature, u)
            z = self.h_a(y)
            bits_z = e.z.bits(z, rounded)
            features = e.features(round_through(z.clamp(-LIMIT, LIMIT)), memory and memory.y_hat, None)
            y_hat, bits_y = e.code(y, features, rounded)
            flow, feature = self.g_s(y_hat, u)
        return CodedMotion(flow, MotionMemory(feature, y_hat), bits_y + bits_z.sum(dim=(1, 2, 3)))

    def latents(self, x: Tensor, x_ref: Tensor, feature: Tensor | None, u: Tensor) -> Tensor:
        """Latents of the motion between two frames. feature: left by the motion before, None after an I frame."""
        return self.g_a(self.estimate(x, x_ref), feature, u)
