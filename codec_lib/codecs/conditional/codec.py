"""The `conditional` codec: I frames by `intra`, P frames conditioned on the frame before, one packet a frame.

    packet   frame byte: bit 7 set for an I frame, bits 0 to 5 the frame's quality
             range coder: [I] hyper-latents, latents     [P] motion, hyper-latents, latents

Learned motion is itself hyper-latents and latents.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from codec_lib.codecs.conditional.config import FRAME_STRIDE
from codec_lib.codecs.conditional.context import Contexts
from codec_lib.codecs.conditional.context_path import ContextEntropy
from codec_lib.codecs.conditional.entropy_path import IntegerEntropy
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.latent_stream import Latents, LatentStream
from codec_lib.codecs.conditional.lattice import COARSEST
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.codecs.conditional.motion_stream import FrameMotion, LatticeStream, LearnedStream
from codec_lib.codecs.conditional.state import Coded, Earlier, State
from codec_lib.codecs.conditional.structure import Structure, stillness
from codec_lib.codecs.conditional.wear import Wear
from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.neural import RDO_WEIGHT, NeuralCodec, Read
from codec_lib.codecs.protocol import Progress
from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.container import Packet, StreamHeader, check_digest, latent_digest, read_stream
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.stream_errors import CorruptStream
from codec_lib.entropy.tables import CodingTables
from codec_lib.layers.blocks import relative
from codec_lib.video.clip import Video
from codec_lib.video.padding import pad_to_multiple

INTRA_BIT, QUALITY_BITS = 0x80, 0x3F
assert FRAME_STRIDE == COARSEST


class ConditionalCodec(NeuralCodec):
    """Real streams from a trained `ConditionalModel` and an `IntraCodec`.

    model, entropy, tables, motion: as loaded by `export.load_parts`; motion: statistics of the lattice, or the probability path of
    learned motion. checkpoint, device, channels_last: see `NeuralCodec`. structure: see `Structure`. rdo_weight: see `LatentCoder`.
    """

    name = "conditional"
    usual = Structure()

    def __init__(self, model: ConditionalModel, entropy: IntegerEntropy | ContextEntropy | FusedEntropy,
                 tables: CodingTables, motion: MotionCoder | FusedEntropy, intra: IntraCodec, checkpoint: bytes, *,
                 profile: str = "lab", device: str = "cpu", channels_last: bool = True, rdo_weight: float = RDO_WEIGHT,
                 structure: Structure | None = None):
        c = self.config = model.config
        self.context, self.g_a, self.h_a, self.g_s = model.context, model.g_a, model.h_a, model.g_s
        super().__init__([self.context, self.g_a, self.h_a, self.g_s, model.flow, entropy], checkpoint, profile, c.n_qualities,
                         device, channels_last)
        self.entropy, self.tables, self.motion, self.intra = entropy, tables, motion, intra
        how = self.device, self.layout, rdo_weight
        self.latents = LatentStream(entropy, tables, c.y_channels, c.z_channels, *how, z_stride=4 * c.latent_stride)
        self.motion_stream = (LatticeStream(motion, c, self.device) if c.motion == "lattice" else
                              LearnedStream(model.flow, motion, tables, c, *how))
        self.structure = structure or self.usual
        self._first_pass: tuple[Callable, Structure | None, frozenset[int]] = lambda: None, None, frozenset()
        entropy.check()

    @property
    def portable(self) -> bool:
        return self.entropy.portable and self.intra.portable

    # ---- encoding

    @torch.inference_mode()
    def encode(self, video: Video, quality: int, progress: Progress | None = None) -> bytes:
        """See `Codec.encode`. Any size from 1x1 up; sides are padded to multiples of 64, or what the latents ask for, by repeating
        the border."""
        self.check_quality(quality)
        worn, total = self._worn(video, progress)
        packets = []
        for t, coded in enumerate(self._pass(video, quality, worn.__contains__)):
            packets.append(Packet(coded.payload, latent_digest(*coded.symbols)))
            if progress:
                progress(total - len(video) + t + 1, total)
        return self.stream(video, quality, packets)

    def code(self, video: Video, quality: int) -> Iterator[Coded]:
        """Code a clip frame by frame, each from what the decoder will have of the one before."""
        yield from self._pass(video, quality, self._worn(video)[0].__contains__)

    @torch.inference_mode()
    def _worn(self, video: Video, progress: Progress | None = None) -> tuple[frozenset[int], int]:
        """Frames before which P frames are worn (`Structure.refresh`), and how many frames are coded to find them and to code the clip.

        They are found in a first pass at a low quality, so that the same frames are I frames at all qualities, and kept for the clip
        that was coded last.
        """
        clip, structure, found = self._first_pass
        if self.structure.refresh == math.inf:
            return frozenset(), len(video)
        if clip() is video.frames and structure == self.structure:
            return found, len(video)
        quality, due = self.qualities[len(self.qualities) // 4], set()
        wear = Wear(self.structure.refresh, (self.config.lambdas(relative(quality, self.config)) / self.config.lambda_low).item())

        def decide(t: int) -> bool:
            if wear.enough and wear.pays(len(video) - t):
                due.add(t)
            return t in due

        for t, coded in enumerate(self._pass(video, quality, decide)):
            frame = pad_to_multiple(video.frames[t : t + 1], self.config.stride)[0]
            bpp = 8 * len(coded.payload) / (video.height * video.width)
            wear.see(self._lack(frame, coded.state), bpp, coded.state.earlier.from_intra)
            if progress:
                progress(t + 1, 2 * len(video))
        self._first_pass = weakref.ref(video.frames), self.structure, frozenset(due)
        return frozenset(due), 2 * len(video)

    @torch.inference_mode()
    def _pass(self, video: Video, quality: int, worn: Callable[[int], bool]) -> Iterator[Coded]:
        """The frames of a clip, with I frames where ``worn`` asks for them, where the period does, and where nothing else helps."""
        state, period, best = None, self.structure.intra_period, self.qualities[-1]
        for t in range(len(video)):
            frame = pad_to_multiple(video.frames[t : t + 1], self.config.stride)[0]
            coded = None
            if state is not None and not (period and t % period == 0) and not worn(t):
                coded = self._code_p(frame, state, self.structure.quality(t, quality, False, best))
            if coded is None:
                still = self._outlook(*video.frames[t : t + 2]) if t + 1 < len(video) else 0.0
                coded = self._code_i(frame, self.structure.quality(t, quality, True, best, still), t)
            state = coded.state
            yield coded

    def _outlook(self, frame: Tensor, following: Tensor) -> float:
        """How long what an I frame shows will last; 0: nothing is known of it."""
        return stillness(frame, following)

    def _lack(self, frame: Tensor, state: State) -> float:
        """Squared error of what was decoded of a frame, as a share of the signal's variance."""
        wanted = self.context.space.signal(self._floats(frame))
        found = self.context.space.signal(self._floats(state.frame)) if state.signal is None else state.signal
        return float((found - wanted).pow(2).mean() / wanted.var(dim=(2, 3)).mean().clamp(min=1e-6))

    def _code_i(self, frame: Tensor, quality: int, t: int) -> Coded:
        z, quantised = self.intra.quantise(frame, quality)
        coder = Encoder(self.intra.tables)
        self.intra.push(coder, z[0], quantised.symbols[0], quantised.classes[0], quality)
        payload = bytes([INTRA_BIT | quality]) + coder.finish()
        return Coded(payload, (z[0], quantised.symbols[0]), self._state_i(quantised.y16, quality, t))

    def _state_i(self, y16: Tensor, quality: int, t: int) -> State:
        return State(self.intra.picture(y16, quality), None, Earlier(y16, True, quality), None, t)

    def _code_p(self, frame: Tensor, state: State, quality: int) -> Coded | None:
        """The frame predicted from ``state``; None where an I frame would do better."""
        u = relative(quality, self.config).to(self.device)
        motion = self.motion_stream.estimate(frame, state, u, quality)
        contexts = self._contexts(state, motion, u)
        signal = self.context.space.signal(self._floats(frame))
        if self._unpredictable(signal, contexts.x_bar):
            return None
        y = self.g_a(signal, contexts, u)
        latents = self.latents.quantise(y, self.h_a(y), self._expect(state, motion, contexts, quality))
        coder = Encoder(self.tables)
        motion_classes = self.motion_stream.push(coder, motion, state, quality)
        z_classes = self.latents.push(coder, latents, quality)
        return Coded(bytes([quality]) + coder.finish(), (*motion.symbols, latents.z, latents.symbols),
                     self._state_p(latents, contexts, motion, state, quality, u),
                     (*motion_classes, z_classes, latents.classes))

    def _unpredictable(self, x: Tensor, x_bar: Tensor) -> bool:
        """Whether the prediction x_bar of a signal x is of so little use that the frame had better be coded by itself."""
        return bool((x - x_bar).pow(2).mean() > self.structure.cut * x.var(dim=(2, 3)).mean())

    def _contexts(self, state: State, motion: FrameMotion, u: Tensor) -> Contexts:
        seen = self.context.space.seen(self._floats(state.frame), state.signal)
        u_ref = relative(state.earlier.quality, self.config).to(self.device)
        return self.context(seen, state.feature, motion.flow, u, u_ref, state.t + 1)

    def _floats(self, frame: Tensor) -> Tensor:
        """A frame from bytes to [0, 1], where and as the networks want it."""
        return (frame.to(self.device).float() / 255).contiguous(memory_format=self.layout)

    def _expect(self, state: State, motion: FrameMotion, contexts: Contexts, quality: int):
        return lambda z_hat: self.entropy.features(z_hat, state.earlier, motion.nodes, quality, contexts.c2)

    def _state_p(self, latents: Latents, contexts: Contexts, motion: FrameMotion, state: State, quality: int, u: Tensor) -> State:
        signal, feature = self.g_s((latents.y16 / UNIT).contiguous(memory_format=self.layout), contexts, u)
        frame = (self.context.space.picture(signal).clamp(0, 1) * 255).round().to(torch.uint8).cpu()
        earlier = Earlier(latents.y16, False, quality, latents.features)
        return State(frame, feature, earlier, motion.memory, state.t + 1, signal, contexts.c0, motion.flow)

    # ---- decoding

    @torch.inference_mode()
    def decode_frames(self, stream: bytes) -> Iterator[Coded]:
        """All that a decoder knows of each frame of a stream, before anything else is made of it. Raises what `decode` raises."""
        header, packets = read_stream(stream)
        self.accept(header, packets)
        yield from self._read(header, packets)

    def read(self, header: StreamHeader, packets: list[Packet], salvaged: bool) -> Iterator[Read]:
        """See `NeuralCodec.read`."""
        for coded in self._read(header, packets):
            yield Read([coded.symbols], lambda frame=coded.state.frame: frame)

    def _read(self, header: StreamHeader, packets: list[Packet]) -> Iterator[Coded]:
        """Decode packets one by one. Raises a BitstreamError."""
        state = None
        for index, packet in enumerate(packets):
            coded = self._decode_packet(header, packet, index, state)
            check_digest(packet, index, *coded.symbols)
            state = coded.state
            yield coded

    def _decode_packet(self, header: StreamHeader, packet: Packet, index: int, state: State | None) -> Coded:
        if not packet.payload:
            raise CorruptStream(f"packet {index} is empty", packet=index)
        first, quality = packet.payload[0], packet.payload[0] & QUALITY_BITS
        intra = bool(first & INTRA_BIT)
        if first & ~(INTRA_BIT | QUALITY_BITS) or quality not in self.qualities:
            raise CorruptStream(f"packet {index} begins with {first:#04x}: no kind of frame", packet=index)
        if state is None and not intra:
            raise CorruptStream(f"packet {index} refers to a frame before the first", packet=index)
        decoder = Decoder(packet.payload[1:])
        stride = self.config.stride
        height, width = (-(-side // stride) * stride for side in (header.height, header.width))
        try:
            if intra:
                z, symbols, y16 = self.intra.pop([decoder], height, width, quality, index)
                decoder.check_exhausted()
                return Coded(packet.payload, (z[0], symbols[0]), self._state_i(y16, quality, index))
            return self._decode_p(packet.payload, decoder, state, quality, (height, width), index)
        except CorruptStream as error:
            if error.packet is not None:
                raise
            raise CorruptStream(f"packet {index}: {error}", packet=index) from None

    def _decode_p(self, payload: bytes, decoder: Decoder, state: State, quality: int, size: tuple[int, int], index: int) -> Coded:
        u = relative(quality, self.config).to(self.device)
        motion = self.motion_stream.pop(decoder, state, u, quality, size, index)
        contexts = self._contexts(state, motion, u)
        latents = self.latents.pop(decoder, self._expect(state, motion, contexts, quality), size, quality, index)
        decoder.check_exhausted()
        return Coded(payload, (*motion.symbols, latents.z, latents.symbols),
                     self._state_p(latents, contexts, motion, state, quality, u))
