"""The `diffvc` codec: the contextual codec of latents writes the stream, a diffusion model shows what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.state import State
from codec_lib.codecs.diffvc.generator import Generator
from codec_lib.codecs.diffvc.prompt import ratio
from codec_lib.codecs.neural import Read
from codec_lib.diffusion.autoencoder import STRIDE
from codec_lib.entropy.container import Packet, StreamHeader
from codec_lib.layers.blocks import relative
from codec_lib.layers.warping import shrink_flow, warp


class DiffVCCodec(ConditionalCodec):
    """Arguments as for `ConditionalCodec`; of them ``model`` codes in the space of `Latents`.

    generator: draws what is shown of P frames; None: the autoencoder's decoder shows the decoded latents as they are, which is the
    codec's own backbone without diffusion. I frames are shown as the I-frame codec decodes them.
    """

    name = "diffvc"

    def __init__(self, model, entropy, tables, motion, intra, checkpoint: bytes, *, generator: Generator | None = None, **options):
        super().__init__(model, entropy, tables, motion, intra, checkpoint, **options)
        self.generator = generator
        if generator is not None:
            for network in (generator.denoiser, generator.control, generator.prompt):
                if network is not None:
                    network.eval().requires_grad_(False).to(self.device, memory_format=self.layout)

    def read(self, header: StreamHeader, packets: list[Packet], salvaged: bool) -> Iterator[Read]:
        """See `NeuralCodec.read`. Pictures are drawn in the order of the frames, since each may reuse what the one before saw."""
        for coded in self._read(header, packets):
            yield Read([coded.symbols], partial(self.shown, coded.state))

    @torch.inference_mode()
    def shown(self, state: State) -> Tensor:
        """What a viewer sees of a decoded frame, uint8 (1, 3, H, W)."""
        if self.generator is None:
            return state.frame
        if state.signal is None:
            self.generator.restart()
            return state.frame

        def follow(kept: Tensor) -> Tensor:
            return warp(kept, shrink_flow(state.flow, STRIDE))

        drawn = self.generator.latent(state.signal, state.c0, self.ratio(state.earlier.quality), state.t, follow)
        return (self.context.space.picture(drawn).clamp(0, 1) * 255).round().to(torch.uint8).cpu()

    def ratio(self, quality: int) -> Tensor:
        """Quantisation ratio of a quality, (1,)."""
        return ratio(self, relative(quality, self.config).to(self.device))
