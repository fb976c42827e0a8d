"""Frames as a trained contextual codec leaves them: what a diffusion decoder is trained on."""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import Tensor

from codec_lib.codecs.diffvc.picture import carried
from codec_lib.codecs.diffvc.prompt import ratio
from codec_lib.training.conditional import left
from codec_lib.training.diffvc import ContextualRecipe

POOL = 384
"""Coded frames that are kept to draw batches from."""
REFRESH = 6
"""Batches between codings of new frames."""
LEAD, FRAMES = 21, 2
"""P frames that are coded before those that are kept, at most, and how many are kept."""
SHARES = (-0.2, 1.4)
"""Range of the I frames' quality in terms of `intra_quality`, wider than the codec was trained in: the encoder gives them from 0 to 35
levels more, where the codec knew 5 to 27."""


class CodedFrames(NamedTuple):
    """x: the originals, plain: pictures of their decoded latents, both uint8 (N, 3, H, W); y: their latents, y_hat: decoded, own: what
    was last predicted for them, at first the decoded ones, all (N, C, h, w); c0: finest context (N, C_0, h, w), in bfloat16; r:
    quantisation ratios (N,); detail, smooth, history: of the I frame before, see `Carried`, in bfloat16."""

    x: Tensor
    plain: Tensor
    y: Tensor
    y_hat: Tensor
    own: Tensor
    c0: Tensor
    r: Tensor
    detail: Tensor
    smooth: Tensor
    history: Tensor

    @staticmethod
    def joined(parts: list[CodedFrames]) -> CodedFrames:
        return CodedFrames(*(torch.cat(p) for p in zip(*parts, strict=True)))

    def picked(self, index: Tensor | slice) -> CodedFrames:
        return CodedFrames(*(t[index] for t in self))


class Pool:
    """Draws batches from frames that it codes now and then. codec: a `ContextualRecipe` whose model is trained."""

    def __init__(self, codec: ContextualRecipe, seed: int = 0):
        self.codec, self.random, self.kept, self.drawn, self.latest = codec, random.Random(seed), None, 0, None
        codec.model.eval().requires_grad_(False)

    def draw(self, batch: int, generator: torch.Generator) -> CodedFrames:
        if self.kept is None or self.drawn % REFRESH == 0:
            fresh = [self.code() for _ in range(1 if self.kept is not None else -(-batch // (self.codec.batch * FRAMES)))]
            self.kept = CodedFrames.joined([*([self.kept] if self.kept is not None else []), *fresh]).picked(slice(-POOL, None))
        self.drawn += 1
        self.latest = torch.randperm(len(self.kept.r), generator=generator)[:batch]
        return self.kept.picked(self.latest)

    def remember(self, predicted: Tensor) -> None:
        """Keep what was predicted for the frames that were drawn last."""
        self.kept.own[self.latest] = predicted.detach().to(self.kept.own.dtype)

    @torch.no_grad()
    def code(self) -> CodedFrames:
        """New sequences, coded at random qualities; of each the last P frames."""
        c = self.codec
        lead = self.random.randint(0, max(0, min(LEAD, c.sequences.longest - FRAMES - 1)))
        x, motion = c.batch_of(c.batch, 1 + lead + FRAMES)
        u = torch.tensor([self.random.random() for _ in range(c.batch)], device=x.device)
        reference, found, r = c.intra_reference(x[0], c.intra_quality(u, self.random.uniform(*SHARES))), [], ratio(c.model, u)
        along = carried(c.model.context.space, reference.x_hat)
        for t in range(1, len(x)):
            coded = c.p_frame(x[t], reference, motion[t - 1], u)
            reference, along = left(coded), along.moved(coded.flow)
            if t > lead:
                pictures = ((255 * p).round().to(torch.uint8) for p in (x[t], reference.x_hat))
                latents, moved = (coded.signal, *[reference.signal] * 2), (a.bfloat16() for a in along)
                found.append(CodedFrames(*pictures, *latents, coded.c0.bfloat16(), r, *moved))
        return CodedFrames.joined(found)

    def fixed(self, count: int) -> CodedFrames:
        """The same frames whenever it is called, from ``count`` codings: it shows progress."""
        states = self.random, self.codec.sequences.random
        self.random, self.codec.sequences.random = random.Random(1), random.Random(1)
        coded = CodedFrames.joined([self.code() for _ in range(count)])
        self.random, self.codec.sequences.random = states
        return coded
