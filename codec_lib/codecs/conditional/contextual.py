"""The contextual encoder and decoder: a frame to a latent and back, both knowing the contexts.

At each of three scales the context of that scale joins the features. At lab size a linear transform of 16x16 blocks carries the
signal, as in the `intra` codec: it starts as a DCT, and the deep part starts at zero. At paper size these are the contextual
encoder and decoder of DCVC-DC (Li et al. 2023), with its reconstruction U-Nets as the blocks of the finest scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.blocks import group
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context import Contexts, correction_scale
from codec_lib.codecs.conditional.linear_start import basis
from codec_lib.codecs.conditional.merge import Merge
from codec_lib.layers.blocks import QualityScale, SharedQualityScale, SubpixelUp, run, zeroed


class ContextualEncoder(nn.Module):
    """g_a: signal, a frame (N, 3, H, W) in [0, 1] unless a space says otherwise, and contexts to latent (N, C_y, H/16, W/16), in
    quantiser steps."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        self.coding, self.fold, self.scales, self.gain_scale = c.coding, c.fold, c.scales, c.gain_scale
        self.centre, self.block = c.centre, c.block
        width = c.signal_channels * c.fold**2
        if c.fold > 1:
            self.stem = nn.Conv2d(width, c.widths[0], 3, padding=1)
            width = c.widths[0]
        seen = []  # channels at each scale
        for i, (scale, out) in enumerate(zip(c.scales, c.widths, strict=True)):
            if i:
                self.add_module(f"down{scale}", nn.Conv2d(width, out, 3, stride=2, padding=1))
                width = out
            merge = Merge(c.analysis_merges[i], width, out, out, c.coding != "residual")
            self.add_module(f"merge{scale}", merge)
            self.add_module(f"blocks{scale}", group(c.analysis_kinds[i], merge.channels, c.analysis_blocks[i], c))
            width = merge.channels
            seen.append(width)
        self.head = _head(width, c)
        self.linear = None
        if c.linear:
            zeroed(self.head[-1] if c.halvings else self.head)
            self.linear = nn.Conv2d(c.signal_channels * c.block**2, c.y_channels, 1, bias=False)
            with torch.no_grad():
                self.linear.weight.copy_(basis(c)[:, :, None, None])
        self.gain = (SharedQualityScale(seen[c.gain_scale], c.anchors) if c.gain_scale is not None else
                     QualityScale(c.y_channels, c.anchors, first=1 / c.step(c.lambda_low), last=1 / c.step(c.lambda_high)))

    def forward(self, x: Tensor, contexts: Contexts, u: Tensor) -> Tensor:
        difference = x - contexts.x_bar
        h = F.pixel_unshuffle(difference if self.coding in ("residual", "difference") else x - self.centre, self.fold)
        if self.fold > 1:
            h = self.stem(h)
        for i, scale in enumerate(self.scales):
            if i:
                h = getattr(self, f"down{scale}")(h)
            h = getattr(self, f"merge{scale}")(h, contexts[1 + i])
            h = run(getattr(self, f"blocks{scale}"), h, u)
            if i == self.gain_scale:
                h = self.gain(h, u)
        y = self.head(h)
        if self.linear is not None:
            y = y + self.linear(F.pixel_unshuffle(x - self.centre if self.coding == "conditional" else difference, self.block))
        return self.gain(y.float(), u) if self.gain_scale is None else y.float()


