"""The gates of DiffVC's generator by themselves, once it draws: last stage of its training.

A decoded latent looks the same where texture was lost and where there never was any. A generator that was shown both learned to draw
nothing: textured clips lost what they had gained. So it learns on sharp pictures, and draws; then it stays as it is, and the gates, who
see the I frame, learn on pictures of which some are out of focus where to let it through. Told of the I frame itself, by the latent of
where it has come as a further hint, the generator still learned to draw less in 1500 steps of both: LPIPS of four dev clips, as shown,
was 20 (textured) and 53 % (not) below that of decoded latents, instead of 23 and 52 % with gates alone.

Nor does the generator's shortcut learn along, on pictures that the generator has not seen. It was tried, on closer windows of the
training clips, 300 steps: the generator by itself then hardly harms a clip out of focus (bee, LPIPS over that of the decoded latent, +4 %
instead of +40), but on clips with texture drawing brings 0.7 to 1 % of what is shown, and not 5 to 7.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.errors import MissingWeights, UsageError
from codec_lib.training import diffvc_generator
from codec_lib.training.diffvc_generator import PERCEPTUAL_WEIGHT, PIXEL_WEIGHT, GeneratorRecipe

CLIPS = {"varied": True, "blurred": 0.2}
"""See `Sequences`: photographs turned, mirrored, lighter and darker; one sequence in five is out of focus."""
with_options = diffvc_generator.with_options  # of the generator that is there: gates of one without prompts are trained by prompt=none
LAST = 200
"""Training step up to which predictions are shown: those of the last steps are what a viewer sees."""


class GatesRecipe(GeneratorRecipe):
    """LPIPS and the pixels' squared error of what is shown, for the gates alone. Raises UsageError for a generator without gates and
    MissingWeights without a backbone of LPIPS."""

    name = "diffvc-gates"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "gates" not in self.model:
            raise UsageError("this generator has no gates to be trained")
        if self.lpips is None:
            raise MissingWeights("gates are trained for LPIPS, whose backbone is not there: see 'python -m codec_lib metrics'")
        self.model.requires_grad_(False)
        self.model["gates"].requires_grad_(True)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        coded = self.pool.draw(self.batch, self.generator)
        n = torch.randint(1, LAST + 1, (self.batch,), generator=self.generator)
        told = torch.rand(self.batch, generator=self.generator) < self.prompt_kept
        with torch.no_grad():
            y_0 = self.predicted(coded, self.noisy(coded, n), n, told)[1]
        self.pool.remember(y_0)
        distance, difference = (found.mean() for found in self.distance(y_0, coded))
        loss = PERCEPTUAL_WEIGHT[True] * distance + PIXEL_WEIGHT * difference
        return loss, {"loss": loss.item(), "lpips": distance.item(), "mse": difference.item()}


def train(args, meter) -> Path:
    """Train the gates of the generator that ``--start`` names, and write it anew, with its card. Raises UsageError without one."""
    if not args.start:
        raise UsageError("gates are trained for a generator that is there: name it with --start FILE")
    return diffvc_generator.train(args, meter, GatesRecipe, **CLIPS)
