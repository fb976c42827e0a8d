"""How a context joins the features of its scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

KERNELS = {"1x1": 1, "3x3": 3}


class Merge(nn.Module):
    """Features (N, channels, H, W) and context (N, context, H, W), concatenated, to features.

    kind: "1x1" or "3x3", a convolution to ``out`` channels; or "concatenate", nothing more. with_context: without it the
    features go on alone. ``self.channels``: width of what comes out. A 1x1 convolution does not see the context at first: training
    begins exactly as without one, and what the context brings is what it learns to bring.
    """

    def __init__(self, kind: str, channels: int, context: int, out: int, with_context: bool):
        super().__init__()
        self.with_context = with_context
        seen = channels + context if with_context else channels
        if kind == "1x1" and with_context:
            self.conv, self.channels = blind(nn.Conv2d(channels, out, 1), context), out
        elif kind in KERNELS:
            self.conv, self.channels = nn.Conv2d(seen, out, KERNELS[kind], padding=KERNELS[kind] // 2), out
        else:
            self.conv, self.channels = nn.Identity(), seen

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        return self.conv(torch.cat([h, context], dim=1) if self.with_context else h)


def blind(conv: nn.Conv2d, more: int) -> nn.Conv2d:
    """A 1x1 convolution with ``more`` further channels of input, which it does not look at yet."""
    made = nn.utils.skip_init(nn.Conv2d, conv.in_channels + more, conv.out_channels, 1, device=conv.weight.device)
    with torch.no_grad():
        made.weight.zero_()
        made.weight[:, : conv.in_channels] = conv.weight
        made.bias.copy_(conv.bias)
    return made
