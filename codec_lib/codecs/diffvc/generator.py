"""The diffusion decoder: from the decoded latent of a frame to a picture that looks like one.

The latent is noised up to a level and denoised in N steps by a network that follows it through a ControlNet. By default it stands
outside the coding loop: what it draws is shown and never predicted from, so streams do not depend on it, and a viewer may choose the
number of steps, the sampler and how much is reused of the frame before (TDIR) without asking the encoder. In the loop (see `codec`)
nothing of that is left to choose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from codec_lib.codecs.diffvc.control import Control, clean_latent
from codec_lib.codecs.diffvc.picture import Carried, Gates
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.diffusion.noise import gaussian_noise
from codec_lib.diffusion.process import add_noise
from codec_lib.diffusion.reuse import POLICIES, Buffer, resembles, reusing
from codec_lib.diffusion.samplers import Step, ddim, ddpm, sample
from codec_lib.diffusion.schedule import Schedule, scaled_linear
from codec_lib.errors import UsageError

SAMPLERS: dict[str, Step] = {"ddpm": ddpm, "ddim": ddim(0.0)}
HALF = -1
"""Stands for a depth of half the steps, the paper's 25 of 50."""
STARTING_NOISE = 2**32 - 1
"""The step under which the noise of the starting state is drawn: no schedule has so many."""


@dataclass(frozen=True)
class Sampling:
    """How a viewer denoises.

    steps: N; 0: nothing is drawn, the decoded latent takes its place. start: training step whose noise level the decoded latent is raised
    to, 1 to 1000; 1000 is the terminal one.
    depth: D of TDIR, steps that are run for every frame; N: no reuse; -1, and where nothing is said: half of N. policy: see
    `Buffer`. moved: whether the buffer follows the decoded motion. least: cosine similarity of a decoded latent to that of the
    frame before below which nothing is reused; -1 for never. sampler: "ddpm" or "ddim". seed: of the noise. detail: whether the
    last I frame is carried along and blended in, where the generator has gates for it, see `picture`.
    Raises UsageError for values that cannot be.
    """

    steps: int = 50
    start: int = 1000
    depth: int = HALF
    policy: str = "carry"
    moved: bool = False
    least: float = -1.0
    sampler: str = "ddpm"
    seed: int = 0
    detail: bool = True

    def __post_init__(self):
        if self.sampler not in SAMPLERS:
            raise UsageError(f"unknown sampler '{self.sampler}': choose from {', '.join(SAMPLERS)}")
        if self.policy not in POLICIES:
            raise UsageError(f"a buffer has no policy '{self.policy}': choose from {', '.join(POLICIES)}")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"a seed is a number from 0 to 2^64 - 1, not {self.seed}")
        if not 1 <= self.start <= 1000 or not 0 <= self.steps <= self.start:
            raise UsageError(f"{self.steps} steps from level {self.start} cannot be: 0 <= steps <= start and 1 <= start <= 1000")
        if self.depth == HALF:
            object.__setattr__(self, "depth", -(-self.steps // 2))
        if not 0 <= self.depth <= self.steps:
            raise UsageError(f"D = {self.depth} is outside 0 ... {self.steps}, the number of steps")

    def schedule(self) -> Schedule:
        """The steps that are kept, from ``start`` down, evenly spaced. Raises UsageError where there are none."""
        return scaled_linear().until(self.start).respaced(self.steps, "trailing")


class Generator:
    """denoiser, control: networks in evaluation mode. prompt: see `prompt`; None: the denoiser's empty context. gates: blend the last
    I frame with what was drawn; None: it is not carried. digest: of the checkpoint, its SHA-256's first four bytes in hex."""

    def __init__(self, denoiser: Denoiser, control: Control, prompt: nn.Module | None, sampling: Sampling | None = None,
                 gates: Gates | None = None, digest: str = ""):
        self.denoiser, self.control, self.prompt, self.gates, self.digest = denoiser, control, prompt, gates, digest
        self.sampling = sampling or Sampling()
        self.schedule = self.sampling.schedule() if self.sampling.steps else None
        self.buffer, self.before, self.carried = Buffer(self.sampling.policy), None, None

    def restart(self, carried: Carried | None = None) -> None:
        """Forget earlier frames, as at an I frame, of which ``carried`` is what `picture` makes use of."""
        self.buffer.clear()
        self.before, self.carried = None, carried

    @torch.inference_mode()
    def picture(self, drawn: Tensor, decoded: Tensor, flow: Tensor) -> Tensor:
        """What is shown, (1, 3, H, W), not clamped, for the next frame of a clip. drawn, decoded: pictures of its drawn and of its
        decoded latent, (1, 3, H, W). flow: its decoded motion, (1, 2, H, W) in pixels."""
        if self.carried is None:
            return drawn
        self.carried = self.carried.moved(flow)
        return self.gates(drawn, decoded, self.carried)

    @torch.inference_mode()
    def latent(self, y_hat: Tensor, c0: Tensor, r: Tensor, frame: int, warp: Callable[[Tensor], Tensor] | None = None,
               watch: Callable[[int, Tensor, Tensor], None] | None = None) -> Tensor:
        """A latent drawn for frame number ``frame``, the next of a clip.

        y_hat: decoded latents (1, C, h, w). c0: context (1, C_0, h, w). r: quantisation ratio (1,). warp: moves latents as the
        decoded motion says. watch: see `sample`.
        """
        s = self.sampling
        if not s.steps:
            return y_hat
        if s.least > -1 and not resembles(y_hat, self.before, s.least):
            self.buffer.clear()
        elif s.moved and warp is not None:
            self.buffer.move(warp)
        start = add_noise(self.schedule, y_hat, self._noise(y_hat, frame, STARTING_NOISE), len(self.schedule))
        predict = reusing(self.predictor(y_hat, c0, r), self.buffer, s.depth)
        drawn = sample(predict, start, self.schedule, SAMPLERS[s.sampler], lambda n: self._noise(y_hat, frame, n), watch)
        self.buffer.finish(s.depth)
        self.before = y_hat
        return drawn

    def predictor(self, y_hat: Tensor, c0: Tensor, r: Tensor) -> Callable[[Tensor, int], Tensor]:
        """predict(z_n, n): the clean latent seen in a noisy one, for a frame's decoded latent, context and ratio."""
        context = self.denoiser.empty.expand(len(y_hat), -1, -1) if self.prompt is None else self.prompt(r)
        return lambda z_n, n: clean_latent(self.denoiser, self.control, self.schedule, z_n, n, context, y_hat, c0)

    def _noise(self, like: Tensor, frame: int, step: int) -> Tensor:
        return gaussian_noise(tuple(like.shape), seed=self.sampling.seed, frame=frame, step=step).to(like.device)
