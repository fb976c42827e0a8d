"""Recipe of the `conditional` codec: distortion first, then rate, then longer and longer sequences.

The I frames come from the shipped `intra` codec, which is not trained further. At lab size P frames start as that codec's linear
transform and entropy model, applied to what the motion-compensated prediction leaves over. Learned motion has to be learned
first, so there training begins with the motion networks alone (`conditional_schedule`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.export import load_parts, round_as_shipped, save_parts, trainable
from codec_lib.codecs.conditional.fit import fit_tables
from codec_lib.codecs.conditional.model import ConditionalModel, Reference
from codec_lib.codecs.conditional.profiles import INTRA_PROFILE, profile_config
from codec_lib.codecs.conditional.profiles import with_options as with_options
from codec_lib.codecs.conditional.reference import PFrame
from codec_lib.codecs.intra import load as load_intra_codec
from codec_lib.codecs.intra.export import load_trainable as load_intra
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import UsageError
from codec_lib.layers.warping import warp
from codec_lib.training.card import write_card
from codec_lib.training.conditional_schedule import schedule_of
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import FIELD_WEIGHTS, Sequences
from codec_lib.video.clip import Video

WHAT = {
    "symbols": "A low-delay video codec: motion on a lattice, temporal contexts, contextual encoder and decoder, hyper, temporal and "
               "two-step prior in integers, 64 qualities in one model. I frames are coded by `intra`.",
    "context": "A low-delay video codec: temporal contexts, contextual encoder and decoder, hyper, temporal and spatial prior, 64 "
               "qualities in one model. Its probabilities depend on floats: streams decode on the kind of machine that made them "
               "only. I frames are coded by `intra`.",
}
"""By temporal prior."""
BAD_AT = (
    "Trained for squared error on a few dozen short clips of natural video. Motion beyond 255 pixels a frame, cross-fades and "
    "flashes are predicted badly; at the lowest qualities texture is smoothed away. It refers to one frame before only."
)
FIT_CLIPS, FIT_FRAMES = 96, 8
"""Crops of clips, and frames of each, on which coding tables are counted."""


INTRA_BETTER = (0.0, 0.25)
"""Range of how much better an I frame is than the P frames that follow, in relative quality."""
PREDICTION_WEIGHT = 0.1
"""Of the prediction's squared error beside that of the frame."""


