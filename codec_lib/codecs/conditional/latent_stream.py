"""Hyper-latents and latents of one frame, or of its motion, to symbols and back.

A probability path (`entropy_path`, `fused_path`) offers, besides what `LatentCoder` asks for,

    z_classes(quality)        table of each hyper-latent channel, among ``z_tables``; None stands for the tables of scale classes
    quant_step(features)      what latents are divided by before they are quantised, and multiplied with after
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.integer import LIMIT
from codec_lib.entropy.latent_coder import LatentCoder, integers, pop_each
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables

Expect = Callable[[Tensor], Tensor]
"""expect(z_hat) -> features of the path, with all else that is known already in place."""


class Latents(NamedTuple):
    """z, symbols: integers (C_z, h/4, w/4) and (C, h, w). y16: decoded latents in sixteenths (1, C, h, w). features: of the path.
    classes: of the symbols, None from a decoder."""

    z: np.ndarray
    symbols: np.ndarray
    y16: Tensor
    features: Tensor
    classes: np.ndarray | None = None


class LatentStream:
    """path: see above. tables: of the scale classes. channels, z_channels: of latents and hyper-latents. layout: memory format of
    what networks are given. rdo_weight: see `LatentCoder`. z_stride: how much smaller than the frame hyper-latents are."""

    def __init__(self, path, tables: CodingTables, channels: int, z_channels: int, device: torch.device,
                 layout: torch.memory_format, rdo_weight: float, z_stride: int = 64):
        self.z_stride = z_stride
        self.path, self.tables, self.channels, self.z_channels = path, tables, channels, z_channels
        self.device, self.layout = device, layout
        self.coder = LatentCoder(path, tables, device, rdo_weight)

    def quantise(self, y: Tensor, z: Tensor, expect: Expect) -> Latents:
        """Symbols for latents y (1, C, h, w) and hyper-latents z (1, C_z, h/4, w/4), both real."""
        z = integers(z.round().clamp(-LIMIT, LIMIT), np.int32)
        features = expect(self._carried(z))
        step = self.path.quant_step(features)
        quantised = self.coder.quantise(y / step, features)
        return Latents(z[0], quantised.symbols[0], quantised.y16 * step, features, quantised.classes[0])

    def push(self, encoder: Encoder, latents: Latents, quality: int) -> np.ndarray | None:
        """Write them. Returns the scale classes of z, None where it has tables of its own."""
        classes = self._z_classes(latents.z.shape, quality)
        encoder.push(latents.z.ravel(), classes, self._z_tables)
        self.coder.push(encoder, latents.symbols, latents.classes)
        return classes if self.path.z_tables is None else None

    def pop(self, decoder: Decoder, expect: Expect, size: tuple[int, int], quality: int, index: int) -> Latents:
        """Read those of a frame of ``size`` pixels, multiples of ``z_stride``. Raises CorruptStream that names packet ``index``."""
        shape = (self.z_channels, size[0] // self.z_stride, size[1] // self.z_stride)
        z = pop_each([decoder], [self._z_classes(shape, quality)], self._z_tables, index).reshape(1, *shape)
        if np.abs(z).max() > LIMIT:
            raise CorruptStream("hyper-latents are out of range", packet=index)
        features = expect(self._carried(z))
        symbols, y16 = self.coder.pop([decoder], features, self.channels, index)
        return Latents(z[0], symbols[0], y16 * self.path.quant_step(features), features)

    @property
    def _z_tables(self) -> CodingTables:
        return self.path.z_tables or self.tables

    def _z_classes(self, shape: tuple[int, ...], quality: int) -> np.ndarray:
        return np.repeat(integers(self.path.z_classes(quality), np.uint8), shape[1] * shape[2])

    def _carried(self, z: np.ndarray) -> Tensor:
        """Hyper-latents as encoder and decoder both hand them to networks, down to the strides, which decide how floats round."""
        return torch.from_numpy(z).to(self.device).float().contiguous(memory_format=self.layout)
