"""Detail that an autoencoder cannot show, carried along from the I frame.

An autoencoder with few channels bounds what anything behind it can show. But an I frame is coded as a picture, so encoder and
decoder have what the autoencoder loses of it, and where the decoded motion says that something has only moved, that detail has
moved along:

    x_hat_t = D(y_hat_t) + g_t * d_t,    d_t = warp(d_{t-1}, v_t),    d = x_hat - D(E(x_hat)) at the I frame.

It costs no bits. g_t in (0, 1) is how far the detail is believed: it has to go where something was uncovered or has changed. Since
the next frame is predicted from x_hat_t, what moves keeps its detail, too. DiffVC has nothing like it; its autoencoder, Stable
Diffusion's, loses less.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.layers.warping import warp

WIDTH, CELL = 32, 2
"""Of the gate: its channels, and the side of the cells that it looks at together."""
BELIEF = 3.0
"""Where the gate begins, before the logistic function: at 0.95 everywhere."""


class Carried(NamedTuple):
    """The last I frame, moved to where a P frame has it. detail: what the autoencoder loses of it; smooth: what it shows of it; both
    float (N, 3, H, W) on the 0..1 scale, their sum being the I frame."""

    detail: Tensor
    smooth: Tensor

    def moved(self, flow: Tensor) -> Carried:
        """By one frame's decoded motion, (N, 2, H, W) in pixels."""
        return Carried(*warp(torch.cat(self, dim=1), flow, "spline").chunk(2, dim=1))


class Gate(nn.Module):
    """Adds to what a latent alone shows, (N, 3, H, W), as much as is believed of what is carried. H, W: multiples of `CELL`."""

    def __init__(self):
        super().__init__()
        self.conv_in = nn.Conv2d(9 * CELL**2, WIDTH, 3, padding=1)
        self.middle = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv_out = nn.Conv2d(WIDTH, 3 * CELL**2, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.constant_(self.conv_out.bias, BELIEF)

    def belief(self, alone: Tensor, carried: Carried) -> Tensor:
        """g_t, (N, 3, H, W) in (0, 1)."""
        seen = F.pixel_unshuffle(torch.cat([alone, alone - carried.smooth, carried.detail], dim=1), CELL)
        return F.pixel_shuffle(self.conv_out(F.silu(self.middle(F.silu(self.conv_in(seen))))), CELL).sigmoid()

    def forward(self, alone: Tensor, carried: Carried | None) -> Tensor:
        """The picture (N, 3, H, W), not clamped; carried: None where there is nothing."""
        return alone if carried is None else alone + self.belief(alone, carried) * carried.detail
