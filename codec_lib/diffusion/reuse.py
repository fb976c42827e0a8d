"""Temporal Diffusion Information Reuse (TDIR): what the frame before saw in its noise, this frame need not look for again.

A decoder that denoises one frame after another predicts a noise-free latent at every step. At noisy steps neighbouring frames
predict nearly the same. So the noisy steps n = N ... D + 1 take the prediction that is kept of an earlier frame (Reuse
Diffusion), and only the steps n = D ... 1 call the network (Independent Diffusion):

    y_{n-1} = a_n y0_pred + b_n y_n + sigma_n noise,   y0_pred from the buffer where n > D, else predicted now.

D = N is plain sampling; D = 0 calls the network for the first frame only. `reusing` wraps a predictor, so that TDIR works with
every sampler. Source: DiffVC, Fig. 2 and section on TDIR. What the buffer holds for steps above D after
a frame that did not run them is not printed; both readings are here as `Buffer` policies.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from codec_lib.diffusion.samplers import Predict
from codec_lib.errors import UsageError

POLICIES = ("carry", "newest")


class Buffer:
    """Predicted noise-free latents of earlier frames, by step.

    policy: what stands at the steps above D once a frame is done. "carry": what stood there, so the noisiest predictions are those of the
    last frame that ran all steps. "newest": the last prediction of the frame, whether it ran these steps or not.
    """

    def __init__(self, policy: str = "carry"):
        if policy not in POLICIES:
            raise UsageError(f"a buffer has no policy '{policy}': choose from {', '.join(POLICIES)}")
        self.policy = policy
        self.kept: dict[int, Tensor] = {}
        self.calls = 0

    def clear(self) -> None:
        """Forget everything, as at an I frame: the next frame runs all steps."""
        self.kept.clear()

    def move(self, warp: Callable[[Tensor], Tensor]) -> None:
        """Replace each prediction by ``warp`` of it: the frame before, moved to where things are now."""
        self.kept = {n: warp(y) for n, y in self.kept.items()}

    def finish(self, depth: int) -> None:
        """Say that a frame is done; ``depth``: D."""
        if self.policy == "newest" and self.kept:
            newest = self.kept[min(self.kept)]
            self.kept = {n: newest if n > depth else y for n, y in self.kept.items()}


def reusing(predict: Predict, buffer: Buffer, depth: int) -> Predict:
    """The same predictor for one frame, which looks into ``buffer`` at steps above ``depth`` (the paper's D) and keeps in it what
    it predicts. ``buffer.calls`` counts the calls of ``predict``."""
    if depth < 0:
        raise UsageError(f"D is a number of steps, 0 or more, not {depth}")

    def predicted(y_n: Tensor, n: int) -> Tensor:
        if n > depth and n in buffer.kept:
            return buffer.kept[n]
        buffer.calls += 1
        buffer.kept[n] = predict(y_n, n)
        return buffer.kept[n]

    return predicted


def calls_per_period(frames: int, steps: int, depth: int) -> int:
    """Network calls for ``frames`` P frames after an I frame: the first runs all N steps, each other one min(D, N)."""
    return steps + (frames - 1) * min(depth, steps) if frames else 0


def similarity(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of predicted latents (N, C, h, w), each taken as one vector: (N,)."""
    return F.cosine_similarity(a.flatten(1).double(), b.flatten(1).double(), dim=1)


def resembles(y_hat: Tensor, before: Tensor | None, least: float) -> bool:
    """Whether a decoded latent is similar enough to that of the frame before to reuse its predictions: a gate that decoders
    work out for themselves, so that it costs no bit. False where there is no frame before."""
    return before is not None and bool(torch.all(similarity(y_hat, before) >= least))
