"""What all neural codecs of the book do alike: place networks, name themselves in streams, refuse others', decode packet by packet."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from codec_lib.codecs.protocol import Codec, Progress, until_damage
from codec_lib.entropy.container import NOT_PORTABLE, Packet, StreamHeader, read_stream, salvage, write_stream
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.video.clip import Video
from codec_lib.video.padding import crop
from codec_lib.video.store import Stack

STRIDE = 64
"""Frame sides are padded to multiples of this: the coarsest that is coded, hyper-latents and motion, lies at 1/64."""
RDO_WEIGHT = 42.0
"""Bits that an encoder takes one squared quantiser step of error to be worth when it rounds, chosen on training pictures.
6 / ln 2 = 8.7 would be right if errors in the latents only made the picture worse; they also mislead the second step of the
prior, and the synthesis was trained with symmetric errors."""


class Read(NamedTuple):
    """Some frames as they come out of a stream. symbols: of each frame, what was coded, in the order of the stream.
    pictures: makes them, uint8 (n, 3, H, W) with padding; not called where only symbols are asked for."""

    symbols: list[tuple[np.ndarray, ...]]
    pictures: Callable[[], Tensor]


class NeuralCodec(Codec):
    """networks: put on ``device`` in evaluation mode. checkpoint: first four bytes of its SHA-256, carried by streams.
    channels_last: memory layout of what networks are given; changes speed, never symbols. n_qualities: 0 is the worst."""

    default_qualities = (0, 12, 25, 38, 50, 63)

    def __init__(self, networks: list[nn.Module], checkpoint: bytes, profile: str, n_qualities: int, device: str,
                 channels_last: bool):
        self.profile, self.device, self.checkpoint = profile, torch.device(device), checkpoint
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        for network in networks:
            network.eval().requires_grad_(False).to(self.device, memory_format=self.layout)
        self.qualities = range(n_qualities)

    @property
    @abstractmethod
    def portable(self) -> bool:
        """Whether streams decode on every machine."""

    @abstractmethod
    def read(self, header: StreamHeader, packets: list[Packet], salvaged: bool) -> Iterator[Read]:
        """Decode an accepted stream's packets, in order. Raises a BitstreamError. ``salvaged``: a bad packet must not cost those
        before it."""

    def stream(self, video: Video, quality: int, packets: list[Packet]) -> bytes:
        """A file of these packets."""
        return write_stream(StreamHeader(
            codec=type(self).name, profile=self.profile, checkpoint=self.checkpoint, width=video.width, height=video.height,
            frames=len(video), fps=Fraction(video.fps), quality=quality, flags=0 if self.portable else NOT_PORTABLE), packets)

    @torch.inference_mode()
    def decode(self, stream: bytes, progress: Progress | None = None, *, salvaged: bool = False) -> Video:
        """See `Codec.decode`. ``salvaged``: of a damaged stream, return the frames before the damage."""
        header, packets = (salvage if salvaged else read_stream)(stream)
        self.accept(header, packets, salvaged)
        frames, done = Stack(), 0
        for read in until_damage(self.read(header, packets, salvaged), salvaged):
            pictures = crop(read.pictures(), (header.height, header.width))
            frames.append(pictures)
            done += len(pictures)
            if progress:
                progress(done, header.frames)
        if not done:
            raise CorruptStream("no frame lies before the damage: nothing can be salvaged", packet=0)
        return Video(frames.tensor(), header.fps, self.name)

    @torch.inference_mode()
    def symbols_sha256(self, stream: bytes) -> str:
        """SHA-256 over the symbols of all frames in the order of the stream, as little-endian int16."""
        header, packets = read_stream(stream)
        self.accept(header, packets)
        total = hashlib.sha256()
        for read in self.read(header, packets, False):
            for frame in read.symbols:
                for symbols in frame:
                    total.update(symbols.astype("<i2").tobytes())
        return total.hexdigest()

    def accept(self, header: StreamHeader, packets: list[Packet], salvaged: bool = False) -> None:
        """Raise a BitstreamError unless this is a stream for this codec."""
        header.require(type(self).name, self.profile, self.checkpoint)
        if header.quality not in self.qualities:
            raise CorruptStream(f"the header names quality {header.quality}, this codec has 0 to {self.qualities[-1]}")
        if len(packets) != header.frames and not salvaged:
            raise CorruptStream(f"{header.frames} frames are announced, {len(packets)} packets are there")
