"""The diffusion decoder of DiffVC, stages 7 and 8 of papers.md 1.5: ControlNet, prompt and cross-attention learn to predict the
noise in latents of frames whose coded form is the hint; the contextual codec and the rest of the prior stay as they are."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.conditional.export import trainable
from codec_lib.codecs.conditional.profiles import INTRA_PROFILE
from codec_lib.codecs.diffvc.config import require_size
from codec_lib.codecs.diffvc.export import GENERATOR, GeneratorConfig, load_codec_parts, made, save_generator
from codec_lib.codecs.diffvc.prior import find_prior
from codec_lib.codecs.diffvc.prompt import ratio
from codec_lib.codecs.intra.export import load_parts as load_intra_parts
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.diffusion.process import add_noise, target
from codec_lib.diffusion.schedule import scaled_linear
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import UsageError
from codec_lib.training.card import write_card
from codec_lib.training.conditional import left
from codec_lib.training.diffvc import ContextualRecipe
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import Sequences

POOL = 384
"""Coded frames that are kept to draw batches from."""
REFRESH = 4
"""Steps between codings of new frames."""
LEAD, FRAMES = 4, 2
"""P frames that are coded before those that are kept, at most, and how many are kept."""
PROMPT_KEPT = 0.9
"""Share of the samples that are told their quantisation; the others get the empty prompt, so that one model can do without."""
VALIDATED_AT = (50, 200, 400, 600, 800, 1000)

WHAT = (
    "The diffusion decoder of DiffVC: a ControlNet on decoded latents and temporal contexts, quantisation prompts, and the "
    "cross-attention of the lab denoiser, which it needs beside it."
)
BAD_AT = "It draws what a few hundred photographs and a few dozen clips have taught it: texture that is likely, not what was there."


class CodedLatents(NamedTuple):
    """Frames as the contextual codec leaves them. y: latents of the originals, y_hat: decoded, (N, C, h, w); c0: finest context
    (N, C_0, h, w), in bfloat16; r: quantisation ratios (N,)."""

    y: Tensor
    y_hat: Tensor
    c0: Tensor
    r: Tensor

    @staticmethod
    def joined(parts: list[CodedLatents]) -> CodedLatents:
        return CodedLatents(*(torch.cat(p) for p in zip(*parts, strict=True)))

    def picked(self, index: Tensor | slice) -> CodedLatents:
        return CodedLatents(*(t[index] for t in self))


class GeneratorRecipe(Recipe):
    """Mean squared error of the predicted noise, at steps spread evenly over the batch.

    codec: a `ContextualRecipe` whose model is trained; it codes the training clips. denoiser: the prior. prompt_kept: share of the
    samples that are told their quantisation. folder: of the prior, for prompts of text.
    """

    name = GENERATOR
    learning_rate = 1e-3

    def __init__(self, codec: ContextualRecipe, denoiser: Denoiser, config: GeneratorConfig, batch: int = 16, seed: int = 0,
                 prompt_kept: float = PROMPT_KEPT, folder: Path | None = None):
        self.codec, self.denoiser, self.config, self.batch, self.prompt_kept = codec, denoiser, config, batch, prompt_kept
        codec.model.eval().requires_grad_(False)
        control, prompt = made(config, denoiser, folder)
        denoiser.requires_grad_(False)
        for name, p in denoiser.named_parameters():
            p.requires_grad_(".attn2." in name or name == "empty")
        self.model = nn.ModuleDict({"denoiser": denoiser, "control": control})
        if prompt is not None:
            self.model["prompt"] = prompt
        self.schedule = scaled_linear()
        self.generator, self.random = torch.Generator().manual_seed(seed), random.Random(seed)
        self.pool: CodedLatents | None = None
        self.steps = 0

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        coded = self.drawn()
        offset = torch.rand((), generator=self.generator)
        n = 1 + (((torch.arange(self.batch) + offset) / self.batch) * len(self.schedule)).long()
        told = torch.rand(self.batch, generator=self.generator) < self.prompt_kept
        error = self.error(coded, n, told, self.generator).mean()
        return error, {"loss": error.item()}

    def drawn(self) -> CodedLatents:
        """A batch of coded frames from the pool, which gets new ones now and then."""
        if self.pool is None or self.steps % REFRESH == 0:
            fresh = [self.coded() for _ in range(1 if self.pool is not None else -(-self.batch // (self.codec.batch * FRAMES)))]
            self.pool = CodedLatents.joined([*([self.pool] if self.pool is not None else []), *fresh]).picked(slice(-POOL, None))
        self.steps += 1
        return self.pool.picked(torch.randperm(len(self.pool.r), generator=self.generator)[: self.batch])

    @torch.no_grad()
    def coded(self) -> CodedLatents:
        """New sequences, coded at random qualities; of each the last P frames."""
        c, lead = self.codec, self.random.randint(0, LEAD)
        x, motion = c.batch_of(c.batch, 1 + lead + FRAMES)
        u = torch.tensor([self.random.random() for _ in range(c.batch)], device=x.device)
        reference, found = c.intra_reference(x[0], (u + 0.1).clamp(0, 1)), []
        r = ratio(c.model, u)
        for t in range(1, len(x)):
            coded = c.p_frame(x[t], reference, motion[t - 1], u)
            reference = left(coded)
            if t > lead:
                found.append(CodedLatents(coded.signal, reference.signal, coded.c0.bfloat16(), r))
        return CodedLatents.joined(found)

    def error(self, coded: CodedLatents, n: Tensor, told: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of each sample's prediction at steps n (N,), (N,). told: which are given their prompt, bool (N,)."""
        denoiser, kind = self.denoiser, self.denoiser.config.prediction
        eps = torch.randn(coded.y.shape, generator=generator).to(coded.y.device)
        y_n, timestep = add_noise(self.schedule, coded.y, eps, n), self.schedule.timesteps[n].to(eps.device)
        context = denoiser.empty.expand(len(n), -1, -1)
        if "prompt" in self.model:
            context = torch.where(told.to(eps.device)[:, None, None], self.model["prompt"](coded.r).to(context.dtype), context)
        residuals = self.model["control"](y_n, timestep, context, coded.y_hat, coded.c0)
        output = denoiser(y_n, timestep, context, residuals)
        return (output.float() - target(self.schedule, coded.y, eps, n, kind)).pow(2).mean(dim=(1, 2, 3))

    def validate(self) -> dict[str, float]:
        """Error at fixed steps on fixed training clips, with the prompt: it shows progress, not quality."""
        c, states = self.codec, (self.random, self.codec.sequences.random)
        self.random, c.sequences.random = random.Random(1), random.Random(1)
        coded = CodedLatents.joined([self.coded() for _ in range(2)])
        self.random, c.sequences.random = states
        told = torch.ones(len(coded.r), dtype=torch.bool)
        return {f"error_{n}": round(self.error(coded, torch.full((len(told),), n), told, torch.Generator().manual_seed(1)).mean().item(), 4)
                for n in VALIDATED_AT}


