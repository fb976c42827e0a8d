"""The contextual encoder and decoder: a frame to a latent and back, both knowing the contexts.

At each scale the context of that scale is concatenated to the features and merged by a 1x1 convolution. As in the `intra`
codec a linear transform of 16x16 blocks, which starts as a DCT, carries the signal; the deep part starts at zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.config import BLOCK, ConditionalConfig
from codec_lib.codecs.conditional.context import FOLD, Contexts
from codec_lib.layers.blocks import QualityScale, SubpixelUp, run, scaled_blocks, zeroed
from codec_lib.layers.dct import block_basis


class Merge(nn.Module):
    """Features and context of one scale to features: 1x1 on both, concatenated. Without contexts, 1x1 on the features."""

    def __init__(self, channels: int, with_context: bool):
        super().__init__()
        self.with_context = with_context
        self.conv = nn.Conv2d(2 * channels if with_context else channels, channels, 1)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        return self.conv(torch.cat([h, context], dim=1) if self.with_context else h)


class ContextualEncoder(nn.Module):
    """g_a: frame (N, 3, H, W) in [0, 1] and contexts to latent (N, C_y, H/16, W/16), multiplied by the quantiser gain."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        w4, w8, w16 = c.widths
        self.coding, conditional = c.coding, c.coding != "residual"
        self.stem = nn.Conv2d(3 * FOLD**2, w4, 3, padding=1)
        self.merge4 = Merge(w4, conditional)
        self.blocks4 = scaled_blocks(w4, c.analysis_blocks[0], c.anchors)
        self.down8 = nn.Conv2d(w4, w8, 3, stride=2, padding=1)
        self.merge8 = Merge(w8, conditional)
        self.blocks8 = scaled_blocks(w8, c.analysis_blocks[1], c.anchors)
        self.down16 = nn.Conv2d(w8, w16, 3, stride=2, padding=1)
        self.merge16 = Merge(w16, conditional)
        self.blocks16 = scaled_blocks(w16, c.analysis_blocks[2], c.anchors)
        self.head = zeroed(nn.Conv2d(w16, c.y_channels, 1))
        self.linear = nn.Conv2d(3 * BLOCK**2, c.y_channels, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(block_basis(BLOCK, c.y_channels)[0][:, :, None, None])
        self.gain = QualityScale(c.y_channels, c.anchors, first=1 / c.step(c.lambda_low), last=1 / c.step(c.lambda_high))

    def forward(self, x: Tensor, contexts: Contexts, u: Tensor) -> Tensor:
        difference = x - contexts.x_bar
        seen = difference if self.coding == "residual" else x - 0.5
        carried = x - 0.5 if self.coding == "conditional" else difference
        h = self.merge4(self.stem(F.pixel_unshuffle(seen, FOLD)), contexts.c0)
        h = run(self.blocks4, h, u)
        h = self.merge8(self.down8(h), contexts.c1)
        h = run(self.blocks8, h, u)
        h = self.merge16(self.down16(h), contexts.c2)
        h = run(self.blocks16, h, u)
        y = self.head(h) + self.linear(F.pixel_unshuffle(carried, BLOCK))
        return self.gain(y.float(), u)


class ContextualDecoder(nn.Module):
    """g_s: quantised latent and contexts to the frame (N, 3, H, W), not clamped, and the feature for the next frame."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        w4, w8, w16 = c.widths
        self.coding, conditional = c.coding, c.coding != "residual"
        self.gain = QualityScale(c.y_channels, c.anchors, first=c.step(c.lambda_low), last=c.step(c.lambda_high))
        self.linear = nn.Conv2d(c.y_channels, 3 * BLOCK**2, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(block_basis(BLOCK, c.y_channels)[0].T[:, :, None, None])
        self.head = nn.Conv2d(c.y_channels, w16, 1)
        self.merge16 = Merge(w16, conditional)
        self.blocks16 = scaled_blocks(w16, c.synthesis_blocks[2], c.anchors)
        self.up8 = SubpixelUp(w16, w8)
        self.merge8 = Merge(w8, conditional)
        self.blocks8 = scaled_blocks(w8, c.synthesis_blocks[1], c.anchors)
        self.up4 = SubpixelUp(w8, w4)
        self.merge4 = Merge(w4, conditional)
        self.blocks4 = scaled_blocks(w4, c.synthesis_blocks[0], c.anchors)
        self.tail = zeroed(nn.Conv2d(w4, 3 * FOLD**2, 3, padding=1))
        self.feature = nn.Conv2d(w4, c.feature_channels, 1)

    def forward(self, y_hat: Tensor, contexts: Contexts, u: Tensor) -> tuple[Tensor, Tensor]:
        y = self.gain(y_hat, u)
        h = run(self.blocks16, self.merge16(self.head(y), contexts.c2), u)
        h = run(self.blocks8, self.merge8(self.up8(h), contexts.c1), u)
        h = run(self.blocks4, self.merge4(self.up4(h), contexts.c0), u)
        x = F.pixel_shuffle(self.tail(h), FOLD) + F.pixel_shuffle(self.linear(y), BLOCK)
        start = 0.5 if self.coding == "conditional" else contexts.x_bar
        return x.float() + start, self.feature(h)
