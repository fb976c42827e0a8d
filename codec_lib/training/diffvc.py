"""The contextual codec of DiffVC. Stages 1 to 6 of papers.md 1.5, as `conditional_schedule` has them; motion on the lattice needs no
learning, so the first two are empty at lab size.

Squared error, which these stages have, pays for detail that no viewer misses, and for what the last I frame shows anyway. Profile lab
goes on from there with LPIPS of what is shown. It needs to know how pictures are blended, so the order is: the codec of profile mse, a
generator for it, the codec of profile lab, the generator for that.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.conditional.export import trainable
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_stream import WEIGHT_TIMES_LAMBDA
from codec_lib.codecs.conditional.reference import PFrame, Reference
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.config import BEGUN_WITH, INTRA, PROFILES, LatentConfig, require_size
from codec_lib.codecs.diffvc.export import GENERATOR, load_codec_parts, load_generator, save_codec
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.picture import Carried, Gates, carried
from codec_lib.codecs.diffvc.prior import Prior, find_prior
from codec_lib.codecs.intra.export import load_trainable as load_intra
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.diffusion.autoencoder import STRIDE, Autoencoder
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import UsageError
from codec_lib.metrics.lpips_metric import load_lpips
from codec_lib.training import perception
from codec_lib.training.card import write_card
from codec_lib.training.conditional import ConditionalRecipe, export
from codec_lib.training.conditional_schedule import Schedule, Stage
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
    "What the autoencoder loses it cannot bring back, so its pictures stay below some 29 dB at any rate. {} "
    "By itself it shows soft pictures at low rates, which the diffusion decoder is there for."
)
ERROR_SHARE, LPIPS_WEIGHT = 0.25, 0.4
"""Of the squared error of latents, and of LPIPS, in what lambda multiplies. A quality then costs about as many bits as before: between
neighbouring rates LPIPS falls by as much as bits rise."""
TUNING = Schedule((Stage(1.0, frames=3, lead=9),))


class ContextualRecipe(ConditionalRecipe):
    """The `conditional` codec's recipe with latents in place of frames: J = bpp + lambda |y - y_hat|^2 / pixel."""

    name = "diffvc"
    trained_for = "Trained for squared error of latents."

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


class PerceptualRecipe(ContextualRecipe):
    """J = bpp + lambda (0.25 |y - y_hat|^2 / pixel + 0.4 LPIPS), of the picture that is shown where nothing is drawn: the decoded latent
    blended with the last I frame, by gates that stay as they are. net: LPIPS backbone. Raises MissingWeights where it is not there."""

    trained_for = (
        "Trained for LPIPS in the main, which minds lost texture more than bent edges: at low rates what moves fast is smeared until the "
        "next I frame, which the encoder therefore sends sooner where much moves, and what comes in at the border is a few rows of streaks, "
        "since P frames hardly spend bits there."
    )
    learning_rate = 4e-4
    clip = 1.0

    def __init__(self, sequences: Sequences, intra: IntraModel, autoencoder: Autoencoder, config: LatentConfig | None = None,
                 batch: int = 4, seed: int = 0, *, gates: Gates, net: str = "squeeze"):
        self.lpips, self.gates, self.along = load_lpips(net), gates.eval().requires_grad_(False), None
        self.generator = torch.Generator().manual_seed(seed)
        super().__init__(sequences, intra, autoencoder, config, batch, seed)
        self.schedule = TUNING

    def intra_reference(self, x: Tensor, u: Tensor) -> Reference:
        reference = super().intra_reference(x, u)
        self.along = carried(self.model.context.space, reference.x_hat)
        return reference

    def p_frame(self, x: Tensor, reference: Reference, motion: Tensor, u: Tensor) -> PFrame:
        coded = super().p_frame(x, reference, motion, u)
        with torch.no_grad():
            self.along = self.along.moved(coded.flow)
        return coded

    def errors(self, coded: PFrame, x: Tensor) -> tuple[Tensor, Tensor]:
        error, prediction_error = super().errors(coded, x)
        return ERROR_SHARE * error + LPIPS_WEIGHT * self.distance(coded, x), prediction_error

    def distance(self, coded: PFrame, x: Tensor) -> Tensor:
        """LPIPS of a square of the picture that is shown, (N,)."""
        place = perception.square(*x.shape[-2:], self.generator, STRIDE)
        latent = coded.reference.signal[..., *perception.shrunk(place, STRIDE)]
        picture = self.autoencoder.decode(latent.clamp(-6, 6)).float()
        blended = self.gates.to(x.device)(picture, picture, Carried(*(part[..., *place].float() for part in self.along)))
        return perception.distance(self.lpips, blended.float(), x[..., *place], self.generator)

    def validate(self) -> dict[str, float]:
        state, self.generator = self.generator, torch.Generator().manual_seed(1)
        found = super().validate()
        self.generator = state
        return found

    def shown(self, coded: PFrame, x: Tensor) -> dict[str, float]:
        return super().shown(coded, x) | {"lpips": self.distance(coded, x).mean().item()}


def load_gates(path: Path, prior: Prior) -> Gates:
    """The gates of a generator, whichever codec it follows. Raises UsageError where it has none."""
    gates = load_generator(path, prior.denoiser(), prior, None)[2]
    if gates is None:
        raise UsageError(f"'{path.name}' has no gates, and the codec is trained for pictures that they blend: name one that has")
    return gates


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
    before = BEGUN_WITH.get(args.profile)
    gates = load_gates(checkpoint_path(GENERATOR, before), prior) if before else None
    sequences = training_clips(args, config)
    intra_path, autoencoder = args.intra or checkpoint_path("intra", INTRA[args.profile]), prior.autoencoder()
    made = sequences, load_intra(intra_path), autoencoder, config, args.batch, args.seed
    recipe = PerceptualRecipe(*made, gates=gates) if before else ContextualRecipe(*made)
    if start := args.start or (before and checkpoint_path("diffvc", before)):
        recipe.model.load_state_dict(trainable(load_codec_parts(start, autoencoder)).state_dict())
        set_quantise(recipe.model.entropy, config.portable)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, intra_path, lambda *fitted: save_codec(path, *fitted, prior.vae_digest), DiffVCCodec)
    write_card(path, title=f"diffvc, {args.profile} profile: contextual codec", what=WHAT, bad_at=BAD_AT.format(recipe.trained_for),
               model=recipe.model, config=recipe.model.config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed,
               data=sequences.described(), note=args.note)
    return path
