"""The contextual codec of DiffVC. Stages 1 to 6 of papers.md 1.5; motion on the lattice needs no learning, so the first two are
empty at lab size, and `conditional_schedule` has the others."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from codec_lib.checkpoint import checkpoint_path, file_sha256
from codec_lib.codecs.conditional.export import trainable
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.profiles import INTRA_PROFILE
from codec_lib.codecs.conditional.reference import PFrame
from codec_lib.codecs.diffvc import PROFILES
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.export import load_codec_parts, save_codec
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.intra.export import load_parts as load_intra_parts
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.diffusion.autoencoder import Autoencoder, load_autoencoder
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import UsageError
from codec_lib.training.card import write_card
from codec_lib.training.conditional import ConditionalRecipe, export
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import Sequences

WHAT = (
    "The contextual codec of DiffVC: motion on a lattice, temporal contexts, contextual encoder and decoder of latents of the lab "
    "autoencoder, hyper, temporal and two-step prior in integers, 64 qualities in one model. I frames are coded by `intra`."
)
BAD_AT = (
    "What the autoencoder loses it cannot bring back, so its pictures stay below some 29 dB at any rate. Trained for squared error "
    "of latents; by itself it shows soft pictures at low rates, which the diffusion decoder is there for."
)


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


def train(args, meter) -> Path:
    """Train the contextual codec as the command line asks, export it, and write its card beside it."""
    if args.profile not in PROFILES:
        raise UsageError(f"diffvc has no profile '{args.profile}': choose from {', '.join(PROFILES)}")
    sequences = Sequences(args.data, cache=args.out.parent / "cache", seed=args.seed)
    intra_path, vae = args.intra or checkpoint_path("intra", INTRA_PROFILE), args.autoencoder or checkpoint_path("vae", args.profile)
    autoencoder = load_autoencoder(vae)
    recipe = ContextualRecipe(sequences, load_intra_parts(intra_path, "float")[0], autoencoder, batch=args.batch, seed=args.seed)
    if args.start:
        recipe.model.load_state_dict(trainable(load_codec_parts(args.start, autoencoder)).state_dict())
        set_quantise(recipe.model.entropy, True)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, intra_path, lambda *fitted: save_codec(path, *fitted, file_sha256(vae)[:8]), DiffVCCodec)
    write_card(path, title=f"diffvc, {args.profile} profile: contextual codec", what=WHAT, bad_at=BAD_AT, model=recipe.model,
               config=recipe.model.config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed,
               data=sequences.described(), note=args.note)
    return path
