"""Recipe of the `intra` codec: rate + lambda * distortion over all qualities at once, then integers.

Profile perceptual goes on from profile lab with LPIPS as most of the distortion.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.intra.export import load_parts, save_parts
from codec_lib.codecs.intra.fit import fit_tables
from codec_lib.codecs.intra.model import IntraConfig, IntraForward, IntraModel, profile_config
from codec_lib.entropy.integer import set_quantise
from codec_lib.metrics.lpips_metric import load_lpips
from codec_lib.training import perception
from codec_lib.training.card import write_card
from codec_lib.training.data import StillPictures
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training

QUANTISE_FROM = 0.55
"""Share of the training after which the entropy model is trained in integer arithmetic, on the rate of rounded symbols."""
VALIDATION_SEED = 1
BEGUN_WITH = {"perceptual": "lab"}
"""The profile with whose weights the training of another begins."""
ERROR_SHARE, LPIPS_WEIGHT = 0.25, 600.0
"""Of the squared error, and of LPIPS, in what lambda multiplies, where LPIPS counts. A quality then costs about as many bits as before:
between neighbouring rates LPIPS falls by as much as bits rise."""

WHAT = (
    "A picture codec for single frames: hyperprior, two-step spatial prior, 64 qualities in one model, probability path "
    "in integers. It codes every frame of a clip by itself, and I frames of the video codecs."
)
BAD_AT = (
    "{} on a few hundred photographs and a few dozen videos: screen content, text, line art and "
    "film grain are not in it. At the lowest qualities texture is smoothed away. Colour is 8-bit "
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
    trained_for = "Trained for squared error"
    quantise_from = QUANTISE_FROM

    def __init__(self, pictures: StillPictures, config: IntraConfig | None = None, batch: int = 4, seed: int = 0):
        self.model = IntraModel(config)
        self.pictures, self.batch = pictures, batch
        self.generator = torch.Generator().manual_seed(seed)

    def at(self, progress: float) -> None:
        on = progress >= self.quantise_from
        if self.model.quantise != on:
            self.model.quantise = on
            set_quantise(self.model.entropy, on)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        c = self.model.config
        device = next(self.model.parameters()).device
        x = self.pictures.batch(self.batch).to(device, memory_format=torch.channels_last)
        quality = torch.randint(0, c.n_qualities, (self.batch,), generator=self.generator)
        u = (quality / (c.n_qualities - 1)).to(device)
        found = self.figures(x, u)
        lam = self.model.lambdas(u)
        loss = ((found["bpp"] + lam * self.distortion(found)) * (c.lambda_high / lam) ** 0.4).mean()
        return loss, {"loss": loss.item()} | {name: values.mean().item() for name, values in found.items()}

    def figures(self, x: Tensor, u: Tensor) -> dict[str, Tensor]:
        """Estimated bits per pixel (bpp) and mean squared error on the 0..255 scale (mse), each (N,)."""
        return self.judged(self.model(x, u), x)

    def judged(self, out: IntraForward, x: Tensor) -> dict[str, Tensor]:
        """The same of what the model made of pictures x."""
        bpp = (out.bits_y + out.bits_z) / (x.shape[2] * x.shape[3])
        return {"bpp": bpp, "mse": 255**2 * (out.x_hat - x).pow(2).mean(dim=(1, 2, 3))}

    def distortion(self, found: dict[str, Tensor]) -> Tensor:
        """What lambda multiplies, of `figures`, (N,)."""
        return found["mse"]

    def validate(self) -> dict[str, float]:
        state, self.pictures.random = self.pictures.random, type(self.pictures.random)(VALIDATION_SEED)
        device = next(self.model.parameters()).device
        x = self.pictures.batch(16).to(device, memory_format=torch.channels_last)
        self.pictures.random = state
        result = {}
        for quality in (0, 21, 42, 63):
            u = torch.full((len(x),), quality / (self.model.config.n_qualities - 1), device=device)
            found = self.figures(x, u)
            found["psnr"] = 10 * torch.log10(255**2 / found.pop("mse"))
            result |= {f"{name}_{quality}": round(values.mean().item(), 4) for name, values in found.items()}
        return result


class PerceptualRecipe(IntraRecipe):
    """lambda (0.25 255^2 MSE + 600 LPIPS) in place of lambda 255^2 MSE; integers from the first step. Raises MissingWeights where
    LPIPS's backbone is not there."""

    trained_for = "Trained for LPIPS in the main, after squared error,"
    learning_rate = 4e-4
    clip = 1.0
    quantise_from = 0.0

    def __init__(self, pictures: StillPictures, config: IntraConfig | None = None, batch: int = 4, seed: int = 0, net: str = "squeeze"):
        super().__init__(pictures, config, batch, seed)
        self.lpips, self.places = load_lpips(net), torch.Generator().manual_seed(seed)

    def judged(self, out: IntraForward, x: Tensor) -> dict[str, Tensor]:
        place = perception.square(*x.shape[-2:], self.places)
        distance = perception.distance(self.lpips, out.x_hat[..., *place], x[..., *place], self.places)
        return super().judged(out, x) | {"lpips": distance}

    def distortion(self, found: dict[str, Tensor]) -> Tensor:
        return ERROR_SHARE * found["mse"] + LPIPS_WEIGHT * found["lpips"]

    def validate(self) -> dict[str, float]:
        state, self.places = self.places, torch.Generator().manual_seed(VALIDATION_SEED)
        found = super().validate()
        self.places = state
        return found


def train(args, meter) -> Path:
    """Train the intra codec as the command line asks, export it, and write its card beside it."""
    pictures = StillPictures(args.data, seed=args.seed, cache=args.out.parent / "cache")
    before = BEGUN_WITH.get(args.profile)
    made = PerceptualRecipe if before else IntraRecipe
    recipe = made(pictures, profile_config(args.profile), batch=args.batch, seed=args.seed)
    if start := args.start or (before and checkpoint_path("intra", before)):
        recipe.model.load_state_dict(load_parts(start, "float")[0].state_dict())
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume,
                          seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, path)
    write_card(path, title=f"intra, {args.profile} profile", what=WHAT, bad_at=BAD_AT.format(recipe.trained_for), model=recipe.model,
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
