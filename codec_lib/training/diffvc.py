"""Recipes of DiffVC. Stages 1 to 6 of papers.md 1.5 make the contextual codec; motion on the lattice needs no learning, so
the first two are empty at lab size, and `conditional_schedule` has the others."""

from __future__ import annotations

from torch import Tensor

from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.reference import PFrame
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.diffusion.autoencoder import Autoencoder
from codec_lib.training.conditional import ConditionalRecipe
from codec_lib.training.sequences import Sequences


class ContextualRecipe(ConditionalRecipe):
    """The `conditional` codec's recipe with latents in place of frames: J = bpp + lambda |y - y_hat|^2 / pixel."""

    name = "diffvc"

    def __init__(self, sequences: Sequences, intra: IntraModel, autoencoder: Autoencoder, config: LatentConfig | None = None,
                 batch: int = 4, seed: int = 0):
        self.autoencoder = autoencoder
        super().__init__(sequences, intra, config or LatentConfig(), batch, seed)

    def begun(self, config: LatentConfig) -> ConditionalModel:
        return ConditionalModel(config, Latents(self.autoencoder))

    def errors(self, coded: PFrame, x: Tensor) -> tuple[Tensor, Tensor]:
        y = coded.signal.detach()
        return squared(coded.reference.signal - y), squared(coded.x_bar - y)


def squared(difference: Tensor) -> Tensor:
    """Squared error of latents (N, C, H/8, W/8), summed, a pixel: (N,)."""
    return difference.pow(2).sum(dim=(1, 2, 3)) / (64 * difference.shape[2] * difference.shape[3])
