"""Motion of one frame to bytes and back, in either kind; both answer to

    estimate(frame, state, u, quality) -> FrameMotion        what an encoder chooses
    push(encoder, motion, state, quality) -> classes         scale classes of all its symbols but the first
    pop(decoder, state, u, quality, size, index) -> FrameMotion
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.latent_stream import Latents, LatentStream
from codec_lib.codecs.conditional.lattice import flow_from_nodes
from codec_lib.codecs.conditional.learned_motion import LearnedMotion
from codec_lib.codecs.conditional.motion_coding import MotionCoder, level_of
from codec_lib.codecs.conditional.motion_search import WEIGHT_TIMES_LAMBDA, luma, search
from codec_lib.codecs.conditional.state import Earlier, State
from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.latent_coder import UNIT
from codec_lib.entropy.tables import CodingTables


class FrameMotion(NamedTuple):
    """flow: float32 (1, 2, H, W) in pixels. nodes: the same on the lattice, integers, None where motion is learned. symbols: what
    is coded. memory: for the next frame. latents: of learned motion, with classes from an encoder."""

    flow: Tensor
    nodes: Tensor | None
    symbols: tuple[np.ndarray, ...]
    memory: Any
    latents: Latents | None = None


class LatticeStream:
    """Fields of integers (`lattice`). coder: the statistics they are coded with."""

    def __init__(self, coder: MotionCoder, config: ConditionalConfig, device: torch.device):
        self.coder, self.config, self.device = coder, config, device

    def estimate(self, frame: Tensor, state: State, u: Tensor, quality: int) -> FrameMotion:
        """frame: uint8 (1, 3, H, W), sides multiples of 64."""
        weight = WEIGHT_TIMES_LAMBDA / float(self.config.pixel_lambdas(u))
        return self._known(search(luma(pixels(frame)), luma(pixels(state.frame)), weight, state.motion))

    def push(self, encoder: Encoder, motion: FrameMotion, state: State, quality: int) -> tuple:
        self.coder.encode(encoder, motion.symbols[0], level_of(quality, self.config.n_qualities), state.motion)
        return ()

    def pop(self, decoder: Decoder, state: State, u: Tensor, quality: int, size: tuple[int, int], index: int) -> FrameMotion:
        return self._known(self.coder.decode(decoder, level_of(quality, self.config.n_qualities), state.motion, *size))

    def _known(self, field: np.ndarray) -> FrameMotion:
        nodes = torch.from_numpy(field.astype(np.int64))[None].to(self.device)
        return FrameMotion(flow_from_nodes(nodes), nodes, (field,), field)


class Memory(NamedTuple):
    """What learned motion leaves to the next frame: its decoder's feature, and its latents."""

    feature: Tensor
    earlier: Earlier


class LearnedStream:
    """Latents of a flow. networks: in evaluation mode, on ``device``. path: the probability path of their entropy model."""

    def __init__(self, networks: LearnedMotion, path: FusedEntropy, tables: CodingTables, config: ConditionalConfig,
                 device: torch.device, layout: torch.memory_format, rdo_weight: float):
        self.networks, self.path, self.device, self.layout = networks, path, device, layout
        n = config.motion_channels
        self.latents = LatentStream(path, tables, n, n, device, layout, rdo_weight)

    def estimate(self, frame: Tensor, state: State, u: Tensor, quality: int) -> FrameMotion:
        """frame: uint8 (1, 3, H, W), sides multiples of 64."""
        x, x_ref = ((f.to(self.device).float() / 255).contiguous(memory_format=self.layout) for f in (frame, state.frame))
        y = self.networks.latents(x, x_ref, state.motion and state.motion.feature, u)
        return self._decoded(self.latents.quantise(y, self.networks.h_a(y), self._expect(state, quality)), u, quality)

    def push(self, encoder: Encoder, motion: FrameMotion, state: State, quality: int) -> tuple:
        self.latents.push(encoder, motion.latents, quality)
        return (motion.latents.classes,)

    def pop(self, decoder: Decoder, state: State, u: Tensor, quality: int, size: tuple[int, int], index: int) -> FrameMotion:
        return self._decoded(self.latents.pop(decoder, self._expect(state, quality), size, quality, index), u, quality)

    def _expect(self, state: State, quality: int):
        earlier = state.motion and state.motion.earlier
        return lambda z_hat: self.path.features(z_hat, earlier, None, quality)

    def _decoded(self, latents: Latents, u: Tensor, quality: int) -> FrameMotion:
        flow, feature = self.networks.g_s((latents.y16 / UNIT).contiguous(memory_format=self.layout), u)
        memory = Memory(feature, Earlier(latents.y16, False, quality))
        return FrameMotion(flow.float(), None, (latents.z, latents.symbols), memory, latents)


def pixels(frame: Tensor) -> np.ndarray:
    """uint8 (1, 3, H, W) to (H, W, 3)."""
    return np.ascontiguousarray(frame[0].permute(1, 2, 0).numpy())
