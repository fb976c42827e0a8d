"""The `intra` codec: every frame of a clip coded by itself, one packet a frame, one model for 64 rates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.intra.entropy_path import UNIT, FloatEntropy, IntegerEntropy
from codec_lib.codecs.intra.model import Analysis, IntraConfig, IntraModel, Synthesis
from codec_lib.codecs.neural import RDO_WEIGHT, STRIDE, NeuralCodec, Read
from codec_lib.codecs.protocol import Progress
from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.container import Packet, StreamHeader, check_digest, latent_digest
from codec_lib.entropy.integer import LIMIT
from codec_lib.entropy.latent_coder import LatentCoder, Quantised, integers, pop_each
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables
from codec_lib.layers.blocks import relative
from codec_lib.video.clip import Video
from codec_lib.video.padding import pad_to_multiple

BATCH_PIXELS = 2**21
"""Pixels that go through the networks at once, at most (unless a single frame has more): about 1 GB at work."""


class IntraCodec(NeuralCodec):
    """Real streams from a trained `IntraModel`.

    model: float networks; of them `g_a` and `h_a` are used by the encoder and `g_s` by the decoder.
    entropy: the probability path (`IntegerEntropy`, or `FloatEntropy` for streams that are not portable).
    tables: one integer table for each scale class.
    checkpoint, device, channels_last: see `NeuralCodec`.
    batch: frames that go through the networks together; changes speed and memory, never symbols.
    rdo_weight: see `LatentCoder`.
    """

    name = "intra"

    def __init__(self, model: IntraModel, entropy: IntegerEntropy | FloatEntropy, tables: CodingTables,
                 checkpoint: bytes, *, profile: str = "lab", device: str = "cpu", batch: int = 4,
                 channels_last: bool = True, rdo_weight: float = RDO_WEIGHT):
        self.config: IntraConfig = model.config
        self.batch = batch
        self.g_a: Analysis = model.g_a
        self.h_a = model.h_a
        self.g_s: Synthesis = model.g_s
        super().__init__([self.g_a, self.h_a, self.g_s, entropy], checkpoint, profile, self.config.n_qualities, device,
                         channels_last)
        self.entropy, self.tables = entropy, tables
        self.latent_coder = LatentCoder(entropy, tables, self.device, rdo_weight)
        entropy.check()

    @property
    def portable(self) -> bool:
        return self.entropy.portable

    # ---- encoding

    @torch.inference_mode()
    def encode(self, video: Video, quality: int, progress: Progress | None = None) -> bytes:
        """See `Codec.encode`. Any size from 1x1 up; sides are padded to multiples of 64 by repeating the border."""
        self.check_quality(quality)
        packets = []
        batch = self._batch(video.width, video.height)
        for start in range(0, len(video), batch):
            z_hat, y_sym, y_class = self.latents(video.frames[start : start + batch], quality)
            for z, s, c in zip(z_hat, y_sym, y_class, strict=True):
                coder = Encoder(self.tables)
                self.push(coder, z, s, c, quality)
                packets.append(Packet(coder.finish(), latent_digest(z, s)))
            if progress:
                progress(len(packets), len(video))
        return self.stream(video, quality, packets)

    @torch.inference_mode()
    def latents(self, frames: Tensor, quality: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Symbols of uint8 frames (N, 3, H, W): z_hat (N, C_z, h, w), y symbols and their classes (N, C_y, 4h, 4w)."""
        z_hat, quantised = self.quantise(frames, quality)
        return z_hat, quantised.symbols, quantised.classes

    @torch.inference_mode()
    def quantise(self, frames: Tensor, quality: int) -> tuple[np.ndarray, Quantised]:
        """Hyper-latents (N, C_z, h, w) and quantised latents of uint8 frames (N, 3, H, W)."""
        x, _ = pad_to_multiple(frames.to(self.device).float() / 255, STRIDE)
        u = relative(quality, self.config).to(self.device)
        y = self.g_a(x.contiguous(memory_format=self.layout), u)
        z_hat = self.h_a(y).round().clamp(-LIMIT, LIMIT)
        quantised = self.latent_coder.quantise(y, self.entropy.features(z_hat, quality))
        return integers(z_hat, np.int32), quantised

    def push(self, coder: Encoder, z: np.ndarray, symbols: np.ndarray, classes: np.ndarray, quality: int) -> None:
        """Write the hyper-latents and latents of one frame."""
        coder.push(z.ravel(), self.z_classes(z.shape, quality), self.tables)
        self.latent_coder.push(coder, symbols, classes)

    def z_classes(self, shape: tuple[int, ...], quality: int) -> np.ndarray:
        """Class of each hyper-latent of a frame, flat; shape: (C_z, h, w)."""
        return np.repeat(integers(self.entropy.z_classes(quality), np.uint8), shape[1] * shape[2])

    # ---- decoding

    def read(self, header: StreamHeader, packets: list[Packet], salvaged: bool) -> Iterator[Read]:
        """See `NeuralCodec.read`."""
        for symbols, y16 in self._symbols(header, packets, salvaged):
            yield Read(list(zip(*symbols, strict=True)), partial(self.picture, y16, header.quality))

    def _symbols(self, header: StreamHeader, packets: list[Packet], salvaged: bool = False
                 ) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], Tensor]]:
        """Decode packets batch by batch: ((z, y symbols), y_hat in sixteenths), each (n, C, ., .)."""
        batch = 1 if salvaged else self._batch(header.width, header.height)  # a bad packet must not cost its neighbours
        for start in range(0, len(packets), batch):
            yield self._decode_batch(packets[start : start + batch], start, header)

    def _batch(self, width: int, height: int) -> int:
        """Frames at once: ``batch``, or fewer where frames are large, so that memory stays bounded."""
        return max(1, min(self.batch, BATCH_PIXELS // (width * height)))

    def _decode_batch(self, packets: list[Packet], index: int, header: StreamHeader):
        decoders = [Decoder(p.payload, self.tables) for p in packets]
        z, symbols, y16 = self.pop(decoders, header.height, header.width, header.quality, index)
        for i, (d, p) in enumerate(zip(decoders, packets, strict=True)):
            check_digest(p, index + i, z[i], symbols[i])
            d.check_exhausted()
        return (z, symbols), y16

    @torch.inference_mode()
    def pop(self, decoders: list[Decoder], height: int, width: int, quality: int, index: int = 0
            ) -> tuple[np.ndarray, np.ndarray, Tensor]:
        """Read one frame of the given size from each decoder: z, y symbols, and y_hat in sixteenths."""
        c = self.config
        z_shape = (c.z_channels, -(-height // STRIDE), -(-width // STRIDE))
        z = pop_each(decoders, [self.z_classes(z_shape, quality)] * len(decoders), self.tables, index).reshape(-1, *z_shape)
        if np.abs(z).max() > LIMIT:
            raise CorruptStream("hyper-latents are out of range", packet=index)
        z_hat = torch.from_numpy(z).to(self.device).float().contiguous(memory_format=self.layout)
        symbols, y16 = self.latent_coder.pop(decoders, self.entropy.features(z_hat, quality), c.y_channels, index)
        return z, symbols, y16

    @torch.inference_mode()
    def picture(self, y16: Tensor, quality: int) -> Tensor:
        """uint8 frames (N, 3, 16 h, 16 w) of latents in sixteenths, on the CPU."""
        u = relative(quality, self.config).to(self.device)
        x = self.g_s((y16 / UNIT).contiguous(memory_format=self.layout), u)
        return (x.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
