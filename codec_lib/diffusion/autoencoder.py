"""The autoencoder in whose latents the image diffusion models work: diffusers' `AutoencoderKL`, at two sizes.

`lab` is trained here; its network sees frames with 4x4 pixels folded into channels, since full-resolution stages would
make a step 3.5 times slower. `paper` is Stable Diffusion 2.1's, loaded from a folder in diffusers' format. The code is
the same: sizes are configuration. Both are eight times smaller than the frame on each side.

    x (N, 3, H, W) in [0, 1]  --encode-->  latent (N, C, H/8, W/8), about unit variance  --decode-->  x_hat
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.checkpoint import diffusers_part, load_model, save_checkpoint
from codec_lib.errors import UsageError

KIND = "vae"
STRIDE = 8


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes. Defaults are the lab profile.

    unfold: pixels on a side that are folded into channels before the network; the network's own stages make up the rest of
        the stride of 8.
    scale: what latents are multiplied by to have about unit variance.
    """

    unfold: int = 4
    latent_channels: int = 16
    widths: tuple[int, ...] = (128, 192)
    layers_per_block: int = 1
    scale: float = 1.0

    @property
    def network(self) -> dict:
        """Arguments of `AutoencoderKL`."""
        stages = len(self.widths)
        if self.unfold * 2 ** (stages - 1) != STRIDE:
            raise UsageError(f"unfolding by {self.unfold} and {stages} stages do not make a stride of {STRIDE}")
        channels = 3 * self.unfold**2
        return {"in_channels": channels, "out_channels": channels, "latent_channels": self.latent_channels,
                "down_block_types": ("DownEncoderBlock2D",) * stages, "up_block_types": ("UpDecoderBlock2D",) * stages,
                "block_out_channels": self.widths, "layers_per_block": self.layers_per_block, "scaling_factor": self.scale}


PROFILES = {
    "lab": AutoencoderConfig(),
    # https://huggingface.co/stabilityai/stable-diffusion-2-1, vae/config.json (papers.md 4.4)
    "paper": AutoencoderConfig(unfold=1, latent_channels=4, widths=(128, 256, 512, 512), layers_per_block=2, scale=0.18215),
}


class Autoencoder(nn.Module):
    """Frames to latents and back. ``scale`` is a buffer, so that it travels with the weights."""

    def __init__(self, config: AutoencoderConfig | None = None):
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.network = AutoencoderKL(**self.config.network)
        self.register_buffer("scale", torch.tensor(self.config.scale))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latent of frames x (N, 3, H, W) in [0, 1], each (N, C, H/8, W/8)."""
        folded = F.pixel_unshuffle(2 * x - 1, self.config.unfold)
        distribution = self.network.encode(folded).latent_dist
        return distribution.mean, distribution.logvar

    def encode(self, x: Tensor) -> Tensor:
        """Latent of frames x (N, 3, H, W) in [0, 1] with sides divisible by 8: the posterior's mean, scaled."""
        return self.posterior(x)[0] * self.scale

    def decode(self, latent: Tensor) -> Tensor:
        """Frames (N, 3, H, W), about [0, 1] and not clamped, of a latent (N, C, H/8, W/8)."""
        folded = self.network.decode(latent / self.scale).sample
        return (F.pixel_shuffle(folded, self.config.unfold) + 1) / 2


def save_autoencoder(path: Path, model: Autoencoder) -> str:
    """Write a checkpoint with weights in float16. Returns its SHA-256."""
    tensors = {n: t if n == "scale" else t.half() for n, t in model.state_dict().items()}
    return save_checkpoint(path, tensors, asdict(model.config), KIND)


def load_autoencoder(path: Path) -> Autoencoder:
    """From a checkpoint of ours, or from a folder in diffusers' format (a ``vae`` folder or one that holds it).

    Raises MissingWeights or UsageError where there is no autoencoder.
    """
    path = Path(path)
    return _from_diffusers(path) if path.is_dir() else load_model(path, KIND, Autoencoder, AutoencoderConfig)


def _from_diffusers(folder: Path) -> Autoencoder:
    network = AutoencoderKL.from_pretrained(diffusers_part(folder, "vae", "autoencoder"), local_files_only=True)
    c = network.config
    model = Autoencoder(AutoencoderConfig(
        unfold=1, latent_channels=c.latent_channels, widths=tuple(c.block_out_channels), layers_per_block=c.layers_per_block,
        scale=c.scaling_factor))
    model.network = network
    return model.eval()
