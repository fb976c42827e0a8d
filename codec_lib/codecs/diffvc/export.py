"""DiffVC's two checkpoints: the contextual codec, which streams name, and what the diffusion decoder adds to the image prior."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from torch import nn

from codec_lib.checkpoint import compact, config_from, fill, load_checkpoint, save_checkpoint
from codec_lib.codecs.conditional.export import Parts, save_parts
from codec_lib.codecs.conditional.export import load_parts as load_conditional_parts
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.control import Control
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.picture import Gates
from codec_lib.codecs.diffvc.prior import Prior
from codec_lib.codecs.diffvc.prompt import LearnedPrompt, TextPrompt
from codec_lib.diffusion.autoencoder import Autoencoder
from codec_lib.diffusion.denoiser import Denoiser
from codec_lib.entropy.tables import CodingTables
from codec_lib.errors import MissingWeights, UsageError

KIND, GENERATOR = "diffvc", "diffvc-generator"
PROMPTS = ("learned", "text", "none")
"""How the denoiser is told the quantisation, see `prompt`."""
UNLOCKED = {"attention": (), "decoder": ("network.up_blocks.", "network.conv_norm_out.", "network.conv_out.")}
"""What is trained of the prior besides its cross-attention, which has to learn what numbers mean, and its empty context. DiffVC is said
to freeze the U-Net in one place and to fine-tune it in another ("attention" is the first); ControlNet leaves the decoder half
to choice. "decoder" is the default since the lab's prior has a hundredth of Stable Diffusion's parameters: it has less to lose."""


@dataclass(frozen=True)
class GeneratorConfig:
    """hint_channels: of decoded latent and context together. stem: width of the control network's stem. prompt: one of `PROMPTS`.
    unlocked: which weights of the denoiser learn, one of `UNLOCKED`. shortcut: see `Control`. low, high: ratios that a learned prompt
    tells apart. digits: after the point, of a prompt of text. gates: whether it has `Gates`. prior: digest (first four bytes) of the denoiser it was trained with, codec: of the
    contextual codec. Raises UsageError for a prompt, or something unlocked, that does not exist."""

    hint_channels: int
    stem: int = 96
    prompt: str = "learned"
    unlocked: str = "decoder"
    shortcut: bool = False
    gates: bool = False
    low: float = 0.1
    high: float = 10.0
    digits: int = 2
    prior: str = ""
    codec: str = ""

    def __post_init__(self):
        if self.prompt not in PROMPTS:
            raise UsageError(f"prompt '{self.prompt}' does not exist: choose from {', '.join(PROMPTS)}")
        if self.unlocked not in UNLOCKED:
            raise UsageError(f"unlocked '{self.unlocked}' does not exist: choose from {', '.join(UNLOCKED)}")


def save_codec(path: Path, model: ConditionalModel, tables: CodingTables, motion: MotionCoder, intra: str, autoencoder: str) -> str:
    """Write the contextual codec. intra, autoencoder: digests of what it was trained with. Returns its SHA-256."""
    return save_parts(path, model, tables, motion, intra, KIND, {"vae": autoencoder})


def load_codec_parts(path: Path, autoencoder: Autoencoder, entropy: str | None = None) -> Parts:
    """Read the contextual codec. Raises what `conditional.export.load_parts` raises."""
    return load_conditional_parts(path, entropy, KIND, LatentConfig, partial(Latents, autoencoder))


def require_autoencoder(parts: Parts, there: str) -> None:
    """Raises MissingWeights where a contextual codec was trained with another autoencoder than the one of digest ``there``."""
    if parts.needs["vae"] != there:
        raise MissingWeights(f"this codec was trained with vae checkpoint {parts.needs['vae']}, and {there} is there: get that one, or train "
                             "diffvc again")


def generator_config(path: Path) -> GeneratorConfig:
    """What a checkpoint of a generator says of itself. Raises what `load_checkpoint` and `config_from` raise."""
    return config_from(GeneratorConfig, load_checkpoint(path, GENERATOR)[1])


def stream_digest(parts: Parts, intra: bytes, drawn_by: bytes = b"") -> bytes:
    """What streams name, four bytes: the contextual codec's digest, which stands for the I-frame codec that it was trained with too. With
    another one, of digest ``intra``, or with a generator in the coding loop, of digest ``drawn_by``, one over all of them."""
    if intra.hex() == parts.intra and not drawn_by:
        return parts.digest
    return hashlib.sha256(parts.digest + intra + drawn_by).digest()[:4]


def made(config: GeneratorConfig, denoiser: Denoiser, folder: Path | None = None) -> tuple[Control, nn.Module | None]:
    """Control network and prompt of a denoiser, before training. folder: of the prior in diffusers' format, for a prompt of text."""
    return Control(denoiser, config.hint_channels, config.stem, config.shortcut), _prompt(config, denoiser, folder)


