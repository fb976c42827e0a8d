"""The papers' entropy model, in floats: a hyperprior, the temporal context and earlier latents fused, then a quadtree.

    hyper-latents, context, latents of the frame before --fusion--> quantiser step, mean, scale class          (step 1)
    these, and the latents decoded so far               --spatial prior--> mean, scale class               (steps 2 to 4)

The latents of frames and those of learned motion have one each. Streams made with it are marked as not portable.

Source: DCVC-DC (Li et al. 2023), section 3.4, and its official code. There the networks give scales themselves, here, as
in the rest of this library, their logarithms, as positions among the scale classes; and a quantiser step of 1 is where it
starts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context_prior import ContextPrior
from codec_lib.codecs.conditional.reference import Reference
from codec_lib.entropy.density import DENSITIES
from codec_lib.entropy.factorised import FactorisedDensity
from codec_lib.entropy.priors import QUADTREE, quadtree_masks
from codec_lib.entropy.steps import code_in_steps
from codec_lib.entropy.two_step import split_head
from codec_lib.layers.blocks import SubpixelUp
from codec_lib.layers.depth_conv import DepthConvBlock

LEAST_STEP = 0.5
"""Quantiser steps are never finer, in units of the encoder's output."""
START_CLASS = 20.0
"""Scale class that an untrained model expects: a standard deviation of about 1."""


def hyper_encoder(channels: int, z_channels: int, deep: bool) -> nn.Sequential:
    """Latents (N, channels, h, w) to hyper-latents (N, z_channels, h/4, w/4). deep: with two convolutions more."""
    z = z_channels
    strides = (1, 1, 2, 1, 2) if deep else (1, 2, 2)
    layers = [nn.Conv2d(channels if i == 0 else z, z, 3, stride=s, padding=1) for i, s in enumerate(strides)]
    with_rectifiers = [m for layer in layers for m in (layer, nn.LeakyReLU())]
    return nn.Sequential(*with_rectifiers[:-1])


def hyper_decoder(z_channels: int, channels: int) -> nn.Sequential:
    """Hyper-latents (N, z_channels, h/4, w/4) to what they say of the latents, (N, channels, h, w)."""
    c = channels
    return nn.Sequential(
        nn.Conv2d(z_channels, c, 3, padding=1), nn.LeakyReLU(),
        SubpixelUp(c, c), nn.LeakyReLU(),
        nn.Conv2d(c, c, 3, padding=1), nn.LeakyReLU(),
        SubpixelUp(c, c), nn.LeakyReLU(),
        nn.Conv2d(c, c, 3, padding=1),
    )


class FusedEntropyModel(nn.Module):
    """Quantiser steps, means and scale classes of latents with ``channels`` channels.

    context: network whose output, (N, context_channels, h, w), is fused too, or None. fused: width at which sources meet.
    density: see `ConditionalConfig.density`.
    """

    def __init__(self, channels: int, z_channels: int, *, context: nn.Module | None, context_channels: int, fused: int,
                 density: str):
        super().__init__()
        c, known = channels, channels + context_channels
        self.channels, self.bits = channels, DENSITIES[density]
        self.z = FactorisedDensity(z_channels)
        self.h_s = hyper_decoder(z_channels, c)
        self.context = context
        self.adaptor_i = DepthConvBlock(known, fused)  # the frame before was an I frame: its latents are of another kind
        self.adaptor = DepthConvBlock(known + c, fused)
        self.fusion = nn.Sequential(DepthConvBlock(fused, 3 * c), DepthConvBlock(3 * c, 3 * c))
        self.spatial_adaptors = nn.ModuleList(nn.Conv2d(4 * c, 3 * c, 1) for _ in QUADTREE[1:])
        self.spatial = nn.Sequential(DepthConvBlock(3 * c, 3 * c), DepthConvBlock(3 * c, 3 * c), DepthConvBlock(3 * c, 2 * c))

    def features(self, z_hat: Tensor, y_ref: Tensor | None, context: Tensor | None) -> Tensor:
        """Parameters (N, 3 C, h, w) from hyper-latents (N, C_z, h/4, w/4), the latents of the frame before (N, C, h, w), None after
        an I frame, and the context."""
        known = [self.h_s(z_hat)]
        if self.context is not None:
            known.append(self.context(context))
        if y_ref is not None:
            known.append(y_ref)
        return self.fusion((self.adaptor_i if y_ref is None else self.adaptor)(torch.cat(known, dim=1)))

    def quant_step(self, features: Tensor) -> Tensor:
        """Quantiser step of each latent, (N, C, h, w)."""
        return (1 + features[:, : self.channels]).clamp_min(LEAST_STEP)

    def head(self, step: int, features: Tensor, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        """Means and class positions, (N, C, h, w), in quantiser steps; y_hat: latents decoded so far, in steps, zero elsewhere."""
        if step == 0:
            found = features[:, self.channels :]
        else:
            found = self.spatial(self.spatial_adaptors[step - 1](torch.cat([y_hat, features], dim=1)))
        mean, position = split_head(found)
        return mean, START_CLASS + position

    def code(self, y: Tensor, features: Tensor, rounded: bool) -> tuple[Tensor, Tensor]:
        """Quantise y (N, C, h, w) and estimate its bits. Returns y_hat, same shape, and bits (N,)."""
        step = self.quant_step(features)
        masks = quadtree_masks(*y.shape[1:], device=y.device)
        y_hat, bits = code_in_steps(y / step, masks, lambda k, seen: self.head(k, features, seen), rounded, self.bits)
        return y_hat * step, bits


class ContentEntropyModel(FusedEntropyModel):
    """That of a frame's latents."""

    def __init__(self, c: ConditionalConfig):
        super().__init__(c.y_channels, c.z_channels, context=ContextPrior(c, c.head_width or c.prior_width, c.y_channels),
                         context_channels=c.y_channels, fused=3 * c.y_channels, density=c.density)

    def bits_z(self, z: Tensor, u: Tensor, rounded: bool) -> Tensor:
        """Bits of hyper-latents, same shape; they are coded alike at all qualities."""
        return self.z.bits(z, rounded)

    def expect(self, z_hat: Tensor, reference: Reference, nodes: Tensor | None, u: Tensor, context: Tensor, rounded: bool
               ) -> Tensor:
        """As `prior.TemporalEntropyModel.expect`. Nodes and qualities are not looked at."""
        return self.features(z_hat, None if reference.feature is None else reference.y_hat, context)