class ContextualDecoder(nn.Module):
    """g_s: quantised latent and contexts to the signal, not clamped, and the feature for the next frame."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        self.coding, self.fold, self.scales, self.gain_scale = c.coding, c.fold, c.scales, c.gain_scale
        self.centre, self.block, self.masked = c.centre, c.block, c.mask or c.coding == "difference"
        channels = (c.fine_width or c.widths[0], *c.widths[1:])  # before the context joins
        self.gain = (SharedQualityScale(channels[c.gain_scale], c.anchors) if c.gain_scale is not None else
                     QualityScale(c.y_channels, c.anchors, first=c.step(c.lambda_low), last=c.step(c.lambda_high)))
        self.linear = None
        if c.linear:
            self.linear = nn.Conv2d(c.y_channels, c.signal_channels * c.block**2, 1, bias=False)
            with torch.no_grad():
                self.linear.weight.copy_(basis(c).T[:, :, None, None])
        self.head = _foot(channels[-1], c)
        width = channels[-1]
        for i, scale in reversed(list(enumerate(c.scales))):
            if i < len(c.scales) - 1:
                self.add_module(f"up{scale}", SubpixelUp(width, channels[i], c.up_kernel))
            merge = Merge(c.synthesis_merges[i], channels[i], c.widths[i], c.widths[i], c.coding != "residual")
            self.add_module(f"merge{scale}", merge)
            self.add_module(f"blocks{scale}", group(c.synthesis_kinds[i], merge.channels, c.synthesis_blocks[i], c))
            width = merge.channels
        self.tail = nn.Conv2d(width, c.signal_channels * c.fold**2, 3, padding=1)
        self.tail_scale = None
        if c.linear:
            zeroed(self.tail)
            self.tail_scale = correction_scale(c.signal_channels * c.fold**2, c)
        self.feature = nn.Identity() if width == c.feature_channels else nn.Conv2d(width, c.feature_channels, 1)

    def forward(self, y_hat: Tensor, contexts: Contexts, u: Tensor) -> tuple[Tensor, Tensor]:
        y = self.gain(y_hat, u) if self.gain_scale is None else y_hat
        h = self.head(y)
        for i, scale in reversed(list(enumerate(self.scales))):
            if i < len(self.scales) - 1:
                h = getattr(self, f"up{scale}")(h)
            if i == self.gain_scale:
                h = self.gain(h, u)
            h = run(getattr(self, f"blocks{scale}"), getattr(self, f"merge{scale}")(h, contexts[1 + i]), u)
        x = self.tail(h)
        x = F.pixel_shuffle(x if self.tail_scale is None else self.tail_scale(x, u), self.fold)
        if self.masked and contexts.moves is not None:
            x = x * torch.maximum(contexts.moves, F.interpolate(sent(y_hat), scale_factor=self.block))
        if self.linear is not None:
            x = x + F.pixel_shuffle(self.linear(y), self.block)
        start = self.centre if self.coding == "conditional" else contexts.x_bar
        return x.float() + start, self.feature(h)


def sent(y_hat: Tensor) -> Tensor:
    """1 in and around cells of which anything was sent, 0 elsewhere: float32 (N, 1, h, w), from decoded latents (N, C, h, w).

    A residual decoder that is sent nothing adds nothing that depends on the picture. One that also sees contexts would still
    correct what they show, in every frame again, and wear it away (see `context.moving`).
    """
    return F.max_pool2d((y_hat.abs().amax(dim=1, keepdim=True) >= 0.5).float(), 3, 1, 1)


def _head(width: int, c: ConditionalConfig) -> nn.Module:
    """From the coarsest scale to the latents at 1/16: a 1x1 convolution where it lies there already, else strided ones."""
    if not c.halvings:
        return nn.Conv2d(width, c.y_channels, 1)
    channels = (width, *[c.head_width] * (c.halvings - 1), c.y_channels)
    return nn.Sequential(*(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(channels, channels[1:], strict=False)))


def _foot(width: int, c: ConditionalConfig) -> nn.Module:
    """The way back: from the latents to ``width`` channels at the coarsest scale."""
    if not c.halvings:
        return nn.Conv2d(c.y_channels, width, 1)
    channels = (c.y_channels, *[c.head_width] * (c.halvings - 1), width)
    return nn.Sequential(*(SubpixelUp(a, b, c.up_kernel) for a, b in zip(channels, channels[1:], strict=False)))