def _prompt(config: GeneratorConfig, denoiser: Denoiser, folder: Path | None) -> nn.Module | None:
    c = denoiser.config
    if config.prompt == "learned":
        return LearnedPrompt(c.context_tokens, c.context_width, config.low, config.high)
    if config.prompt == "text":
        if folder is None:
            raise MissingWeights("a prompt of text needs CLIP's text encoder: name a folder of Stable Diffusion 2.1 as the prior")
        return TextPrompt(folder, config.digits)
    return None


def learned(config: GeneratorConfig, denoiser: Denoiser) -> set[str]:
    """Names of the denoiser's parameters that are trained and saved with a generator."""
    return {n for n, _ in denoiser.named_parameters() if ".attn2." in n or n == "empty" or n.startswith(UNLOCKED[config.unlocked])}


def save_generator(path: Path, config: GeneratorConfig, denoiser: Denoiser, control: Control, prompt: nn.Module | None,
                   gates: Gates | None = None) -> str:
    """Write what the diffusion decoder adds to the prior. gates: where config says that there are some. Returns its SHA-256."""
    names, state = learned(config, denoiser), denoiser.state_dict()
    tensors = {f"denoiser.{n}": state[n] for n in sorted(names)}
    tensors |= {f"control.{n}": t for n, t in control.state_dict().items()}
    if isinstance(prompt, LearnedPrompt):
        tensors |= {f"prompt.{n}": t for n, t in prompt.state_dict().items()}
    if config.gates:
        tensors |= {f"gates.{n}": t for n, t in gates.state_dict().items()}
    return save_checkpoint(path, compact(tensors), asdict(config), GENERATOR)


def load_generator(path: Path, denoiser: Denoiser, prior: Prior, codec: str | None
                   ) -> tuple[Control, nn.Module | None, Gates | None]:
    """Control network, prompt and gates. Changes ``denoiser``, that of ``prior``, to what it was trained to. codec:
    digest of the contextual codec; None: any will do, as where training goes on with another.

    Raises MissingWeights, also where it was trained with others, and UsageError where the file does not hold all that it should.
    """
    tensors, values, _ = load_checkpoint(path, GENERATOR)
    config = config_from(GeneratorConfig, values)
    for what, wanted, there in (("denoiser", config.prior, prior.unet_digest), ("contextual codec", config.codec, codec)):
        if there is not None and wanted != there:
            raise MissingWeights(f"'{path.name}' was trained with {what} {wanted}, and {there} is there: get that one, or train it again")
    control, prompt = made(config, denoiser, prior.folder)
    gates = Gates() if config.gates else None
    for name, module in (("denoiser.", denoiser), ("control.", control), ("prompt.", prompt), ("gates.", gates)):
        found = {n.removeprefix(name): t.float() for n, t in tensors.items() if n.startswith(name)}
        if module is denoiser:
            if lacking := learned(config, denoiser) - found.keys():
                raise UsageError(f"'{path.name}' lacks the tensor {name}{min(lacking)}: it is damaged, fetch or train it again")
            found = denoiser.state_dict() | found
        if module is not None and not isinstance(module, TextPrompt):
            fill(module, found, path.name)
        elif found:
            raise UsageError(f"'{path.name}' has tensors of a part that its configuration does not have, {name}{min(found)}: it is damaged, "
                             "fetch or train it again")
    return control, prompt, gates
