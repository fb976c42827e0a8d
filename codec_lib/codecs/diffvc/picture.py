"""From a drawn latent to the picture that is shown, at lab size with the detail that the autoencoder cannot show.

An autoencoder with few channels bounds what anything behind it can show. But the I frame was coded as a picture, so the decoder
has what the autoencoder loses of it, and where the decoded motion says that something has only moved, that detail has moved along:

    shown_t = D'(y_t) + g_t * d_t,    d_t = warp(d_{t-1}, v_t),    d = x_hat - D(E(x_hat)) at the I frame.

It costs no bits and stays out of the coding loop. g_t in (0, 1) is how far the detail is believed: it has to go where something
was uncovered or has changed. DiffVC has nothing like it; its autoencoder, Stable Diffusion's, loses less.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.diffusion.autoencoder import Autoencoder
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


def carried(space: Latents, x_hat: Tensor) -> Carried:
    """Of an I frame x_hat (N, 3, H, W) in [0, 1]."""
    smooth = space.picture(space.signal(x_hat))
    return Carried(x_hat - smooth, smooth)


class Gate(nn.Module):
    """g_t, (N, 3, H, W) in (0, 1), of what the latent alone shows (N, 3, H, W) and what is carried. H, W: multiples of `CELL`."""

    def __init__(self):
        super().__init__()
        self.conv_in = nn.Conv2d(9 * CELL**2, WIDTH, 3, padding=1)
        self.middle = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.conv_out = nn.Conv2d(WIDTH, 3 * CELL**2, 1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.constant_(self.conv_out.bias, BELIEF)

    def forward(self, alone: Tensor, of: Carried) -> Tensor:
        seen = F.pixel_unshuffle(torch.cat([alone, alone - of.smooth, of.detail], dim=1), CELL)
        return F.pixel_shuffle(self.conv_out(F.silu(self.middle(F.silu(self.conv_in(seen))))), CELL).sigmoid()


class PictureDecoder(nn.Module):
    """A decoder of latents that is tuned for what is drawn, and the gate of what is carried. autoencoder: not the one that the codec
    looks through, since its decoder changes in training."""

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()
        self.autoencoder, self.gate = autoencoder, Gate()

    def forward(self, latent: Tensor, of: Carried | None) -> Tensor:
        """Pictures (N, 3, H, W), not clamped, of latents (N, C, H/8, W/8). of: None to do without."""
        alone = self.autoencoder.decode(latent).float()
        return alone if of is None else alone + self.gate(alone, of) * of.detail
