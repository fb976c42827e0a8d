"""The `diffvc` codec: the contextual codec of latents writes the stream, a diffusion model shows what is in it.

By default the generator stands outside the coding loop: what it draws is never predicted from, so a viewer may draw otherwise,
elsewhere, or not at all. In the loop, as DiffVC has it, the picture that was drawn is the one that the next frame moves; then
the encoder has to draw every frame too, and in the same way. Probabilities never depend on what was drawn; at lab size they depend
on symbols alone, so what is decoded of a stream is the same everywhere; but pictures in the loop are floats upon floats, and on
another machine they may drift away.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.state import State
from codec_lib.codecs.diffvc.generator import Generator
from codec_lib.codecs.diffvc.picture import carried
from codec_lib.codecs.diffvc.prompt import ratio
from codec_lib.codecs.diffvc.structure import LatentStructure, coarse_error, outlook
from codec_lib.codecs.neural import Read
from codec_lib.diffusion.autoencoder import STRIDE
from codec_lib.entropy.container import Packet, StreamHeader
from codec_lib.layers.blocks import relative
from codec_lib.layers.warping import shrink_flow, warp


class DiffVCCodec(ConditionalCodec):
    """Arguments as for `ConditionalCodec`; of them ``model`` codes in the space of `Latents`.

    generator: draws what is shown of P frames; None: the autoencoder's decoder shows the decoded latents as they are, which is the
    codec's own backbone without diffusion. I frames are shown as the I-frame codec decodes them.
    loop: whether the generator is in the coding loop. Its sampling is then part of the profile.
    """

    name = "diffvc"
    usual = LatentStructure()
    default_qualities = (0, 8, 16, 24, 32, 42)  # low rates: more shows little more, see `LatentConfig`

    def __init__(self, model, entropy, tables, motion, intra, checkpoint: bytes, *, generator: Generator | None = None,
                 loop: bool = False, **options):
        super().__init__(model, entropy, tables, motion, intra, checkpoint, **options)
        self.generator, self.loop = generator, loop
        if generator is not None:
            for network in (generator.denoiser, generator.control, generator.prompt, generator.gates):
                if network is not None:
                    network.eval().requires_grad_(False).to(self.device, memory_format=self.layout)

    @property
    def portable(self) -> bool:
        return super().portable and not self.loop

    @property
    def encoder(self) -> Hashable | None:
        """See `Codec`: outside the loop neither the generator nor its settings have a part in the stream."""
        return None if self.loop else (type(self), self.profile, self.checkpoint, self.intra.checkpoint, self.portable, self.structure)

    def _state_i(self, *args) -> State:
        state = super()._state_i(*args)
        if self.loop:
            self._restart(state)
        return state

    def _state_p(self, *args) -> State:
        state = super()._state_p(*args)
        return replace(state, frame=self.drawn(state)) if self.loop else state

    def _outlook(self, frame: Tensor, following: Tensor) -> float:
        return outlook(frame, following)

    def _lack(self, frame: Tensor, state: State) -> float:
        return coarse_error(state.frame, frame)

    def read(self, header: StreamHeader, packets: list[Packet], salvaged: bool) -> Iterator[Read]:
        """See `NeuralCodec.read`. Pictures are drawn in the order of the frames, since each may reuse what the one before saw."""
        for coded in self._read(header, packets):
            yield Read([coded.symbols], partial(self.shown, coded.state))

    @torch.inference_mode()
    def shown(self, state: State) -> Tensor:
        """What a viewer sees of a decoded frame, uint8 (1, 3, H, W)."""
        if self.generator is None or self.loop:
            return state.frame
        if state.signal is None:
            self._restart(state)
            return state.frame
        return self.drawn(state)

    def _restart(self, state: State) -> None:
        """Let the generator begin anew at an I frame."""
        g = self.generator
        takes = g.gates is not None and g.sampling.detail
        g.restart(carried(self.context.space, self._floats(state.frame)) if takes else None)

    @torch.inference_mode()
    def drawn(self, state: State) -> Tensor:
        """A picture of a decoded P frame by the generator, uint8 (1, 3, H, W). To be called for one frame after the other. state.frame
        is still the picture of the decoded latent."""
        def follow(kept: Tensor) -> Tensor:
            return warp(kept, shrink_flow(state.flow, STRIDE))

        latent = self.generator.latent(state.signal, state.c0, self.ratio(state.earlier.quality), state.t, follow)
        picture = self.generator.picture(self.context.space.picture(latent), self._floats(state.frame), state.flow)
        return (picture.clamp(0, 1) * 255).round().to(torch.uint8).cpu()

    def ratio(self, quality: int) -> Tensor:
        """Quantisation ratio of a quality, (1,)."""
        return ratio(self, relative(quality, self.config).to(self.device))
