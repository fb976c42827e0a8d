"""A DiffVC stream decoded once and drawn in several ways: what a viewer's settings change, and how long they take."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional.state import State
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.generator import Generator, Sampling
from codec_lib.entropy.container import StreamHeader, read_header
from codec_lib.video import Video
from codec_lib.video.padding import crop

Watch = Callable[[int, dict[int, Tensor]], None]


@dataclass(frozen=True)
class DecodedStream:
    """What a stream says of each frame, before anything is drawn. seconds: that decoding it took."""

    header: StreamHeader
    states: list[State]
    seconds: float

    @property
    def intra(self) -> list[int]:
        """Numbers of the I frames."""
        return [i for i, s in enumerate(self.states) if s.signal is None]


@dataclass(frozen=True)
class Drawn:
    """video: as shown. denoising_s: seconds of the sampling loop, with ControlNet and prompt; picture_s: of all else, which is the
    autoencoder's decoder. calls: of the denoiser."""

    video: Video
    denoising_s: float
    picture_s: float
    calls: int


class TimedGenerator(Generator):
    """A generator with a clock. of: whose networks it draws with. prompt: instead of that one's. watch: called as watch(frame number,
    predictions by step) after every frame. ``seconds``: spent denoising."""

    def __init__(self, of: Generator, sampling: Sampling, prompt: nn.Module | None = None, watch: Watch | None = None):
        super().__init__(of.denoiser, of.control, prompt or of.prompt, sampling, of.gates)
        self.watch, self.seconds = watch, 0.0

    def latent(self, *args, **named) -> Tensor:
        start = time.perf_counter()
        drawn = super().latent(*args, **named)
        self.seconds += time.perf_counter() - start
        if self.watch:
            self.watch(args[3], dict(self.buffer.kept))
        return drawn


@torch.inference_mode()
def decoded(codec: DiffVCCodec, stream: bytes) -> DecodedStream:
    """Decode a stream without drawing. codec: with its generator outside the loop."""
    start = time.perf_counter()
    states = [c.state for c in codec.decode_frames(stream)]
    return DecodedStream(read_header(stream), states, time.perf_counter() - start)


@torch.inference_mode()
def drawn(codec: DiffVCCodec, of: DecodedStream, sampling: Sampling, prompt: nn.Module | None = None,
          watch: Watch | None = None) -> Drawn:
    """Draw a decoded stream with these settings. prompt: instead of the codec's own. watch: see `TimedGenerator`."""
    artist = copy.copy(codec)
    artist.generator = TimedGenerator(codec.generator, sampling, prompt, watch)
    start = time.perf_counter()
    frames = [crop(artist.shown(state), (of.header.height, of.header.width)) for state in of.states]
    seconds = time.perf_counter() - start
    video = Video(torch.cat(frames).contiguous(), of.header.fps, codec.name)
    return Drawn(video, artist.generator.seconds, seconds - artist.generator.seconds, artist.generator.buffer.calls)


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Means of the first and of the last quarter of a list, at least one value each."""
    n = max(len(values) // 4, 1)
    return sum(values[:n]) / n, sum(values[-n:]) / n
