"""A density for each channel whose shape is learned: what hyper-latents are coded with when nothing else is known of them.

The cumulative distribution is a chain of increasing functions, x -> softplus(h) x + b, then x + tanh(a) tanh(x), and at the end a
sigmoid. Its table of integers is made once, when the checkpoint is written.

Source: Balle et al. 2018, appendix 6.1, with one unit a layer, as the DCVC codecs have it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.entropy.integer import LIMIT, round_through
from codec_lib.entropy.tables import CodingTables, integer_counts

LAYERS = 4
LEAST = 2.0**-30
"""No symbol is taken to be less likely: its bits stay finite, and coders have an escape for it."""


class FactorisedDensity(nn.Module):
    """Distributions of ``channels`` independent channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.slope = nn.Parameter(0.01 * torch.randn(LAYERS, channels))
        self.shift = nn.Parameter(0.01 * torch.randn(LAYERS, channels))
        self.bend = nn.Parameter(0.01 * torch.randn(LAYERS - 1, channels))

    def bits(self, z: Tensor, rounded: bool) -> Tensor:
        """Bits of hyper-latents z (N, C, H, W), same shape: under additive noise or, with ``rounded``, of the rounded ones.

        As in `codec_lib.entropy.steps.symbol_bits`, rounded values have the gradient of noisy ones.
        """
        noisy = z + torch.rand_like(z) - 0.5
        if not rounded:
            return self._bits(noisy, self.slope, self.shift, self.bend)
        soft = self._bits(noisy, self.slope.detach(), self.shift.detach(), self.bend.detach())
        return self._bits(round_through(z).detach(), self.slope, self.shift, self.bend) + soft - soft.detach()

    @staticmethod
    def _bits(z: Tensor, slope: Tensor, shift: Tensor, bend: Tensor) -> Tensor:
        upper, lower = (_logit(z + half, slope, shift, bend) for half in (0.5, -0.5))
        side = -torch.sign(upper + lower).detach()  # differences of sigmoids are precise on the lower tail only
        mass = torch.sigmoid(side * upper) - torch.sigmoid(side * lower)
        return -torch.log2(mass.abs().clamp_min(LEAST))

    @torch.no_grad()
    def tables(self) -> CodingTables:
        """A table of integers for each channel, over -LIMIT to LIMIT: made to be shipped."""
        edges = torch.arange(-LIMIT, LIMIT + 2, dtype=torch.float64) - 0.5
        parameters = (p.double().cpu() for p in (self.slope, self.shift, self.bend))
        cdf = torch.sigmoid(_logit(edges.expand(1, self.slope.shape[1], 1, -1), *parameters))[0, :, 0].numpy()
        outside = cdf[:, 0] + 1 - cdf[:, -1]
        return CodingTables([integer_counts(np.append(np.diff(row).clip(min=0), o)) for row, o in zip(cdf, outside, strict=True)],
                            [-LIMIT] * len(cdf))


def _logit(x: Tensor, slope: Tensor, shift: Tensor, bend: Tensor) -> Tensor:
    """Logit of the cumulative distribution at x (N, C, H, W)."""
    for layer in range(LAYERS):
        h, b = (p[layer][:, None, None] for p in (slope, shift))
        x = x * F.softplus(h) + b
        if layer < LAYERS - 1:
            x = x + torch.tanh(bend[layer])[:, None, None] * torch.tanh(x)
    return x