def train(args, meter) -> Path:
    """Train the diffusion decoder as the command line asks, and write checkpoint and card."""
    if args.start:
        raise UsageError(f"{GENERATOR} begins from the denoiser's weights: leave out --start, or add --resume to go on")
    prior, intra_path = find_prior(require_size(args.profile), args.prior), args.intra or checkpoint_path("intra", INTRA_PROFILE)
    autoencoder, denoiser = prior.autoencoder(), prior.denoiser()
    parts = load_codec_parts(checkpoint_path("diffvc", args.profile), autoencoder)
    c = parts.model.config
    sequences = Sequences(args.data, cache=args.out.parent / "cache", seed=args.seed, fields=c.motion == "lattice")
    codec = ContextualRecipe(sequences, load_intra_parts(intra_path, "float")[0], autoencoder, c, batch=4, seed=args.seed)
    codec.model = trainable(parts)
    codec.model.quantise = True
    set_quantise(codec.model.entropy, c.portable)
    low, high = ratio(codec.model, torch.tensor([0.0, 1.0])).tolist()
    config = GeneratorConfig(c.signal_channels + c.widths[0], prompt="text" if prior.folder else "learned", low=low, high=high,
                             prior=prior.unet_digest, codec=parts.digest.hex())
    recipe = GeneratorRecipe(codec, denoiser, config, batch=args.batch, seed=args.seed, folder=prior.folder)
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{recipe.name}-{args.profile}.safetensors"
    recipe.model.cpu()
    save_generator(path, config, denoiser, recipe.model["control"], recipe.model["prompt"] if "prompt" in recipe.model else None)
    write_card(path, title=f"diffvc, {args.profile} profile: diffusion decoder", what=WHAT, bad_at=BAD_AT, model=recipe.model,
               config=config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed, data=sequences.described(),
               note=args.note)
    return path