class ConditionalRecipe(Recipe):
    """Random crops of clips, a random quality for each; the loss is the mean logarithm of a sequence's rate-distortion cost

        J = sum over its frames of bpp + lambda 255^2 (MSE + PREDICTION_WEIGHT * the prediction's MSE).

    A BD-rate counts relative savings, on a clip that stands still as much as on one that moves, at low rates as much as at
    high ones; without the logarithm the costliest sequences decide the gradient alone.

    The gradient runs through all frames of a sequence, so what a frame leaves to the next counts (the "cascaded" loss of
    the published codecs). The entropy model runs in integers, where streams will be portable, and rates are those of rounded
    symbols, from the first step: with 1.5 latents a pixel, nearly all of them zero, the 0.16 bits that additive noise charges
    for a sure zero would come to 0.24 bits a pixel, ten times the rate of a good P frame.
    """

    name = "conditional"
    learning_rate = 1.0e-3

    def __init__(self, sequences: Sequences, intra: IntraModel, config: ConditionalConfig | None = None, batch: int = 4,
                 seed: int = 0):
        self.sequences, self.batch = sequences, batch
        self.intra = intra.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.intra.quantise = True
        set_quantise(self.intra.entropy, True)
        self.model = self.begun(config)
        self.model.quantise = True
        set_quantise(self.model.entropy, self.model.config.portable)
        self.schedule = schedule_of(self.model.config)
        self.random = random.Random(seed)

    def begun(self, config: ConditionalConfig | None) -> ConditionalModel:
        """The model, before training."""
        model = ConditionalModel(config)
        start_from_intra(model, self.intra)
        return model

    def at(self, progress: float) -> None:
        learns = self.schedule.at(progress).learns
        for name, p in self.model.named_parameters():
            p.requires_grad_(learns == "all" or name.startswith("flow.") == (learns == "motion"))

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        stage, jitter = self.schedule.at(progress), self.schedule.jitter
        lead = self.random.randint(0, stage.lead)
        x, motion = self.batch_of(self.batch, 1 + lead + stage.frames)
        u = torch.tensor([self.random.random() for _ in range(self.batch)], device=x.device)
        cost, bpp, mse = torch.zeros(self.batch, device=x.device), [], []
        reference = self.intra_reference(x[0], self.intra_quality(u, self.random.random()))
        for t in range(1, len(x)):
            u_t = (u + self.random.uniform(-jitter, jitter)).clamp(0, 1)
            with torch.set_grad_enabled(t > lead):
                if stage.learns == "motion":
                    frame_bpp, frame_mse = self.prediction(x[t], reference, u_t)
                    error = frame_mse
                else:
                    coded = self.p_frame(x[t], reference, motion[t - 1], u_t)
                    reference = left(coded)
            if t > lead:
                if stage.learns != "motion":
                    frame_bpp, frame_mse = self.bpp(coded), self.mse(coded.reference.x_hat, x[t])
                    error, prediction_error = self.errors(coded, x[t])
                    error = error + PREDICTION_WEIGHT * prediction_error
                lam = self.model.config.lambdas(u_t) * self.schedule.weight(t)
                cost = cost + lam * error + (frame_bpp if stage.rate else 0)
                bpp.append(frame_bpp.mean().item())
                mse.append(frame_mse.mean().item())
        loss = (cost / stage.frames).log().mean()
        return loss, {"loss": loss.item(), "bpp": sum(bpp) / len(bpp), "mse": sum(mse) / len(mse)}

    def batch_of(self, n: int, length: int) -> tuple[Tensor, Tensor]:
        """Crops and their motion, where the model is."""
        device = next(self.model.parameters()).device
        self.intra.to(device)
        return tuple(part.to(device) for part in self.sequences.batch(n, length))

    def intra_quality(self, u: Tensor, share: float) -> Tensor:
        """Relative quality of the I frame before P frames of quality u (N,). share: 0 to 1, from the worst to the best."""
        return (u + INTRA_BETTER[0] + share * (INTRA_BETTER[1] - INTRA_BETTER[0])).clamp(0, 1)

    def intra_reference(self, x: Tensor, u: Tensor) -> Reference:
        """What an I frame of relative quality u leaves to the first P frame."""
        with torch.no_grad():
            coded = self.intra(x.contiguous(memory_format=torch.channels_last), u)
        return Reference(rounded(coded.x_hat), None, coded.y_hat, u)

    def prediction(self, x: Tensor, reference: Reference, u: Tensor) -> tuple[Tensor, Tensor]:
        """Of learned motion alone: bits per pixel, and squared error of the frame that it predicts on the 0..255 scale, (N,)."""
        motion = self.model.flow(x, reference, None, u, self.model.quantise)
        error = (warp(reference.x_hat, motion.flow) - x).pow(2).mean(dim=(1, 2, 3))
        return motion.bits / (x.shape[2] * x.shape[3]), 255**2 * error

    def p_frame(self, x: Tensor, reference: Reference, motion: Tensor, u: Tensor) -> PFrame:
        """Code one P frame. motion: (weights, N, 2, R, C), not looked at where motion is learned."""
        nodes = None
        if self.model.config.motion == "lattice":
            nodes = torch.stack([motion[min(int(len(motion) * q), len(motion) - 1), i] for i, q in enumerate(u)])
        return self.model(x.contiguous(memory_format=torch.channels_last), reference, nodes, u)

    def bpp(self, coded: PFrame) -> Tensor:
        """Bits per pixel, (N,)."""
        return (coded.bits_y + coded.bits_z + coded.bits_motion) / (coded.reference.x_hat.shape[2] * coded.reference.x_hat.shape[3])

    def mse(self, picture: Tensor, x: Tensor) -> Tensor:
        """Squared error on the 0..255 scale, (N,)."""
        return 255**2 * (picture - x).pow(2).mean(dim=(1, 2, 3))

    def errors(self, coded: PFrame, x: Tensor) -> tuple[Tensor, Tensor]:
        """What lambda multiplies: errors of frame and prediction, (N,) each."""
        return self.mse(coded.reference.x_hat, x), self.mse(coded.x_bar, x)

    def validate(self) -> dict[str, float]:
        """On fixed crops of the training clips, three P frames after an I frame: it shows progress, not quality."""
        state, self.sequences.random = self.sequences.random, random.Random(1)
        x, motion = self.batch_of(8, 4)
        self.sequences.random = state
        result = {}
        for quality in (0, 21, 42, 63):
            u = torch.full((8,), quality / 63, device=x.device)
            reference, found = self.intra_reference(x[0], (u + 0.1).clamp(0, 1)), []
            for t in range(1, len(x)):
                coded = self.p_frame(x[t], reference, motion[t - 1], u)
                reference = left(coded)
                found.append(self.shown(coded, x[t]))
            result |= {f"{name}_{quality}": round(sum(f[name] for f in found) / len(found), 4) for name in found[0]}
        return result

    def shown(self, coded: PFrame, x: Tensor) -> dict[str, float]:
        """What validation says of a P frame."""
        psnr = 10 * torch.log10(255**2 / self.mse(coded.reference.x_hat, x))
        return {"bpp": self.bpp(coded).mean().item(), "psnr": psnr.mean().item()}


