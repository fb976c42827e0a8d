"""ControlNet: a second encoder that tells a diffusion model what it should draw.

A copy of the denoiser's encoder sees the noisy state and a hint, and its features are added to the denoiser's skip connections
through convolutions that start at zero. So at first nothing changes, and the prior is as good as before; then it learns to
follow the hint (Zhang et al. 2023). DiffVC's hint is the decoded latent y_hat with the largest temporal context C0
(papers.md 1.5). Both lie at the denoiser's own resolution, so the stem that brings pictures down to it is replaced by one of
stride 1.
"""

from __future__ import annotations

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.layers.blocks import zeroed


class LatentStem(nn.Module):
    """Hint (N, channels, h, w) to (N, out, h, w): two convolutions, and a third that starts at zero."""

    def __init__(self, channels: int, width: int, out: int):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.conv_out = zeroed(nn.Conv2d(width, out, 3, padding=1))

    def forward(self, hint: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.middle(F.silu(self.conv_in(hint)))))


class Control(nn.Module):
    """Diffusers' `ControlNetModel` of a denoiser, with a stem for hints at latent resolution.

    denoiser: whose encoder is copied. hint_channels: of y_hat and C0 together. width: of the stem.
    """

    def __init__(self, denoiser: Denoiser, hint_channels: int, width: int = 96):
        super().__init__()
        self.network = ControlNetModel.from_unet(denoiser.network)
        self.network.controlnet_cond_embedding = LatentStem(hint_channels, width, denoiser.config.widths[0])

    def forward(self, y_n: Tensor, timestep: Tensor | int, context: Tensor, y_hat: Tensor, c0: Tensor
                ) -> tuple[tuple[Tensor, ...], Tensor]:
        """What to add to the denoiser's skip connections and to its middle.

        y_n: noisy latents (N, C, h, w). timestep, context: as for the denoiser. y_hat: decoded latents (N, C, h, w). c0: context
        (N, C_0, h, w).
        """
        hint = torch.cat([y_hat, c0.to(y_hat.dtype)], dim=1)
        down, middle = self.network(y_n, timestep, context, hint, return_dict=False)
        return tuple(down), middle
