"""Symbols of a latent to bytes and back, in the steps of a spatial prior: what real encoders and decoders run.

It works on any probability path that offers

    masks(C, H, W, device)            what is decoded in each step (`codec_lib.entropy.priors`)
    step(index, features, y16)        mean (in sixteenths) and scale class of every latent, knowing the features and the latents
                                      decoded so far (in sixteenths, zero elsewhere)

with classes of one set of coding tables. `codec_lib.entropy.steps` is the same in the form that is trained.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.density import MEAN_FRAC
from codec_lib.entropy.quantise import quantise, rounding_thresholds
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables

UNIT = 2**MEAN_FRAC
SYMBOL_LIMIT = 2**15 - 1


class Quantised(NamedTuple):
    """symbols int32 and classes uint8, numpy (N, C, H, W); y16: the decoded latent in sixteenths, tensor (N, C, H, W)."""

    symbols: np.ndarray
    classes: np.ndarray
    y16: Tensor


class LatentCoder:
    """Quantises, writes and reads latents.

    path: see above. tables: one integer table for each scale class. rdo_weight: bits that the encoder takes one squared
    quantiser step of error to be worth when it rounds; infinite: round to the nearest.
    """

    def __init__(self, path, tables: CodingTables, device: torch.device, rdo_weight: float):
        self.path, self.tables, self.device = path, tables, device
        self.thresholds = rounding_thresholds(tables, rdo_weight).to(device)

    def quantise(self, y: Tensor, features: Tensor) -> Quantised:
        """Symbols for latents y (N, C, H, W) in quantiser steps, given the features of the path."""
        symbols = classes = y16 = torch.zeros_like(y)
        for index, mask in enumerate(self.path.masks(*y.shape[1:], device=self.device)):
            mean, class_now = self.path.step(index, features, y16)
            now = self._round(y - mean / UNIT, class_now)
            symbols, classes = torch.where(mask, now, symbols), torch.where(mask, class_now, classes)
            y16 = torch.where(mask, now * UNIT + mean, y16)
        return Quantised(integers(symbols, np.int32), integers(classes, np.uint8), y16)

    def _round(self, residual: Tensor, classes: Tensor) -> Tensor:
        return quantise(residual, classes, self.thresholds).clamp(-SYMBOL_LIMIT, SYMBOL_LIMIT)

    def push(self, coder: Encoder, symbols: np.ndarray, classes: np.ndarray) -> None:
        """Write the symbols of one latent, (C, H, W)."""
        for mask in self.path.masks(*symbols.shape):
            chosen = mask[0].numpy()
            coder.push(symbols[chosen], classes[chosen], self.tables)

    def pop(self, decoders: list[Decoder], features: Tensor, channels: int, first_packet: int = 0
            ) -> tuple[np.ndarray, Tensor]:
        """Read one latent from each decoder: symbols int32 (N, C, H, W) and y16 (N, C, H, W).

        features: those of all N frames. first_packet: number of the first decoder's packet, for error messages.
        """
        shape = (channels, *features.shape[-2:])
        symbols = np.zeros((len(decoders), *shape), np.int32)
        y16 = self._float(symbols)
        for index, mask in enumerate(self.path.masks(*shape, device=self.device)):
            mean, classes = self.path.step(index, features, y16)
            chosen, classes = mask[0].cpu().numpy(), integers(classes, np.uint8)
            symbols[:, chosen] = pop_each(decoders, [c[chosen] for c in classes], self.tables, first_packet)
            y16 = torch.where(mask, self._float(symbols) * UNIT + mean, y16)
        return symbols, y16

    def _float(self, symbols: np.ndarray) -> Tensor:
        return torch.from_numpy(symbols).to(self.device).float()


def pop_each(decoders: list[Decoder], classes: list[np.ndarray], tables: CodingTables, first_packet: int) -> np.ndarray:
    """The next symbols of each decoder, (N, n). Raises CorruptStream that names the packet."""
    popped = []
    for i, (decoder, wanted) in enumerate(zip(decoders, classes, strict=True)):
        try:
            popped.append(decoder.pop(wanted, tables))
        except CorruptStream as error:
            raise CorruptStream(f"packet {first_packet + i}: {error}", packet=first_packet + i) from None
    return np.stack(popped)


def integers(x: Tensor, kind: type) -> np.ndarray:
    """A tensor of integers as a numpy array of another type."""
    return x.cpu().contiguous().numpy().astype(kind)