def left(coded: PFrame) -> Reference:
    """What a coded frame leaves to the next."""
    return coded.reference._replace(x_hat=rounded(coded.reference.x_hat))


def rounded(x_hat: Tensor) -> Tensor:
    """Clamp to [0, 1]. The gradient passes where the value is inside."""
    return x_hat.clamp(0, 1)


@torch.no_grad()
def start_from_intra(model: ConditionalModel, intra: IntraModel) -> None:
    """Take over what the I-frame codec knows of blocks and bits: linear transforms, gains, hyper-encoder, entropy model."""
    known, state = intra.state_dict(), model.state_dict()
    taken = ("g_a.linear.", "g_a.gain.", "g_s.linear.", "g_s.gain.", "h_a.", "entropy.h_s.", "entropy.prior_1.",
             "entropy.prior_2.", "entropy.z_class")
    fitting = {n: known[n] for n, t in state.items() if n.startswith(taken) and n in known and known[n].shape == t.shape}
    model.load_state_dict(state | fitting)


def train(args, meter) -> Path:
    """Train the conditional codec as the command line asks, export it, and write its card beside it."""
    config = profile_config(args.profile)
    sequences = Sequences(args.data, cache=args.out.parent / "cache", crop=args.crop, seed=args.seed,
                          searches=FIELD_WEIGHTS if config.motion == "lattice" else ())
    intra_path = args.intra or checkpoint_path("intra", INTRA_PROFILE)
    intra = load_intra(intra_path)
    recipe = ConditionalRecipe(sequences, intra, config, batch=args.batch, seed=args.seed)
    if args.start:
        start_from(recipe.model, args.start)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume,
                          seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    export(recipe, intra_path, lambda *fitted: save_parts(path, *fitted))
    write_card(path, title=f"conditional, {args.profile} profile", what=WHAT[config.temporal_prior], bad_at=BAD_AT,
               model=recipe.model, config=config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed,
               data=sequences.described(), note=args.note)
    return path


@torch.no_grad()
def start_from(model: ConditionalModel, checkpoint: Path) -> None:
    """Take over the weights of a checkpoint. What the lab codec lacks of one that looks at the temporal context starts at zero.

    Raises UsageError where anything else is missing.
    """
    known = trainable(load_parts(checkpoint)).state_dict()
    missing = {n for n, t in model.state_dict().items() if n not in known or known[n].shape != t.shape}
    added = {n for n in missing if n.startswith("entropy.context.")}
    if wrong := sorted(missing - added):
        raise UsageError(f"'{checkpoint.name}' does not fit the model to be trained ({wrong[0]} differs): name one of its profile")
    model.load_state_dict({n: t if n in added else known[n] for n, t in model.state_dict().items()})
    if added:
        torch.nn.init.zeros_(model.entropy.context.second.weight)
        torch.nn.init.zeros_(model.entropy.context.second.bias)
    set_quantise(model.entropy, model.config.portable)


def export(recipe: ConditionalRecipe, intra_path: Path, save: Callable[..., str], made: type[ConditionalCodec] = ConditionalCodec
           ) -> str:
    """Fit coding tables to training clips and write the checkpoint. Returns its SHA-256.

    save: called with model, tables, motion and the digest of the I-frame codec. made: the codec's class.
    """
    model = recipe.model.cpu().eval()
    round_as_shipped(model)
    codec = load_intra_codec(checkpoint=intra_path)
    crops = [(recipe.sequences.batch(1, FIT_FRAMES)[0][:, 0] * 255).round().to(torch.uint8) for _ in range(FIT_CLIPS)]
    clips = [Video(c.contiguous(), Fraction(24), "crop") for c in crops]
    tables, motion = fit_tables(model, codec, clips, range(model.config.n_qualities), made=made)
    return save(model, tables, motion, codec.checkpoint.hex())
