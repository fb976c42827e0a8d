"""ControlNet: a second encoder that tells a diffusion model what it should draw.

A copy of the denoiser's encoder sees the noisy state and a hint, and its features are added to the denoiser's skip connections
through convolutions that start at zero. So at first nothing changes, and the prior is as good as before; then it learns to
follow the hint (Zhang et al. 2023). DiffVC's hint is the decoded latent y_hat with the largest temporal context C0.
Both lie at the denoiser's own resolution, so the stem that brings pictures down to it is replaced by one of stride 1.
"""

from __future__ import annotations

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.diffusion.process import to_data
from codec_lib.diffusion.schedule import Schedule
from codec_lib.layers.blocks import zeroed

LEVELS = 20
"""Noise levels at which a `Shortcut` is learned, and none."""
QUICKER = 10.0
"""What a `Shortcut`'s shares by level are multiplied by, so that they arrive within a few hundred steps at rates that suit gains."""
WIDTH = 32
"""Channels of the network that looks at places."""


class LatentStem(nn.Module):
    """Hint (N, channels, h, w) to (N, out, h, w): two convolutions, and a third that starts at zero."""

    def __init__(self, channels: int, width: int, out: int):
        super().__init__()
        self.conv_in = nn.Conv2d(channels, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.conv_out = zeroed(nn.Conv2d(width, out, 3, padding=1))

    def forward(self, hint: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.middle(F.silu(self.conv_in(hint)))))


class Shortcut(nn.Module):
    """Predicted clean latents, moved towards the decoded latent by a share g_n of the way between them: y + g_n (y_hat - y).

    A network that predicts noise is a poor judge of the clean latent where there is almost only noise: at the last step of Stable
    Diffusion's schedule an error of 0.07 in the noise is one of 1 in the latent, while a decoded latent is off by a few tenths. A
    large network learns to copy its hint that exactly; for the lab's there is this way round it. The share is a sum of three: what each
    channel has at `LEVELS` + 1 noise levels, others interpolated; what the prompt adds to it, since how far a decoded latent is to be
    trusted is a matter of how coarsely it was quantised; and what the place adds, since it is much better than its quality where
    nothing has moved since the I frame: two convolutions read that from the hint. What is added is learned at no noise and at the most,
    levels between interpolated. All of it begins at zero. DiffVC has nothing like it.

    context: numbers of a prompt, its tokens times their width.
    """

    def __init__(self, channels: int, hint_channels: int, context: int):
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.zeros((LEVELS + 1) * channels))
        self.listen = zeroed(nn.Linear(context, 2 * channels))
        self.look = nn.Conv2d(hint_channels, WIDTH, 3, padding=1)
        self.place = zeroed(nn.Conv2d(WIDTH, 2 * channels, 3, padding=1))

    def share(self, timestep: Tensor, context: Tensor) -> Tensor:
        """g_n before what the place adds, (N, C, 1, 1), at training steps (N,) with prompts (N, tokens, width); N may be one for either.
        Steps: 0 ... 1000."""
        place = timestep.float().reshape(-1) * (LEVELS / 1000)
        low = place.long().clamp(0, LEVELS - 1)
        table = QUICKER * self.weight.unflatten(0, (LEVELS + 1, self.channels))
        usual = torch.lerp(table[low], table[low + 1], (place - low)[:, None])
        none, most = self.listen(context.flatten(1)).float().chunk(2, dim=1)
        return (usual + torch.lerp(none, most, timestep.float().reshape(-1, 1) / 1000))[:, :, None, None]

    def local(self, timestep: Tensor, hint: Tensor) -> Tensor:
        """What the place adds to g_n, (N, C, h, w). hint: (N, hint channels, h, w)."""
        none, most = self.place(F.silu(self.look(hint))).float().chunk(2, dim=1)
        return torch.lerp(none, most, timestep.float().reshape(-1, 1, 1, 1) / 1000)

    def forward(self, y_0: Tensor, y_hat: Tensor, c0: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        """y_0: what the network predicts; y_hat: decoded latents, both (N, C, h, w). c0: context (N, C_0, h, w). context: prompts."""
        share = self.share(timestep, context) + self.local(timestep, hint_of(y_hat, c0))
        return y_0 + share * (y_hat - y_0)


def hint_of(y_hat: Tensor, c0: Tensor) -> Tensor:
    """What a ControlNet is told, (N, C + C_0, h, w), of decoded latents (N, C, h, w) and context (N, C_0, h, w)."""
    return torch.cat([y_hat, c0.to(y_hat.dtype)], dim=1)


class Control(nn.Module):
    """Diffusers' `ControlNetModel` of a denoiser, with a stem for hints at latent resolution.

    denoiser: whose encoder is copied. hint_channels: of y_hat and C0 together. width: of the stem. shortcut: whether there is a
    `Shortcut`.
    """

    def __init__(self, denoiser: Denoiser, hint_channels: int, width: int = 96, shortcut: bool = False):
        super().__init__()
        c = denoiser.config
        self.shortcut = Shortcut(c.latent_channels, hint_channels, c.context_tokens * c.context_width) if shortcut else None
        self.network = ControlNetModel.from_unet(denoiser.network)
        self.network.controlnet_cond_embedding = LatentStem(hint_channels, width, denoiser.config.widths[0])

    def forward(self, y_n: Tensor, timestep: Tensor | int, context: Tensor, y_hat: Tensor, c0: Tensor
                ) -> tuple[tuple[Tensor, ...], Tensor]:
        """What to add to the denoiser's skip connections and to its middle.

        y_n: noisy latents (N, C, h, w). timestep, context: as for the denoiser. y_hat: decoded latents (N, C, h, w). c0: context
        (N, C_0, h, w).
        """
        down, middle = self.network(y_n, timestep, context, hint_of(y_hat, c0), return_dict=False)
        return tuple(down), middle

    def predicted(self, y_0: Tensor, timestep: Tensor, context: Tensor, y_hat: Tensor, c0: Tensor) -> Tensor:
        """The clean latent that is seen, of the one that the denoiser predicts under this control, y_0; arguments as above."""
        return y_0 if self.shortcut is None else self.shortcut(y_0, y_hat, c0, timestep, context)


def clean_latent(denoiser: Denoiser, control: Control, schedule: Schedule, y_n: Tensor, n: Tensor | int, context: Tensor, y_hat: Tensor,
                 c0: Tensor) -> Tensor:
    """The clean latent (N, C, h, w), float, that a denoiser under its control sees in noisy ones y_n (N, C, h, w) of steps n of
    ``schedule``, one for all or (N,). context: prompts (N, tokens, width). y_hat, c0: decoded latents and contexts."""
    timestep = schedule.timesteps[n].to(y_n.device)
    residuals = control(y_n, timestep, context, y_hat, c0)
    y_0 = to_data(schedule, y_n, denoiser(y_n, timestep, context, residuals).float(), n, denoiser.config.prediction)
    return control.predicted(y_0, timestep, context, y_hat, c0)
