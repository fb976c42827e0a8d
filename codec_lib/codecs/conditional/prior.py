"""What a decoder expects of a P frame's latents, from integers alone: the trainable form.

Three sources are added up into features, on the grid of hidden activations:

    hyper-latents of this frame                                   h_s
    latents of the frame before, moved by the decoded motion      temporal (or temporal_i after an I frame)
    the features of the frame before, moved likewise              temporal
    how uneven the motion is, the quality, the step in quality    temporal, two tables

and the two steps of the dual prior read them. Through its own features a frame's prior remembers more than one frame back:
latents of a P frame are nearly all zero and say little about what the picture is like, those of the I frame say it all.
The published codecs take their temporal prior from float features of the decoder; decoders that compute them differently by one
rounding would lose the stream. Symbols cannot differ.

With `temporal_prior="context"` such features are a fourth source (`context_prior`), and nothing is rounded to integers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.config import CELL, ConditionalConfig
from codec_lib.codecs.conditional.context import STEP_ANCHORS, at_step
from codec_lib.codecs.conditional.context_prior import ContextPrior
from codec_lib.codecs.conditional.lattice import UNIT
from codec_lib.codecs.conditional.linear_start import spread
from codec_lib.codecs.conditional.reference import Reference
from codec_lib.entropy.density import CLASS_STEP, DENSITIES, N_CLASSES, SIGMA_MIN, sigma_of
from codec_lib.entropy.integer import FRAC, LIMIT, QConv2d, hyper_decoder, to_grid
from codec_lib.entropy.steps import symbol_bits
from codec_lib.entropy.two_step import HEAD_LIMIT, code_in_two_steps, compand
from codec_lib.layers.blocks import interpolate_anchors

CELL_UNITS = CELL * UNIT
"""A cell of the latent grid in steps of motion vectors."""


def shift_cells(latent: Tensor, nodes: Tensor) -> Tensor:
    """Move a latent by the decoded motion, in whole cells: each cell takes what lay where its middle points to.

    latent: (N, C, h, w). nodes: integers (N, 2, 2h + 1, 2w + 1), the lattice of spacing 8. Beyond the border the nearest
    cell counts.
    """
    height, width = latent.shape[-2:]
    middle = nodes[:, :, 1::2, 1::2].long()
    cells = torch.div(middle + CELL_UNITS // 2, CELL_UNITS, rounding_mode="floor")
    rows = (torch.arange(height, device=latent.device)[:, None] + cells[:, 1]).clamp(0, height - 1)
    columns = (torch.arange(width, device=latent.device) + cells[:, 0]).clamp(0, width - 1)
    index = (rows * width + columns).flatten(1)[:, None].expand(-1, latent.shape[1], -1)
    return latent.flatten(2).gather(2, index).view_as(latent)


def unevenness(nodes: Tensor) -> Tensor:
    """How much vectors differ around each cell: range of each component over its nine nodes, in eighths of a pixel, at most 127.

    nodes: integers (N, 2, 2h + 1, 2w + 1). Returns float32 integers (N, 2, h, w).
    """
    n = nodes.float()
    spread = F.max_pool2d(n, 3, 2) + F.max_pool2d(-n, 3, 2)
    return spread.clamp(max=LIMIT)


def hyper_encoder(c: ConditionalConfig) -> nn.Sequential:
    """h_a: latents (N, C_y, h, w) to hyper-latents (N, C_z, h/4, w/4)."""
    return nn.Sequential(
        nn.Conv2d(c.y_channels, c.prior_features, 1), nn.ReLU(),
        nn.Conv2d(c.prior_features, c.prior_features, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(c.prior_features, c.z_channels, 3, stride=2, padding=1),
    )


class TemporalEntropyModel(nn.Module):
    """Means and scale classes of a P frame's latents, made of `QConv2d` layers."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        h, f, p, y = c.hyper_width, c.prior_features, c.prior_width, c.y_channels
        self.h_s = hyper_decoder(c.z_channels, h, f)
        self.temporal = nn.Sequential(QConv2d(y + 2 + f, p, 3, relu=True), QConv2d(p, f, 3))
        self.temporal_i = nn.Sequential(QConv2d(c.intra_channels + 2, p, 1, relu=True), QConv2d(p, f, 3))
        self.quality = nn.Parameter(torch.zeros(c.anchors, f))
        self.quality_step = nn.Parameter(torch.zeros(STEP_ANCHORS, f))
        self.prior_1 = nn.Sequential(QConv2d(f, p, relu=True), QConv2d(p, 2 * y, out_limit=HEAD_LIMIT))
        self.prior_2 = nn.Sequential(
            QConv2d(f + y, p, 3, relu=True),
            QConv2d(p, p, 3, relu=True),
            QConv2d(p, 2 * y, out_limit=HEAD_LIMIT),
        )
        self.z_class = nn.Parameter(torch.full((c.anchors, c.z_channels), 3.0))
        self.context = None if c.portable else ContextPrior(c, p, f)
        self.bits = DENSITIES[c.density]
        gain = 1 / c.step(math.sqrt(c.lambda_low * c.lambda_high))
        start = (torch.log(0.3 * spread(c) * gain / SIGMA_MIN) / CLASS_STEP).clamp(4, N_CLASSES - 5)
        with torch.no_grad():
            for chain in (self.temporal, self.temporal_i):
                chain[-1].weight.mul_(0.3)
            if self.context is not None:
                self.context.second.weight.mul_(0.3)
            for head in (self.prior_1[-1], self.prior_2[-1]):
                head.bias[y:] = start / 8

    def features(self, z_hat: Tensor, y_ref: Tensor, expected: Tensor | None, nodes: Tensor, u: Tensor, u_ref: Tensor,
                 quantise: bool, context: Tensor | None = None) -> Tensor:
        """Features (N, f, H/16, W/16) on the hidden grid.

        z_hat: integers (N, C_z, H/64, W/64). y_ref: latents of the frame before (N, C, H/16, W/16). expected: its features,
        (N, f, H/16, W/16); None if it was coded by the I-frame codec. nodes: motion, integers. u, u_ref: relative qualities of
        this frame and the one before, (N,). context: the coarsest one, for a prior that looks at it.
        """
        seen = to_grid(compand(shift_cells(y_ref, nodes)), FRAC, LIMIT, quantise)
        seen = torch.cat([seen, unevenness(nodes) / 2**FRAC], dim=1)
        offset = sum(to_grid(o, FRAC, LIMIT, quantise) for o in (self.quality_offset(u), self.step_offset(u - u_ref)))
        if expected is None:
            earlier = self.temporal_i(seen)
        else:
            earlier = self.temporal(torch.cat([seen, shift_cells(expected, nodes)], dim=1))
        if self.context is not None:
            earlier = earlier + self.context(context)
        return to_grid(self.h_s(z_hat) + earlier + offset[:, :, None, None], FRAC, LIMIT, quantise)

    def expect(self, z_hat: Tensor, reference: Reference, nodes: Tensor | None, u: Tensor, context: Tensor, rounded: bool) -> Tensor:
        """`features` as training calls for them. Everything is on its grid of integers where ``rounded`` rates are wanted, unless
        the prior looks at floats anyway."""
        return self.features(z_hat, reference.y_hat.detach(), reference.expected, nodes, u, reference.u,
                             rounded and self.context is None, context)

    def code(self, y: Tensor, features: Tensor, rounded: bool) -> tuple[Tensor, Tensor]:
        """Quantise y (N, C, H/16, W/16) and estimate its bits. Returns y_hat, same shape, and bits (N,)."""
        return code_in_two_steps(y, features, self.prior_1, self.prior_2, rounded, rounded and self.context is None, self.bits)

    def bits_z(self, z: Tensor, u: Tensor, rounded: bool) -> Tensor:
        """Bits of hyper-latents, same shape."""
        return symbol_bits(z, sigma_of(self.z_position(u).expand_as(z)), rounded, self.bits)

    def quality_offset(self, u: Tensor) -> Tensor:
        """What the quality adds to the features, (N, f), before rounding."""
        return interpolate_anchors(self.quality, u)

    def step_offset(self, step: Tensor) -> Tensor:
        """What a change of relative quality since the frame before adds, (N, f), before rounding; step: (N,) in [-1, 1]."""
        return at_step(self.quality_step, step)

    def z_position(self, u: Tensor) -> Tensor:
        """Class positions of z, (N, C_z, 1, 1)."""
        return 8 * interpolate_anchors(self.z_class, u)[:, :, None, None]
