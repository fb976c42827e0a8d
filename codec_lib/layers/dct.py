"""Where the learned transforms start: the block DCT of a luma-chroma signal, largest coefficients first.

A network that must learn from noise how to invert itself spends most of its training on getting back to what JPEG knew.
So the transforms of the lab codecs are a linear block transform plus a learned correction. The linear part starts as the
orthonormal DCT, and is then trained like everything else.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

OPPONENT = ((0.57735, 0.57735, 0.57735), (0.70711, 0.0, -0.70711), (-0.40825, 0.81650, -0.40825))
"""Orthonormal luma-like axis and two colour differences, rows over R, G, B."""
LUMA_SIGMA, CHROMA_SIGMA = 0.8, 0.15
"""Rough standard deviation of the coefficient of frequency 1, pixels in [0, 1]; it falls as 1 / frequency."""


def dct_matrix(n: int) -> Tensor:
    """Orthonormal DCT-II, (n, n): row k is the basis vector of frequency k."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None, :]
    basis = torch.cos(math.pi / n * (i + 0.5) * k) * math.sqrt(2 / n)
    basis[0] /= math.sqrt(2)
    return basis


def plane_basis(block: int, channels: int, keep: int) -> Tensor:
    """The first ``keep`` vectors of a DCT of each channel by itself, low frequencies first: float32 (keep, channels * block *
    block), columns in the order of `F.pixel_unshuffle`, rows orthonormal. For channels of which nothing is known."""
    one = dct_matrix(block)
    planes = torch.einsum("ui,vj->uvij", one, one).reshape(block * block, -1)
    k = torch.arange(block)
    order = (k[:, None] ** 2 + k[None, :] ** 2).flatten().argsort(stable=True)
    return torch.einsum("fp,cd->fcdp", planes[order], torch.eye(channels, dtype=one.dtype)).reshape(-1, channels * block**2)[:keep].float()


def block_basis(block: int, keep: int) -> tuple[Tensor, Tensor]:
    """The ``keep`` block-DCT vectors of an RGB block with the largest expected variance.

    Returns the basis, float32 (keep, 3 * block * block) with columns in the order of `F.pixel_unshuffle` (colour, row,
    column), rows orthonormal; and the expected standard deviation of each coefficient, (keep,), descending.
    """
    one = dct_matrix(block)
    colour = torch.tensor(OPPONENT, dtype=torch.float64)
    colour = torch.linalg.qr(colour.T).Q.T * torch.sign((torch.linalg.qr(colour.T).Q.T * colour).sum(1, keepdim=True))
    basis = torch.einsum("pc,ui,vj->puvcij", colour, one, one).reshape(3, block, block, -1)
    k = torch.arange(block, dtype=torch.float64)
    frequency = (k[:, None] ** 2 + k[None, :] ** 2).sqrt().clamp_min(0.25)  # (u, v); the mean counts as 1/4
    sigma = torch.tensor([LUMA_SIGMA, CHROMA_SIGMA, CHROMA_SIGMA], dtype=torch.float64)[:, None, None] / frequency
    order = sigma.flatten().argsort(descending=True, stable=True)[:keep]
    return basis.reshape(-1, basis.shape[-1])[order].float(), sigma.flatten()[order].float()
