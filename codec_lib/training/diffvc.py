"""The contextual codec of DiffVC. Stages 1 to 6 of the eight in `data/papers/diffvc.yaml`, as `conditional_schedule` has them;
motion on the lattice needs no learning, so the first two are empty at lab size.

They have squared error. Trained on for LPIPS of what is shown, the codec left little to be drawn: on unseen clips a generator for it
learned to keep to the decoded latent, and the whole was no better.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.checkpoint import checkpoint_path, fill
from codec_lib.codecs.conditional.export import trainable
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_stream import WEIGHT_TIMES_LAMBDA
from codec_lib.codecs.conditional.profiles import INTRA_PROFILE
from codec_lib.codecs.conditional.reference import PFrame, Reference
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.config import PROFILES, LatentConfig, require_size
from codec_lib.codecs.diffvc.export import load_codec_parts, require_autoencoder, save_codec
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.prior import find_prior
from codec_lib.codecs.intra.export import load_trainable as load_intra
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.diffusion.autoencoder import Autoencoder
from codec_lib.entropy.integer import set_quantise
from codec_lib.training.card import write_card
from codec_lib.training.conditional import ConditionalRecipe, export
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import Sequences

INTRA_RANGE = (0.075, 0.425)
"""What I frames have above their share of the quality that is asked for, as relative quality, in training. `LatentStructure` gives
from 0 to 35 of 63 levels, by how long they last: the best are better, the worst worse than P frames were trained with."""

WHAT = (
    "The contextual codec of DiffVC: motion on a lattice, temporal contexts, contextual encoder and decoder of latents of the lab "
    "autoencoder, hyper, temporal and two-step prior in integers, 64 qualities in one model. I frames are coded by `intra`."
)
MOTION_WEIGHT = 85 / 255**2 / LatentConfig.lambda_low
"""Of squared error on the 0..255 scale where learned motion is trained by itself: lambdas then begin where DCVC-DC's do."""
BAD_AT = (
    "What the autoencoder loses it cannot bring back, so its pictures stay below some 29 dB at any rate. Trained for squared error of "
    "latents; by itself it shows soft pictures at low rates, which the diffusion decoder is there for."
)


class ContextualRecipe(ConditionalRecipe):
    """The `conditional` codec's recipe with latents in place of frames: J = bpp + lambda |y - y_hat|^2 / pixel, and the prediction's
    error beside it, as there."""

    name = "diffvc"

    def __init__(self, sequences: Sequences, intra: IntraModel, autoencoder: Autoencoder, config: LatentConfig | None = None,
                 batch: int = 4, seed: int = 0):
        self.autoencoder = autoencoder
        super().__init__(sequences, intra, config or LatentConfig(), batch, seed)

    def begun(self, config: LatentConfig) -> ConditionalModel:
        return ConditionalModel(config, Latents(self.autoencoder, config))

    def intra_quality(self, u: Tensor, share: float) -> Tensor:
        """See `ConditionalRecipe.intra_quality`: the codec of I frames has another scale, see `LatentStructure`."""
        low, high = INTRA_RANGE
        return (DiffVCCodec.usual.intra_slope * u + low + share * (high - low)).clamp(0, 1)

    def prediction(self, x: Tensor, reference: Reference, u: Tensor) -> tuple[Tensor, Tensor]:
        bpp, mse = super().prediction(x, reference, u)
        return bpp, MOTION_WEIGHT * mse

    def errors(self, coded: PFrame, x: Tensor) -> tuple[Tensor, Tensor]:
        y = coded.signal.detach()
        return squared(coded.reference.signal - y), squared(coded.x_bar - y)


def training_clips(args, config: LatentConfig, **choices) -> Sequences:
    """What the command line names, with motion as the encoder would search it at a quarter and at three quarters of the qualities.
    choices: see `Sequences`."""
    searches = (WEIGHT_TIMES_LAMBDA / config.pixel_lambdas(torch.tensor([0.25, 0.75]))).tolist() if config.motion == "lattice" else ()
    return Sequences(args.data, cache=args.out.parent / "cache", crop=args.crop, seed=args.seed,
                     searches=tuple(round(w) for w in searches), **choices)


def squared(difference: Tensor) -> Tensor:
    """Squared error of latents (N, C, H/8, W/8), summed, a pixel: (N,)."""
    return difference.pow(2).sum(dim=(1, 2, 3)) / (64 * difference.shape[2] * difference.shape[3])


def train(args, meter) -> Path:
    """Train the contextual codec as the command line asks, export it, and write its card beside it."""
    config, prior = PROFILES[require_size(args.profile)], find_prior(args.profile, args.prior)
    sequences = training_clips(args, config)
    intra_path, autoencoder = args.intra or checkpoint_path("intra", INTRA_PROFILE), prior.autoencoder()
    recipe = ContextualRecipe(sequences, load_intra(intra_path), autoencoder, config, args.batch, args.seed)
    if args.start:
        parts = load_codec_parts(args.start, autoencoder)
        require_autoencoder(parts, prior.vae_digest)
        fill(recipe.model, trainable(parts).state_dict(), args.start.name)
        set_quantise(recipe.model.entropy, config.portable)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, intra_path, lambda *fitted: save_codec(path, *fitted, prior.vae_digest), DiffVCCodec)
    write_card(path, title=f"diffvc, {args.profile} profile: contextual codec", what=WHAT, bad_at=BAD_AT,
               model=recipe.model, config=recipe.model.config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed,
               data=sequences.described(), note=args.note)
    return path
