"""The `intra` codec: every frame of a clip coded by itself, one packet a frame, one model for 64 rates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.intra.entropy_path import UNIT, FloatEntropy, IntegerEntropy, relative
from codec_lib.codecs.intra.model import Analysis, IntraConfig, IntraModel, Synthesis
from codec_lib.codecs.protocol import Codec, Progress, until_damage
from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.container import (
    NOT_PORTABLE,
    Packet,
    StreamHeader,
    check_digest,
    latent_digest,
    read_stream,
    salvage,
    write_stream,
)
from codec_lib.entropy.integer import LIMIT
from codec_lib.entropy.latent_coder import LatentCoder, Quantised, integers, pop_each
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables
from codec_lib.video.clip import Video
from codec_lib.video.padding import crop, pad_to_multiple

STRIDE = 64
"""Frame sides are padded to multiples of this: z lies at 1/64."""
RDO_WEIGHT = 42.0
"""Chosen on training pictures. 6 / ln 2 = 8.7 would be right if errors in the latents only made the picture worse; they
also mislead the second step of the prior, and the synthesis was trained with symmetric errors."""
BATCH_PIXELS = 2**21
"""Pixels that go through the networks at once, at most (unless a single frame has more): about 1 GB at work."""


class IntraCodec(Codec):
    """Real streams from a trained `IntraModel`.

    model: float networks; of them `g_a` and `h_a` are used by the encoder and `g_s` by the decoder.
    entropy: the probability path (`IntegerEntropy`, or `FloatEntropy` for streams that are not portable).
    tables: one integer table for each scale class.
    checkpoint: first four bytes of the checkpoint's SHA-256, carried by streams.
    batch: frames that go through the networks together; changes speed and memory, never symbols.
    channels_last: memory layout of the network inputs; changes speed, never symbols.
    rdo_weight: bits that the encoder takes one squared quantiser step of error to be worth when it rounds.
    """

    name = "intra"

    def __init__(self, model: IntraModel, entropy: IntegerEntropy | FloatEntropy, tables: CodingTables,
                 checkpoint: bytes, *, profile: str = "lab", device: str = "cpu", batch: int = 4,
                 channels_last: bool = True, rdo_weight: float = RDO_WEIGHT):
        self.config: IntraConfig = model.config
        self.profile, self.device, self.batch = profile, torch.device(device), batch
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.g_a: Analysis = model.g_a
        self.h_a = model.h_a
        self.g_s: Synthesis = model.g_s
        for network in (self.g_a, self.h_a, self.g_s, entropy):
            network.eval().requires_grad_(False).to(self.device, memory_format=self.layout)
        self.entropy, self.tables, self.checkpoint = entropy, tables, checkpoint
        self.latent_coder = LatentCoder(entropy, tables, self.device, rdo_weight)
        self.qualities = range(self.config.n_qualities)
        self.default_qualities = (0, 12, 25, 38, 50, 63)
        entropy.check()

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
        header = StreamHeader(
            codec=self.name, profile=self.profile, checkpoint=self.checkpoint, width=video.width, height=video.height,
            frames=len(video), fps=Fraction(video.fps), quality=quality,
            flags=0 if self.entropy.portable else NOT_PORTABLE,
        )
        return write_stream(header, packets)

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

    @torch.inference_mode()
    def decode(self, stream: bytes, progress: Progress | None = None, *, salvaged: bool = False) -> Video:
        """See `Codec.decode`. ``salvaged``: of a damaged stream, return the frames before the damage."""
        header, packets = (salvage if salvaged else read_stream)(stream)
        self._accept(header, packets, salvaged)
        frames, (h, w) = [], (header.height, header.width)
        for _, y16 in until_damage(self._symbols(header, packets, salvaged), salvaged):
            frames.append(crop(self.picture(y16, header.quality), (h, w)))
            if progress:
                progress(sum(map(len, frames)), header.frames)
        if not frames:
            raise CorruptStream("no frame lies before the damage: nothing can be salvaged", packet=0)
        return Video(torch.cat(frames).contiguous(), header.fps, "intra")

    @torch.inference_mode()
    def symbols_sha256(self, stream: bytes) -> str:
        """SHA-256 over the symbols of all frames: z then y of each, as little-endian int16."""
        header, packets = read_stream(stream)
        self._accept(header, packets)
        total = hashlib.sha256()
        for symbols, _ in self._symbols(header, packets):
            for z, y in zip(*symbols, strict=True):
                total.update(_bytes(z, y))
        return total.hexdigest()

    def _symbols(self, header: StreamHeader, packets: list[Packet], salvaged: bool = False
                 ) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], Tensor]]:
        """Decode packets batch by batch: ((z, y symbols), y_hat in sixteenths), each (n, C, ., .)."""
        batch = 1 if salvaged else self._batch(header.width, header.height)  # a bad packet must not cost its neighbours
        for start in range(0, len(packets), batch):
            yield self._decode_batch(packets[start : start + batch], start, header)

    def _batch(self, width: int, height: int) -> int:
        """Frames at once: ``batch``, or fewer where frames are large, so that memory stays bounded."""
        return max(1, min(self.batch, BATCH_PIXELS // (width * height)))

    def _accept(self, header: StreamHeader, packets: list[Packet], salvaged: bool = False) -> None:
        """Raise a BitstreamError unless this is a stream for this codec."""
        header.require(self.name, self.profile, self.checkpoint)
        if header.quality not in self.qualities:
            raise CorruptStream(f"the header names quality {header.quality}, this codec has 0 to {self.qualities[-1]}")
        if len(packets) != header.frames and not salvaged:
            raise CorruptStream(f"{header.frames} frames are announced, {len(packets)} packets are there")

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


def _bytes(z: np.ndarray, y: np.ndarray) -> bytes:
    return z.astype("<i2").tobytes() + y.astype("<i2").tobytes()

