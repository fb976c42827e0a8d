"""The networks of the `conditional` codec together, as trained: one P frame at a time.

    frame before, feature, motion --ContextMining--> x_bar, C0, C1, C2
    x, contexts --g_a--> y --(gain, round around the mean)--> y_hat, contexts --g_s--> x_hat, feature
                         |                   ^
                        h_a                  | mean, scale class
                         z --round--> z_hat, latents of the frame before, motion: integers only

Motion is a field of integers (`lattice`), searched by the encoder (`motion_search`); no network estimates or codes it.
`forward` estimates rates; `codec_lib.codecs.conditional.codec` writes real bits.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context import ContextMining
from codec_lib.codecs.conditional.contextual import ContextualDecoder, ContextualEncoder
from codec_lib.codecs.conditional.lattice import flow_from_nodes
from codec_lib.codecs.conditional.prior import TemporalEntropyModel
from codec_lib.entropy.density import sigma_of
from codec_lib.entropy.integer import LIMIT, round_through
from codec_lib.entropy.steps import symbol_bits
from codec_lib.entropy.two_step import code_in_two_steps


class Reference(NamedTuple):
    """What a frame leaves to the next. x_hat: decoded frame (N, 3, H, W). feature: (N, F, H/4, W/4), None after an I frame.
    y_hat: its latents, (N, C, H/16, W/16). u: its relative quality, (N,)."""

    x_hat: Tensor
    feature: Tensor | None
    y_hat: Tensor
    u: Tensor


class PFrame(NamedTuple):
    """A coded P frame: what it leaves to the next, its prediction, and the bits of y and z, (N,)."""

    reference: Reference
    x_bar: Tensor
    bits_y: Tensor
    bits_z: Tensor


class ConditionalModel(nn.Module):
    """Context mining, contextual encoder and decoder, hyper-encoder and entropy model of P frames."""

    def __init__(self, config: ConditionalConfig | None = None):
        super().__init__()
        c = self.config = config or ConditionalConfig()
        self.context = ContextMining(c)
        self.g_a, self.g_s = ContextualEncoder(c), ContextualDecoder(c)
        self.h_a = nn.Sequential(
            nn.Conv2d(c.y_channels, c.prior_features, 1), nn.ReLU(),
            nn.Conv2d(c.prior_features, c.prior_features, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(c.prior_features, c.z_channels, 3, stride=2, padding=1),
        )
        self.entropy = TemporalEntropyModel(c)
        self.quantise = False

    def forward(self, x: Tensor, reference: Reference, nodes: Tensor, u: Tensor) -> PFrame:
        """x: frames (N, 3, H, W) in [0, 1], sides divisible by 64; nodes: their motion, integers (N, 2, H/8 + 1, W/8 + 1);
        u: relative qualities (N,) in [0, 1]."""
        contexts = self.context(reference.x_hat, reference.feature, flow_from_nodes(nodes), u)
        y = self.g_a(x, contexts, u)
        z = self.h_a(y).float()
        z_hat = round_through(z.clamp(-LIMIT, LIMIT))
        kind = "cuda" if x.is_cuda else "cpu"
        with torch.autocast(kind, enabled=False):  # tables come from here: float32, exact for integers
            e = self.entropy
            bits_z = symbol_bits(z, sigma_of(e.z_position(u).expand_as(z)), self.quantise)
            features = e.features(z_hat, reference.y_hat.detach(), reference.feature is None, nodes, u, reference.u, self.quantise)
            y_hat, bits_y = code_in_two_steps(y, features, e.prior_1, e.prior_2, self.quantise)
        x_hat, feature = self.g_s(y_hat, contexts, u)
        return PFrame(Reference(x_hat, feature, y_hat, u), contexts.x_bar, bits_y, bits_z.sum(dim=(1, 2, 3)))

    def lambdas(self, u: Tensor) -> Tensor:
        """Rate-distortion trade at relative quality u, log-spaced."""
        c = self.config
        return c.lambda_low * (c.lambda_high / c.lambda_low) ** u
