"""The diffusion decoder of DiffVC, stages 7 and 8 of the eight in `data/papers/diffvc.yaml`: ControlNet, prompt and what is
unlocked of the denoiser learn to see the clean latent of a frame in a noisy one, with its coded form as the hint; the contextual codec
stays as it is.

Where LPIPS can be had, most of the training adds it, of what the predicted latent decodes to: predictions that are right in the
mean give pictures that are blurred in the mean, as long as a network is small, and a viewer minds blur more than squared error does.

The lab profile departs from a diffusion model's training in three ways, all measured. A `Shortcut` lets it keep to the decoded
latent. What it is shown is not only the noised truth, but also the noised decoded latent and, noised, what it last predicted, since
that is what it meets when it draws: trained on the truth alone it trusts what it sees, and each step makes the error of the one
before worse. And `Gates` learn how far to believe the last I frame (`picture`). The autoencoder's decoder stays as it is: tuned as
well, it lost as much LPIPS where nothing moves as it won elsewhere, and was quick to find patterns that please LPIPS alone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from codec_lib.checkpoint import checkpoint_path, file_sha256, fill
from codec_lib.codecs.conditional.export import trainable
from codec_lib.codecs.diffvc.config import INTRA, require_size
from codec_lib.codecs.diffvc.control import Control, clean_latent
from codec_lib.codecs.diffvc.export import (
    GENERATOR,
    PROMPTS,
    GeneratorConfig,
    generator_config,
    learned,
    load_codec_parts,
    load_generator,
    made,
    require_autoencoder,
    save_generator,
)
from codec_lib.codecs.diffvc.picture import Carried, Gates
from codec_lib.codecs.diffvc.prior import find_prior
from codec_lib.codecs.diffvc.prompt import ratio
from codec_lib.codecs.intra.export import load_trainable as load_intra
from codec_lib.diffusion.autoencoder import STRIDE
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.diffusion.process import add_noise, level, signal_and_noise
from codec_lib.diffusion.schedule import scaled_linear
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import UsageError
from codec_lib.metrics import metric
from codec_lib.metrics.lpips_metric import load_lpips
from codec_lib.training import perception
from codec_lib.training.card import write_card
from codec_lib.training.coded_frames import CodedFrames, Pool
from codec_lib.training.diffvc import ContextualRecipe, training_clips
from codec_lib.training.loop import Recipe
from codec_lib.training.loop import train as run_training

PROMPT_KEPT = 0.9
"""Share of the samples that are told their quantisation; the others get the empty prompt, so that one model can do without."""
PERCEPTUAL_FROM = {False: 0.4, True: 0.02}
"""Share of the training after which LPIPS counts, without and with a shortcut."""
PERCEPTUAL_WEIGHT = {False: 2.0, True: 4.0}
"""Of LPIPS beside the squared error of predicted noise, or of predicted latents, without and with a shortcut."""
PIXEL_WEIGHT = 10.0
"""Of the pictures' squared error on the 0..1 scale beside LPIPS, which alone would let colours drift."""
TRUE, CODED = 0.1, 0.2
"""Shares of the samples whose noisy latent is made from the truth and from the decoded latent; the others' is from what was predicted
for that frame the last time."""
SHOWN = 6
"""Samples of a batch whose LPIPS is taken."""
ALONE = 1 / 3
"""Share of these that is taken as it is drawn, without the last I frame: what stands still should be drawn well too, though gates could
hide it."""
VALIDATED_AT = (50, 200, 400, 600, 800, 1000)

WHAT = (
    "The diffusion decoder of DiffVC: a ControlNet on decoded latents and temporal contexts, quantisation prompts, and those weights "
    "of the denoiser that were trained with them."
)
BAD_AT = "It draws what a few hundred photographs and a few dozen clips have taught it: texture that is likely, not what was there."


