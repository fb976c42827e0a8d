"""DiffVC's two checkpoints: the contextual codec, which streams name, and what the diffusion decoder adds to the image prior."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from torch import Tensor, nn

from codec_lib.checkpoint import compact, config_from, load_checkpoint, save_checkpoint
from codec_lib.codecs.conditional.export import Parts, save_parts
from codec_lib.codecs.conditional.export import load_parts as load_conditional_parts
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.control import Control
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.prompt import LearnedPrompt
from codec_lib.diffusion.autoencoder import Autoencoder
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.entropy.tables import CodingTables
from codec_lib.errors import MissingWeights

KIND, GENERATOR = "diffvc", "diffvc-generator"


@dataclass(frozen=True)
class GeneratorConfig:
    """hint_channels: of decoded latent and context together. stem: width of the control network's stem. low, high: ratios that
    the prompt tells apart; None: no prompt. prior: digest (first four bytes) of the denoiser it was trained with, codec: of the
    contextual codec."""

    hint_channels: int
    stem: int = 96
    low: float | None = None
    high: float | None = None
    prior: str = ""
    codec: str = ""


def save_codec(path: Path, model: ConditionalModel, tables: CodingTables, motion: MotionCoder, intra: str, autoencoder: str) -> str:
    """Write the contextual codec. intra, autoencoder: digests of what it was trained with. Returns its SHA-256."""
    return save_parts(path, model, tables, motion, intra, KIND, {"vae": autoencoder})


def load_codec_parts(path: Path, autoencoder: Autoencoder, entropy: str | None = None) -> Parts:
    """Read the contextual codec. Raises what `conditional.export.load_parts` raises."""
    return load_conditional_parts(path, entropy, KIND, LatentConfig, Latents(autoencoder))


def made(config: GeneratorConfig, denoiser: Denoiser) -> tuple[Control, LearnedPrompt | None]:
    """Control network and prompt of a denoiser, before training."""
    c = denoiser.config
    prompt = None if config.low is None else LearnedPrompt(c.context_tokens, c.context_width, config.low, config.high)
    return Control(denoiser, config.hint_channels, config.stem), prompt


def attention(denoiser: Denoiser) -> dict[str, Tensor]:
    """What is trained of the prior: its cross-attention, which has to learn what numbers mean, and its empty context."""
    return {n: t for n, t in denoiser.state_dict().items() if ".attn2." in n or n == "empty"}


def save_generator(path: Path, config: GeneratorConfig, denoiser: Denoiser, control: Control, prompt: nn.Module | None) -> str:
    """Write what the diffusion decoder adds to the prior. Returns its SHA-256."""
    tensors = {f"denoiser.{n}": t for n, t in attention(denoiser).items()}
    tensors |= {f"control.{n}": t for n, t in control.state_dict().items()}
    if prompt is not None:
        tensors |= {f"prompt.{n}": t for n, t in prompt.state_dict().items()}
    return save_checkpoint(path, compact(tensors), asdict(config), GENERATOR)


def load_generator(path: Path, denoiser: Denoiser, prior: str, codec: str) -> tuple[Control, LearnedPrompt | None]:
    """Read it, and change ``denoiser`` to what it was trained to. prior, codec: digests of the denoiser and of the codec.

    Raises MissingWeights, also where it was trained with others.
    """
    tensors, values, _ = load_checkpoint(path, GENERATOR)
    config = config_from(GeneratorConfig, values)
    for what, wanted, there in (("denoiser", config.prior, prior), ("contextual codec", config.codec, codec)):
        if wanted != there:
            raise MissingWeights(f"'{path.name}' was trained with {what} {wanted}, and {there} is there: get that one, or train it again")
    control, prompt = made(config, denoiser)
    for name, module in (("denoiser.", denoiser), ("control.", control), ("prompt.", prompt)):
        found = {n.removeprefix(name): t.float() for n, t in tensors.items() if n.startswith(name)}
        if module is not None:
            module.load_state_dict(module.state_dict() | found)
    return control, prompt
