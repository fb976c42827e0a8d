"""Recipe of the `intra` codec: rate + lambda * distortion over all qualities at once, then integers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.codecs.intra.export import load_parts, save_parts
from codec_lib.codecs.intra.fit import fit_tables
from codec_lib.codecs.intra.model import IntraConfig, IntraModel, profile_config
from codec_lib.entropy.integer import set_quantise
from codec_lib.training.card import write_card
from codec_lib.training.data import StillPictures
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training

QUANTISE_FROM = 0.55
"""Share of the training after which the entropy model is trained in integer arithmetic, on the rate of rounded symbols."""
VALIDATION_SEED = 1

WHAT = (
    "A picture codec for single frames: hyperprior, two-step spatial prior, 64 qualities in one model, probability path "
    "in integers. It codes every frame of a clip by itself and is the I-frame codec of the video codecs."
)
BAD_AT = (
    "Trained for squared error on a few hundred photographs and a few dozen videos: screen content, text, line art and "
    "film grain are not in it. At the lowest qualities texture is smoothed away, as squared error asks. Colour is 8-bit "
    "BT.709 RGB; frames far larger than 1024 pixels were never seen."
)


class IntraRecipe(Recipe):
    """Random crops, a random quality for each, loss (bpp + lambda 255^2 MSE) * (lambda_high / lambda)^0.4.

    The last factor evens out what the rate points weigh: without it the highest quality, whose loss is some twenty times
    that of the lowest, decides the gradient alone, while a BD-rate counts relative savings at all rates alike.

    Validation is on crops that the sampler draws with a seed of its own from the *training* pictures: it shows progress;
    quality on unseen clips is measured by `eval`.
    """

    name = "intra"

    def __init__(self, pictures: StillPictures, config: IntraConfig | None = None, batch: int = 4, seed: int = 0):
        self.model = IntraModel(config)
        self.pictures, self.batch = pictures, batch
        self.generator = torch.Generator().manual_seed(seed)

    def at(self, progress: float) -> None:
        on = progress >= QUANTISE_FROM
        if self.model.quantise != on:
            self.model.quantise = on
            set_quantise(self.model.entropy, on)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        c = self.model.config
        device = next(self.model.parameters()).device
        x = self.pictures.batch(self.batch).to(device, memory_format=torch.channels_last)
        quality = torch.randint(0, c.n_qualities, (self.batch,), generator=self.generator)
        u = (quality / (c.n_qualities - 1)).to(device)
        bpp, mse = self.figures(x, u)
        lam = self.model.lambdas(u)
        loss = ((bpp + lam * mse) * (c.lambda_high / lam) ** 0.4).mean()
        return loss, {"loss": loss.item(), "bpp": bpp.mean().item(), "mse": mse.mean().item()}

    def figures(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """Estimated bits per pixel and mean squared error on the 0..255 scale, each (N,)."""
        out = self.model(x, u)
        bpp = (out.bits_y + out.bits_z) / (x.shape[2] * x.shape[3])
        return bpp, 255**2 * (out.x_hat - x).pow(2).mean(dim=(1, 2, 3))

    def validate(self) -> dict[str, float]:
        state, self.pictures.random = self.pictures.random, type(self.pictures.random)(VALIDATION_SEED)
        device = next(self.model.parameters()).device
        x = self.pictures.batch(16).to(device, memory_format=torch.channels_last)
        self.pictures.random = state
        result = {}
        for quality in (0, 21, 42, 63):
            u = torch.full((len(x),), quality / (self.model.config.n_qualities - 1), device=device)
            bpp, mse = self.figures(x, u)
            result[f"bpp_{quality}"] = round(bpp.mean().item(), 4)
            result[f"psnr_{quality}"] = round((10 * torch.log10(255**2 / mse)).mean().item(), 3)
        return result


def train(args, meter) -> Path:
    """Train the intra codec as the command line asks, export it, and write its card beside it."""
    pictures = StillPictures(args.data, seed=args.seed, cache=args.out.parent / "cache")
    recipe = IntraRecipe(pictures, profile_config(args.profile), batch=args.batch, seed=args.seed)
    if args.start:
        recipe.model.load_state_dict(load_parts(args.start, "float")[0].state_dict())
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume,
                          seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, path)
    write_card(path, title=f"intra, {args.profile} profile", what=WHAT, bad_at=BAD_AT, model=recipe.model,
               config=recipe.model.config, result=result, batch=args.batch, crop=pictures.crop, seed=args.seed,
               data=pictures.described(), note=args.note)
    return path


def export(recipe: IntraRecipe, path: Path, batches: int = 48) -> str:
    """Fit the coding tables to training pictures and write the checkpoint. Returns its SHA-256."""
    model = recipe.model.cpu().eval()
    recipe.at(1.0)
    samples = [(recipe.pictures.batch(8) * 255).round().to(torch.uint8) for _ in range(batches)]
    tables = fit_tables(model, samples, range(model.config.n_qualities))
    return save_parts(path, model, tables)
