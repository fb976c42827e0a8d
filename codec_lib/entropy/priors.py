"""Spatial priors: which latents are decoded first, and what the later ones may look at.

The two-step ("dual") prior of Li et al. 2022 (DCVC-HEM, kept in DCVC-RT; papers.md 4.1) splits the channels into two
halves and the positions into a checkerboard:

    step 1: half 0 where row + column is even, half 1 where it is odd
    step 2: the other half of each

Every position has half of its channels decoded in step 1, so in step 2 each latent sees its own position in the other
channels and its four neighbours in its own.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dual_masks(channels: int, height: int, width: int, device=None) -> tuple[Tensor, Tensor]:
    """Masks of step 1 and step 2, bool (1, C, H, W); together they cover every latent exactly once."""
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None, :]
    even = (rows + columns) % 2 == 0  # (H, W)
    first_half = (torch.arange(channels, device=device) < channels // 2)[:, None, None]  # (C, 1, 1)
    first = (even == first_half)[None]
    return first, ~first
