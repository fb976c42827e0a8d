"""From a drawn latent to the picture that is shown, at lab size with the last I frame at hand.

An autoencoder with few channels bounds what anything behind it can show, and a small network that draws does harm where there is
nothing to be drawn. But the I frame was coded as a picture, and where the decoded motion says that something has only moved, or
nothing has, it is still the best that there is. It falls into what the autoencoder shows of it and the detail that is lost,

    s = D(E(x_hat)),    d = x_hat - s    at the I frame;    s_t = warp(s_{t-1}, v_t),    d_t = warp(d_{t-1}, v_t)    after it,

and both are blended with what is drawn, after that has been held back where nothing is to be drawn:

    b_t = D(y_hat_t) + k_t * (D(y_t) - D(y_hat_t)),    shown_t = b_t + g_t * d_t + h_t * (s_t - b_t).

It costs no bits and, unless the profile says otherwise, stays out of the coding loop. k_t in (0, 1) is how far the drawing is believed, g_t how far the detail, h_t how far
the rest of the I frame, which has to go where something was uncovered or has changed. D(y_hat_t), the picture of the decoded latent,
tells them where that is; what has come far since the I frame, or long ago, is less to be trusted than what has stood still; and where the
I frame has no texture, none should be drawn, though the decoded latent looks the same where texture is lost and where there never was
any. DiffVC has nothing like it; its autoencoder, Stable Diffusion's, loses less, and its denoiser knows more.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.layers.warping import warp

WIDTH, CELL, DILATION = 32, 2, 3
"""Of the gates: their channels, the side of the cells that they look at together, and how far apart the second layer looks at cells."""
FAR = 8.0
"""Pixels or frames that are half way to infinity for the gates."""
BELIEF = 3.0, -3.0, 3.0
"""Where g_t, h_t and k_t begin, before the logistic function: at 0.95, 0.05 and 0.95 everywhere."""


class Carried(NamedTuple):
    """The last I frame, moved to where a P frame has it. detail: what the autoencoder loses of it; smooth: what it shows of it; both
    float (N, 3, H, W) on the 0..1 scale, their sum being the I frame. history: how far what is at a place has come since, in pixels and
    in frames, (N, 2, H, W)."""

    detail: Tensor
    smooth: Tensor
    history: Tensor

    def moved(self, flow: Tensor) -> Carried:
        """By one frame's decoded motion, (N, 2, H, W) in pixels."""
        detail, smooth, history = warp(torch.cat(self, dim=1), flow, "spline").split((3, 3, 2), dim=1)
        way = flow.norm(dim=1, keepdim=True)
        return Carried(detail, smooth, history.clamp(min=0) + torch.cat([way, torch.ones_like(way)], dim=1))


def carried(space: Latents, x_hat: Tensor) -> Carried:
    """Of an I frame x_hat (N, 3, H, W) in [0, 1]."""
    smooth = space.picture(space.signal(x_hat))
    return Carried(x_hat - smooth, smooth, torch.zeros_like(x_hat[:, :2]))


class Gates(nn.Module):
    """g_t, h_t and k_t, begun at `BELIEF` everywhere: two 3x3 convolutions and a 1x1 on cells of `CELL` x `CELL` pixels. They read what was
    drawn, what was decoded, and what is carried.

    Pixels between the middles of cells are interpolated, and all colours have the same value. Gates with a value of its own for each
    pixel of a cell learned to alternate between them: a chequered blend pleases LPIPS, from wherever it is looked at, and no viewer.
    """

    def __init__(self):
        super().__init__()
        self.conv_in = nn.Conv2d(14 * CELL**2, WIDTH, 3, padding=1)
        self.middle = nn.Conv2d(WIDTH, WIDTH, 3, padding=DILATION, dilation=DILATION)
        self.conv_out = nn.Conv2d(WIDTH, len(BELIEF), 1)
        nn.init.zeros_(self.conv_out.weight)
        with torch.no_grad():
            self.conv_out.bias.copy_(torch.tensor(BELIEF))

    def beliefs(self, drawn: Tensor, decoded: Tensor, of: Carried) -> tuple[Tensor, Tensor, Tensor]:
        """g_t, h_t and k_t, (N, 1, H, W) each, in (0, 1). Arguments as below."""
        history = of.history / (of.history + FAR)
        seen = F.pixel_unshuffle(torch.cat([drawn, decoded - drawn, decoded - of.smooth, of.detail, history], dim=1), CELL)
        found = self.conv_out(F.silu(self.middle(F.silu(self.conv_in(seen)))))
        return F.interpolate(found, scale_factor=CELL, mode="bilinear").sigmoid().chunk(len(BELIEF), dim=1)

    def forward(self, drawn: Tensor, decoded: Tensor, of: Carried) -> Tensor:
        """Pictures that are shown, (N, 3, H, W), not clamped. drawn, decoded: pictures of the drawn and of the decoded latent, H and W
        multiples of `CELL`. of: what is carried."""
        g, h, k = self.beliefs(drawn, decoded, of)
        base = decoded + k * (drawn - decoded)
        return base + g * of.detail + h * (of.smooth - base)
