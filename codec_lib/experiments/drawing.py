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
    autoencoder's decoder. calls: of the denoiser. latents: what was drawn of each P frame, by its number."""

    video: Video
    denoising_s: float
    picture_s: float
    calls: int
    latents: dict[int, Tensor]


class TimedGenerator(Generator):
    """A generator with a clock. of: whose networks it draws with. prompt: instead of that one's. watch: called as watch(frame number,
    predictions by step) after every frame. known: latents that are there already, by number of the frame. ``seconds``: spent denoising.
    ``latents``: what was drawn, by number of the frame."""

    def __init__(self, of: Generator, sampling: Sampling, prompt: nn.Module | None = None, watch: Watch | None = None,
                 known: dict[int, Tensor] | None = None):
        super().__init__(of.denoiser, of.control, prompt or of.prompt, sampling, of.gates)
        self.watch, self.seconds, self.latents = watch, 0.0, dict(known or {})

    def latent(self, *args, **named) -> Tensor:
        t = args[3]
        if t not in self.latents:
            start = time.perf_counter()
            self.latents[t] = super().latent(*args, **named)
            self.seconds += time.perf_counter() - start
            if self.watch:
                self.watch(t, dict(self.buffer.kept))
        return self.latents[t]


@torch.inference_mode()
def decoded(codec: DiffVCCodec, stream: bytes) -> DecodedStream:
    """Decode a stream without drawing. codec: with its generator outside the loop."""
    start = time.perf_counter()
    states = [c.state for c in codec.decode_frames(stream)]
    return DecodedStream(read_header(stream), states, time.perf_counter() - start)


@torch.inference_mode()
def drawn(codec: DiffVCCodec, of: DecodedStream, sampling: Sampling, prompt: nn.Module | None = None,
          watch: Watch | None = None, known: Drawn | None = None) -> Drawn:
    """Draw a decoded stream with these settings. prompt: instead of the codec's own. watch: see `TimedGenerator`.

    known: the same stream, drawn with settings that differ in no more than ``detail``. Its latents are shown, and its time and calls
    are those of the result; nothing is drawn anew.
    """
    artist = copy.copy(codec)
    artist.generator = TimedGenerator(codec.generator, sampling, prompt, watch, known.latents if known else None)
    start = time.perf_counter()
    frames = [crop(artist.shown(state), (of.header.height, of.header.width)) for state in of.states]
    seconds = time.perf_counter() - start
    video = Video(torch.cat(frames).contiguous(), of.header.fps, codec.name)
    denoising = artist.generator.seconds
    of_latents = (known.denoising_s, known.calls) if known else (denoising, artist.generator.buffer.calls)
    return Drawn(video, of_latents[0], seconds - denoising, of_latents[1], artist.generator.latents)


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Means of the first and of the last quarter of a list, at least one value each."""
    n = max(len(values) // 4, 1)
    return sum(values[:n]) / n, sum(values[-n:]) / n
