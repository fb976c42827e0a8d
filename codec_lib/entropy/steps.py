"""Coding a latent in the steps of a spatial prior, as training estimates it.

The masks of a prior (`codec_lib.entropy.priors`) say what is decoded when. Before each step a network gives mean and scale of
everything, knowing what the steps before have decoded; only the values of this step's latents are used.
`codec_lib.entropy.latent_coder` is the same in the form that writes and reads streams.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from codec_lib.entropy.density import gaussian_bits, sigma_of
from codec_lib.entropy.integer import round_through

Head = Callable[[int, Tensor], tuple[Tensor, Tensor]]
"""head(step, y_hat) -> means in latent steps and class positions, both (N, C, H, W). y_hat: latents decoded so far, zero
elsewhere; in step 0 nothing has been decoded."""


def code_in_steps(y: Tensor, masks: Sequence[Tensor], head: Head, rounded: bool, bits: Callable = gaussian_bits
                  ) -> tuple[Tensor, Tensor]:
    """Quantise y (N, C, H, W) around its means and estimate its bits. Returns y_hat, same shape, and bits (N,).

    masks: one a step, bool (1, C, H, W), covering every latent once. rounded: what the rate is measured on, see
    `symbol_bits`. bits: the density, `gaussian_bits` or `laplace_bits`.
    """
    mean, position = head(0, torch.zeros_like(y))
    y_hat = torch.where(masks[0], round_through(y - mean) + mean, 0.0)
    for step, mask in enumerate(masks[1:], start=1):
        mean_now, position_now = head(step, y_hat)
        mean, position = torch.where(mask, mean_now, mean), torch.where(mask, position_now, position)
        y_hat = torch.where(mask, round_through(y - mean_now) + mean_now, y_hat)
    return y_hat, symbol_bits(y - mean, sigma_of(position), rounded, bits).sum(dim=(1, 2, 3))


def symbol_bits(residual: Tensor, sigma: Tensor, rounded: bool, bits: Callable = gaussian_bits) -> Tensor:
    """Bits of each residual, same shape, by additive noise or, with ``rounded``, of the rounded one.

    The rate under additive uniform noise is the mixed estimate of Minnen and Singh 2020. It makes a latent that always
    rounds to zero cost 0.16 bits, which at low rates is more than all the real bits together. Rounding has no gradient,
    so with ``rounded`` the residuals still get that of the noise; scales get that of the real bits.
    """
    noisy = residual + torch.rand_like(residual) - 0.5
    if not rounded:
        return bits(noisy, sigma)
    soft = bits(noisy, sigma.detach())
    return bits(residual.detach().round(), sigma) + soft - soft.detach()