class GeneratorRecipe(Recipe):
    """Mean squared error of the predicted noise, or with a shortcut of the clean latent, at steps spread evenly over the batch;
    later also LPIPS.

    codec: a `ContextualRecipe` whose model is trained; it codes the training clips. denoiser: the prior. prompt_kept: share of the
    samples that are told their quantisation. folder: of the prior, for prompts of text. net: LPIPS backbone; None: without LPIPS.
    """

    name = GENERATOR
    learning_rate = 1e-3
    clip = 1.0

    def __init__(self, codec: ContextualRecipe, denoiser: Denoiser, config: GeneratorConfig, batch: int = 16, seed: int = 0,
                 prompt_kept: float = PROMPT_KEPT, folder: Path | None = None, net: str | None = "squeeze"):
        self.denoiser, self.config, self.batch, self.prompt_kept = denoiser, config, batch, prompt_kept
        self.pool = Pool(codec, seed)
        control, prompt = made(config, denoiser, folder)
        names = learned(config, denoiser)
        for name, p in denoiser.named_parameters():
            p.requires_grad_(name in names)
        self.model = nn.ModuleDict({"denoiser": denoiser, "control": control})
        if prompt is not None:
            self.model["prompt"] = prompt
        if config.gates:
            self.model["gates"] = Gates()
        self.schedule = scaled_linear()
        self.generator = torch.Generator().manual_seed(seed)
        self.lpips = load_lpips(net) if net else None
        self.perceptual, self.perceptual_from = False, PERCEPTUAL_FROM[config.shortcut]

    def at(self, progress: float) -> None:
        self.pool.codec.model.to(self.denoiser.empty.device)  # it codes the frames, and is no part of what is trained
        self.perceptual = self.lpips is not None and progress >= self.perceptual_from

    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        coded = self.pool.draw(self.batch, self.generator)
        offset = torch.rand((), generator=self.generator)
        n = (1 + ((torch.arange(self.batch) + offset) / self.batch * len(self.schedule)).long()).clamp(max=len(self.schedule))
        told = torch.rand(self.batch, generator=self.generator) < self.prompt_kept
        error, y_0 = self.predicted(coded, self.noisy(coded, n), n, told)
        self.pool.remember(y_0)
        loss, figures = error.mean(), {"error": error.mean().item()}
        if self.perceptual:
            which = torch.randperm(self.batch, generator=self.generator)[:SHOWN]
            distance, difference = self.distance(y_0[which], coded.picked(which), round(ALONE * len(which)))
            if not self.config.shortcut:  # then what is predicted in much noise says little
                distance = distance * level(self.schedule.alpha_bar.sqrt(), n[which], error)
            else:
                loss = loss + PIXEL_WEIGHT * difference.mean()
            loss = loss + PERCEPTUAL_WEIGHT[self.config.shortcut] * distance.mean()
            figures |= {"lpips": distance.mean().item(), "mse": difference.mean().item()}
        return loss, {"loss": loss.item()} | figures

    def noisy(self, coded: CodedFrames, n: Tensor) -> Tensor:
        """Noisy latents at steps n (N,), as a sampler may meet them: (N, C, h, w)."""
        if not self.config.shortcut:
            return self._noised(coded.y, n)
        kind = torch.rand(len(n), generator=self.generator).to(coded.y.device)[:, None, None, None]
        clean = torch.where(kind < TRUE, coded.y, torch.where(kind < TRUE + CODED, coded.y_hat, coded.own))
        return self._noised(clean, n)

    def _noised(self, clean: Tensor, n: Tensor) -> Tensor:
        return add_noise(self.schedule, clean, torch.randn(clean.shape, generator=self.generator).to(clean.device), n)

    def predicted(self, coded: CodedFrames, y_n: Tensor, n: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared error, (N,), of each sample's prediction in noisy latents y_n at steps n (N,), and the clean latents that are
        predicted, (N, C, h, w). told: which are given their prompt, bool (N,)."""
        context = self.denoiser.empty.expand(len(n), -1, -1)
        if "prompt" in self.model:
            context = torch.where(told.to(y_n.device)[:, None, None], self.model["prompt"](coded.r).to(context.dtype), context)
        y_0 = clean_latent(self.denoiser, self.model["control"], self.schedule, y_n, n, context, coded.y_hat, coded.c0)
        a, s = signal_and_noise(self.schedule, n, y_0)
        scale = 1 if self.config.shortcut else a / s  # then it is that of the noise which y_0 leaves
        return (scale * (y_0 - coded.y)).pow(2).mean(dim=(1, 2, 3)), y_0

    def distance(self, y_0: Tensor, coded: CodedFrames, alone: int = 0) -> tuple[Tensor, Tensor]:
        """LPIPS and squared error on the 0..1 scale, (N,) each, of a square somewhere in the pictures of latents y_0 (N, C, h, w),
        against the frames that they are predicted for. alone: how many of them, the first ones, are not blended. What a prediction is
        off by where there is little signal would drown everything: latents are clamped to what latents are."""
        place = perception.square(*coded.x.shape[-2:], self.generator, STRIDE)
        picture = self.pool.codec.autoencoder.decode(y_0[..., *perception.shrunk(place, STRIDE)].clamp(-6, 6)).float()
        if "gates" in self.model:
            of = Carried(*(part[..., *place].float() for part in (coded.detail, coded.smooth, coded.history)))
            blended = self.model["gates"](picture, coded.plain[..., *place].float() / 255, of).float()
            picture = torch.cat([picture[:alone], blended[alone:]])
        original = coded.x[..., *place].float() / 255
        return perception.distance(self.lpips, picture, original, self.generator), (picture - original).pow(2).mean(dim=(1, 2, 3))

    def validate(self) -> dict[str, float]:
        """Error and LPIPS at fixed steps on fixed squares of training clips, with the prompt: it shows progress, not quality. With a
        shortcut the noisy latent is made from the decoded one, else from the truth."""
        coded = self.pool.fixed(2)
        found = {"error_decoded": round((coded.y_hat - coded.y).pow(2).mean().item(), 4)}
        told, latents = torch.ones(len(coded.r), dtype=torch.bool), {"decoded": coded.y_hat, "latent": coded.y}
        state, self.generator = self.generator, torch.Generator().manual_seed(1)
        for n in VALIDATED_AT:
            steps = torch.full((len(told),), n)
            error, y_0 = self.predicted(coded, self._noised(coded.y_hat if self.config.shortcut else coded.y, steps), steps, told)
            found[f"error_{n}"] = round(error.mean().item(), 4)
            latents[n] = y_0
        if self.lpips is not None:
            for name, latent in latents.items():
                self.generator.manual_seed(2)
                found[f"lpips_{name}"] = round(self.distance(latent, coded)[0].mean().item(), 4)
        self.generator = state
        return found


def start_from(recipe: GeneratorRecipe, source: str, control: Control, prompt: nn.Module | None,
               gates: Gates | None) -> None:
    """Take over what another generator has learned; its denoiser has been changed already. LPIPS counts from the first step on.
    source: its file's name.

    Raises UsageError where it is of another size."""
    for name, network in (("control", control), ("prompt", prompt), ("gates", gates)):
        if network is not None and name in recipe.model:
            fill(recipe.model[name], network.state_dict(), source)
    recipe.perceptual_from = 0.0


def with_options(profile: str, options: list[str]) -> str:
    """Name of the profile whose prompt is another: "lab-none" for prompt=none. Raises UsageError for what does not exist."""
    size, kind = parts_of(profile)
    for option in options:
        name, equals, kind = option.partition("=")
        if name != "prompt" or kind not in PROMPTS:
            raise UsageError(f"{GENERATOR} has no option '{option}': write prompt=VALUE with a value from {', '.join(PROMPTS)}")
    return f"{size}-{kind}" if kind and kind != default_prompt(size) else size


def parts_of(profile: str) -> tuple[str, str]:
    """Size and kind of prompt of a profile, "lab-none" being "lab" without prompt. Raises UsageError for what does not exist."""
    size, _, kind = profile.partition("-")
    if kind and kind not in PROMPTS:
        raise UsageError(f"{GENERATOR} has no profile '{profile}': add nothing to its size, or one of {', '.join(PROMPTS)}")
    return require_size(size), kind or default_prompt(size)


def default_prompt(size: str) -> str:
    """Text for the prior that can read, learned tokens for the lab's."""
    return "text" if size == "paper" else "learned"


def train(args, meter, recipe_class: type[GeneratorRecipe] = GeneratorRecipe, **choices) -> Path:
    """Train the diffusion decoder as the command line asks, by ``recipe_class``, and write checkpoint and card. choices: see `Sequences`."""
    size, kind = parts_of(args.profile)
    prior, intra_path = find_prior(size, args.prior), args.intra or checkpoint_path("intra", INTRA[size])
    autoencoder, denoiser = prior.autoencoder(), prior.denoiser()
    parts = load_codec_parts(checkpoint_path("diffvc", size), autoencoder)
    require_autoencoder(parts, prior.vae_digest)
    c = parts.model.config
    sequences = training_clips(args, c, **choices)
    codec = ContextualRecipe(sequences, load_intra(intra_path), autoencoder, c, batch=4, seed=args.seed)
    codec.model = trainable(parts)
    codec.model.quantise = True
    set_quantise(codec.model.entropy, c.portable)
    low, high = ratio(codec.model, torch.tensor([0.0, 1.0])).tolist()
    if args.start:  # its prompt has learned what numbers mean on its own scale
        before = generator_config(args.start)
        if before.prompt != kind:
            raise UsageError(f"'{args.start.name}' has prompt {before.prompt}, and {kind} is asked for: name another one to start from, or "
                             f"add --option prompt={before.prompt}")
        low, high = before.low, before.high
    ours = size != "paper"
    config = GeneratorConfig(c.signal_channels + c.widths[0], prompt=kind, shortcut=ours, gates=ours, low=low, high=high,
                             prior=prior.unet_digest, codec=parts.digest.hex())
    net = "squeeze" if metric("lpips").available() is None else None
    recipe = recipe_class(codec, denoiser, config, batch=args.batch, seed=args.seed, folder=prior.folder, net=net)
    if args.start:
        start_from(recipe, args.start.name, *load_generator(args.start, denoiser, prior, None))
    result = run_training(recipe, args.out, minutes=args.minutes, steps=args.steps, resume=args.resume, seed=args.seed, on_step=meter)
    path = args.checkpoint or args.out / f"{GENERATOR}-{args.profile}.safetensors"
    recipe.model.cpu()
    save_generator(path, config, denoiser, *(recipe.model[n] if n in recipe.model else None for n in ("control", "prompt", "gates")))
    notes = [args.note, "" if net else "Trained without LPIPS, whose backbone was not there."]
    if args.start:
        notes.insert(0, f"It went on from {args.start.name}, SHA-256 `{file_sha256(args.start)}`.")
    write_card(path, title=f"diffvc, {args.profile} profile: diffusion decoder", what=WHAT, bad_at=BAD_AT, model=recipe.model,
               config=config, result=result, batch=args.batch, crop=sequences.crop, seed=args.seed, data=sequences.described(),
               note=" ".join(filter(None, notes)))
    return path
