"""What DiffVC's contextual codec codes: latents of an image autoencoder, predicted through pixels.

Motion is known in pixels, and blocks of latents do not move like pictures: a shift by three pixels turns a latent into
another one altogether. So the decoded frame before is what is moved, and encoded where it has come to lie:

    predicted = E(warp(x_hat, v)) + warp(y_hat - E(x_hat), v / 8).

The second term carries along what the way through pixels has lost: where nothing moves, the prediction is y_hat itself.
DiffVC's reviews disagree on whether temporal features come from the decoded frame or from its latent; this
prediction takes both.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.diffusion.autoencoder import STRIDE, Autoencoder
from codec_lib.layers.warping import shrink_flow, warp


class Seen(NamedTuple):
    """Of the frame before: picture (N, 3, H, W) in [0, 1]; y: E(picture), (N, C, H/8, W/8); rest: what the decoded latent has
    beyond that, same shape. Where predictions do not go through pixels, y is the decoded latent, and rest None."""

    picture: Tensor
    y: Tensor
    rest: Tensor | None


class Latents(nn.Module):
    """The signal is E(x), (N, C, H/8, W/8). autoencoder: not trained here, and no part of this module's weights, since it has a
    checkpoint of its own. Predictions go the way above where c.alignment is "frame"; where it is "features", as in the paper
    profile, y_hat itself is moved, as features are."""

    def __init__(self, autoencoder: Autoencoder, c: ConditionalConfig):
        super().__init__()
        self.__dict__["autoencoder"] = autoencoder.eval().requires_grad_(False)  # past nn.Module, which would register it
        self.through_pixels = c.alignment == "frame"

    def _apply(self, fn, recurse: bool = True):
        self.autoencoder._apply(fn)  # to a device or a memory format it goes along
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def signal(self, x: Tensor) -> Tensor:
        """Latents of frames x (N, 3, H, W) in [0, 1]. No gradient passes, here and in `picture`: that of the second term above is
        what both together would have, as far as E undoes the decoder, at a part of the cost."""
        return self.autoencoder.encode(x).float()

    @torch.no_grad()
    def picture(self, signal: Tensor) -> Tensor:
        """Frames of decoded latents, not clamped."""
        return self.autoencoder.decode(signal).float()

    def seen(self, x_hat: Tensor, signal: Tensor | None) -> Seen:
        """See `Pixels.seen`."""
        x_hat = x_hat.clamp(0, 1)
        if not self.through_pixels:
            return Seen(x_hat, self.signal(x_hat) if signal is None else signal, None)
        y = self.signal(x_hat)
        return Seen(x_hat, y, torch.zeros_like(y) if signal is None else signal - y)

    def still(self, seen: Seen) -> Tensor:
        """See `Pixels.still`."""
        return seen.y if seen.rest is None else seen.y + seen.rest

    def forward(self, seen: Seen, flow: Tensor) -> Tensor:
        """See `Pixels.forward`."""
        shrunk = shrink_flow(flow, STRIDE)
        if not self.through_pixels:
            return warp(seen.y, shrunk)
        return self.signal(warp(seen.picture, flow, "spline")) + warp(seen.rest, shrunk)
