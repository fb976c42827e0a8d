"""Spatial priors: which latents are decoded first, and what the later ones may look at.

The two-step ("dual") prior of Li et al. 2022 (DCVC-HEM, kept in DCVC-RT) splits the channels into two
halves and the positions into a checkerboard:

    step 1: half 0 where row + column is even, half 1 where it is odd
    step 2: the other half of each

Every position has half of its channels decoded in step 1, so in step 2 each latent sees its own position in the other
channels and its four neighbours in its own.

The quadtree prior of Li et al. 2023 (DCVC-DC) splits the channels into four groups and each cell of 2x2
positions into its corners, numbered 0 1 / 2 3, and takes four steps. Group g is decoded at the corner

    step 1: g    step 2: g xor 3    step 3: g xor 2    step 4: g xor 1

so every corner has one group decoded in each step, and no group meets a corner twice.
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


QUADTREE = (0, 3, 2, 1)
"""What the group's number is xored with to give its corner, step by step."""


def quadtree_masks(channels: int, height: int, width: int, device=None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Masks of steps 1 to 4, bool (1, C, H, W); together they cover every latent exactly once.

    Channels are split into four groups of equal size, as nearly as their number allows. Cells that the border cuts keep
    the corners that they have.
    """
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None, :]
    corner = 2 * (rows % 2) + columns % 2  # (H, W)
    group = (torch.arange(channels, device=device) * 4 // channels)[:, None, None]  # (C, 1, 1)
    return tuple((corner == (group ^ turn))[None] for turn in QUADTREE)
