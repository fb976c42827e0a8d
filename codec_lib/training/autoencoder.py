"""Recipe of the lab autoencoder: squared error, a perceptual distance, and a little pressure towards a normal posterior.

It begins as the principal components of its training pictures (`start_linear`) and not as noise.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from codec_lib.diffusion.autoencoder import PROFILES, Autoencoder, load_autoencoder, save_autoencoder, start_linear
from codec_lib.errors import UsageError
from codec_lib.metrics.lpips_metric import load_lpips
from codec_lib.training.card import write_card
from codec_lib.training.data import StillPictures
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training

ERROR_WEIGHT = 40.0
"""Of the mean squared error of pixels in [0, 1]: at 26 dB it then weighs as much as an LPIPS of 0.1."""
KL_WEIGHT = 1e-6
LOGVAR_RANGE = (-12.0, 8.0)
LPIPS_SIDE = 128
STARTING_CROPS = 64
"""Crops of which the principal components are taken."""

WHAT = (
    "An autoencoder of single frames, eight times smaller on each side, for the diffusion models of the book to work in. "
    "Its bottleneck is continuous: it compresses nothing by itself."
)
BAD_AT = (
    "Small text, faces and fine regular patterns come back changed: squared error and LPIPS on a few hundred photographs "
    "do not teach them. No adversarial loss was used, so texture is softer than Stable Diffusion's."
)


class AutoencoderRecipe(Recipe):
    """Random crops; loss 40 MSE + LPIPS + 1e-6 KL per latent value.

    pictures: training crops. net: LPIPS backbone, as named in the weights table. lpips_side: LPIPS is taken of a square of
    this side at a random place, the same in all crops of a batch, which expects the same at a part of the cost; None: of
    whole crops. Raises MissingWeights where the backbone is not on this machine.
    """

    name = "vae"

    def __init__(self, pictures: StillPictures, model: Autoencoder, batch: int = 8, net: str = "squeeze",
                 lpips_side: int | None = LPIPS_SIDE):
        self.pictures, self.model, self.batch, self.net, self.lpips_side = pictures, model, batch, net, lpips_side
        self.lpips = load_lpips(net)

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        device = self.model.scale.device
        x = self.pictures.batch(self.batch).to(device, memory_format=torch.channels_last)
        mean, logvar = self.model.posterior(x)
        mean, logvar = mean.float(), logvar.float().clamp(*LOGVAR_RANGE)
        sampled = mean + (0.5 * logvar).exp() * torch.randn_like(mean)
        x_hat = self.model.decode(sampled * self.model.scale)
        mse = (x_hat.float() - x).pow(2).mean()
        part = self.part(x)
        distance = self.lpips.to(device)(2 * x_hat[part].clamp(0, 1) - 1, 2 * x[part] - 1).float().mean()
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum(dim=(1, 2, 3)).mean()
        loss = ERROR_WEIGHT * mse + distance + KL_WEIGHT * kl
        return loss, {"loss": loss.item(), "mse": mse.item(), "lpips": distance.item(), "kl": kl.item()}

    def part(self, x: Tensor) -> tuple[slice, ...]:
        """The square of which LPIPS is taken."""
        side = min(self.lpips_side or max(x.shape[-2:]), *x.shape[-2:])
        places = (torch.randint(whole - side + 1, ()).item() for whole in x.shape[-2:])
        return (..., *(slice(at, at + side) for at in places))

    def validate(self) -> dict[str, float]:
        """On fixed crops of the training pictures: it shows progress, not quality."""
        state, self.pictures.random = self.pictures.random, type(self.pictures.random)(1)
        x = self.pictures.batch(16).to(self.model.scale.device)
        self.pictures.random = state
        x_hat = self.model.decode(self.model.encode(x)).clamp(0, 1)
        mse = (x_hat - x).pow(2).mean(dim=(1, 2, 3))
        return {"psnr": round((-10 * torch.log10(mse)).mean().item(), 3),
                "lpips": round(self.lpips(2 * x_hat - 1, 2 * x - 1).mean().item(), 4)}


def train(args, meter) -> Path:
    """Train the lab autoencoder as the command line asks, measure its latents' scale, and write checkpoint and card."""
    if args.profile not in PROFILES:
        raise UsageError(f"vae has no profile '{args.profile}': choose from {', '.join(PROFILES)}")
    pictures = StillPictures(args.data, seed=args.seed, cache=args.out.parent / "cache")
    model = load_autoencoder(args.start).train() if args.start else started(Autoencoder(PROFILES[args.profile]), pictures)
    recipe = AutoencoderRecipe(pictures, model, batch=args.batch)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed,
                          on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, path)
    write_card(path, title=f"vae, {args.profile} profile", what=WHAT, bad_at=BAD_AT, model=model, config=model.config,
               result=result, batch=args.batch, crop=pictures.crop, seed=args.seed, data=pictures.described(), note=args.note)
    return path


def started(model: Autoencoder, pictures: StillPictures) -> Autoencoder:
    """The model, begun as principal components of the pictures where its configuration has a linear path."""
    if model.linear is not None:
        start_linear(model, pictures.batch(STARTING_CROPS))
    return model


@torch.no_grad()
def export(recipe: AutoencoderRecipe, path: Path, batches: int = 16) -> str:
    """Scale latents to unit variance over training crops, and write the checkpoint. Returns its SHA-256."""
    model = recipe.model.cpu().eval()
    means = torch.cat([model.posterior(recipe.pictures.batch(8))[0] for _ in range(batches)])
    model.scale.fill_(1 / means.std())
    model.config = replace(model.config, scale=round(model.scale.item(), 6))
    model.scale.fill_(model.config.scale)
    return save_autoencoder(path, model)
