"""Where the linear block transforms of the `conditional` codec start, and how large their coefficients are likely to be."""

from __future__ import annotations

import torch
from torch import Tensor

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.layers.dct import block_basis, plane_basis


def basis(c: ConditionalConfig) -> Tensor:
    """(C_y, C block^2), orthonormal rows: a DCT of frames by expected variance, of other signals each channel by itself."""
    if c.signal_channels == 3:
        return block_basis(c.block, c.y_channels)[0]
    return plane_basis(c.block, c.signal_channels, c.y_channels)


def spread(c: ConditionalConfig) -> Tensor:
    """Rough standard deviation of each coefficient, (C_y,); of other signals than frames one, as autoencoders scale them."""
    if c.signal_channels == 3:
        return block_basis(c.block, c.y_channels)[1]
    return torch.ones(c.y_channels)
