"""What is coded: frames themselves. Codecs of something else that stands for a frame bring a space of their own.

A space says what signal a frame becomes before it is coded, what picture a decoded signal is, and what the signal of a frame is
likely to be, given what is left of the frame before and the decoded motion.
"""

from __future__ import annotations

from torch import Tensor, nn

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.warping import warp


class Pixels(nn.Module):
    """The signal is the frame, (N, 3, H, W) in [0, 1]."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()
        self.mode = "spline" if c.alignment == "frame" else "bilinear"

    def signal(self, x: Tensor) -> Tensor:
        """What is coded of frames x."""
        return x

    def picture(self, signal: Tensor) -> Tensor:
        """Frames of decoded signals, not clamped."""
        return signal

    def seen(self, x_hat: Tensor, signal: Tensor | None) -> Tensor:
        """What context mining is given of the frame before. x_hat: it, decoded. signal: as it was decoded, None after an I frame."""
        return x_hat

    def still(self, seen: Tensor) -> Tensor:
        """The signal of the frame before, where it was."""
        return seen

    def forward(self, seen: Tensor, flow: Tensor) -> Tensor:
        """The signal of the frame before, moved to where things are now. flow: (N, 2, H, W) in pixels."""
        return warp(seen, flow, self.mode)
