"""Recipe of the lab denoiser: predict the noise in latents of random crops, at every noise level alike."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.diffusion.autoencoder import Autoencoder, load_autoencoder
from codec_lib.diffusion.denoiser import PROFILES, Denoiser, load_denoiser, save_denoiser
from codec_lib.diffusion.process import add_noise, target
from codec_lib.diffusion.schedule import Schedule, scaled_linear
from codec_lib.errors import UsageError
from codec_lib.training.card import write_card
from codec_lib.training.data import StillPictures
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training

POOL = 1024
"""Latents that are kept: a batch of 16 with 4 new ones draws each about four times."""
VALIDATED_AT = (50, 200, 400, 600, 800, 1000)

WHAT = (
    "A denoiser of the lab autoencoder's latents, trained without labels: the image prior of the diffusion chapters. It "
    "listens to a context of tokens, which this training leaves empty."
)
BAD_AT = (
    "It has seen a few hundred photographs and a few dozen videos. From pure noise it makes textures that look like parts of "
    "photographs, not scenes; its use is in finishing what a codec has begun."
)


class DenoiserRecipe(Recipe):
    """Mean squared error of the prediction, steps drawn evenly over the batch so that each batch covers all levels.

    autoencoder: makes the latents; it is not trained. schedule: Stable Diffusion's unless given. fresh: latents that a step
    encodes; they take the place of the oldest in a pool, from which the batch is drawn. Encoding as many as the batch has would
    be half the time of a step at lab size, and a latent is new each time that noise is added to it.
    """

    name = "unet"
    learning_rate = 1e-3

    def __init__(self, pictures: StillPictures, autoencoder: Autoencoder, model: Denoiser, batch: int = 8,
                 schedule: Schedule | None = None, seed: int = 0, fresh: int = 4):
        if autoencoder.config.latent_channels != model.config.latent_channels:
            raise UsageError(f"the autoencoder makes {autoencoder.config.latent_channels} channels, "
                             f"the denoiser takes {model.config.latent_channels}")
        self.pictures, self.model, self.batch = pictures, model, batch
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.schedule = schedule or scaled_linear()
        self.generator = torch.Generator().manual_seed(seed)
        self.fresh, self.pool = fresh, None

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        y_0 = self.drawn()
        offset = torch.rand((), generator=self.generator)
        n = (1 + ((torch.arange(self.batch) + offset) / self.batch * len(self.schedule)).long()).clamp(max=len(self.schedule))
        eps = torch.randn(y_0.shape, generator=self.generator).to(y_0.device)
        error = self.errors(y_0, eps, n).mean()
        return error, {"loss": error.item()}

    def drawn(self) -> Tensor:
        """A batch from the pool, some of it new."""
        new = self.latents(self.fresh if self.pool is not None else self.batch)
        self.pool = new if self.pool is None else torch.cat([self.pool, new])[-POOL:]
        return self.pool[torch.randperm(len(self.pool), generator=self.generator)[: self.batch]]

    @torch.no_grad()
    def latents(self, count: int) -> Tensor:
        """Latents of random crops, float32."""
        device = self.model.empty.device
        x = self.pictures.batch(count).to(device, memory_format=torch.channels_last)
        return self.autoencoder.to(device).encode(x).float()

    def errors(self, y_0: Tensor, eps: Tensor, n: Tensor) -> Tensor:
        """Mean squared error of each sample's prediction, (N,)."""
        kind = self.model.config.prediction
        y_n = add_noise(self.schedule, y_0, eps, n)
        output = self.model(y_n, self.schedule.timesteps[n].to(y_n.device))
        return (output.float() - target(self.schedule, y_0, eps, n, kind)).pow(2).mean(dim=(1, 2, 3))

    def validate(self) -> dict[str, float]:
        """Error at fixed steps on fixed crops of the training pictures: it shows progress, not quality."""
        state, self.pictures.random = self.pictures.random, type(self.pictures.random)(1)
        y_0 = self.latents(8)
        self.pictures.random = state
        eps = torch.randn(y_0.shape, generator=torch.Generator().manual_seed(1)).to(y_0.device)
        return {f"error_{n}": round(self.errors(y_0, eps, torch.full((8,), n)).mean().item(), 4) for n in VALIDATED_AT}


def train(args, meter) -> Path:
    """Train the lab denoiser as the command line asks, and write checkpoint and card."""
    if args.profile not in PROFILES:
        raise UsageError(f"unet has no profile '{args.profile}': choose from {', '.join(PROFILES)}")
    if args.autoencoder is None:
        raise UsageError("a denoiser is trained in the latents of an autoencoder: name its checkpoint with --autoencoder")
    pictures = StillPictures(args.data, seed=args.seed, cache=args.out.parent / "cache")
    model = load_denoiser(args.start).train() if args.start else Denoiser(PROFILES[args.profile])
    recipe = DenoiserRecipe(pictures, load_autoencoder(args.autoencoder), model, batch=args.batch, seed=args.seed)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed,
                          on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    save_denoiser(path, model.cpu())
    write_card(path, title=f"unet, {args.profile} profile", what=WHAT, bad_at=BAD_AT, model=model, config=model.config,
               result=result, batch=args.batch, crop=pictures.crop, seed=args.seed, data=pictures.described(), note=args.note)
    return path
