"""Where training in bfloat16 must compute in float32 all the same."""

from __future__ import annotations

import torch
from torch import Tensor


def in_float32(x: Tensor) -> torch.autocast:
    """A context without autocast, for the device of x. Tensors that come in as bfloat16 have to be widened by hand."""
    return torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False)  # meta tensors have no autocast of their own
