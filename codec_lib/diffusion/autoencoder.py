"""The autoencoder in whose latents the image diffusion models work: diffusers' `AutoencoderKL`, at two sizes.

`lab` is trained here; its network sees frames with 4x4 pixels folded into channels, since full-resolution stages would
make a step 3.5 times slower, and adds to a fixed linear transform, so that training begins with a picture and not with
grey. `paper` is Stable Diffusion 2.1's, loaded from a folder in diffusers' format. The code is the same: sizes are
configuration. Both are eight times smaller than the frame on each side.

    x (N, 3, H, W) in [0, 1]  --encode-->  latent (N, C, H/8, W/8), about unit variance  --decode-->  x_hat
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.checkpoint import compact, from_diffusers, load_model, save_checkpoint
from codec_lib.errors import UsageError

KIND = "vae"
STRIDE = 8
FIRST_LOGVAR = -6.0
"""Log-variance of the posterior where training starts: a twentieth of a latent of variance one."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes. Defaults are the lab profile.

    unfold: pixels on a side that are folded into channels before the network; the network's own stages make up the rest of
        the stride of 8.
    attention: whether the narrowest part looks at the whole picture at once, as Stable Diffusion's does. At 256x256 that
        would be a tenth of the lab's operations and, on a CPU, a quarter of the time of a training step; it grows with the
        square of the frame.
    linear: whether networks add to a `LinearPath` or do all by themselves, as Stable Diffusion's do.
    scale: what latents are multiplied by to have about unit variance.
    """

    unfold: int = 4
    latent_channels: int = 16
    widths: tuple[int, ...] = (128, 192)
    layers_per_block: int = 1
    attention: bool = False
    linear: bool = True
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
                "block_out_channels": self.widths, "layers_per_block": self.layers_per_block,
                "mid_block_add_attention": self.attention, "scaling_factor": self.scale}


PROFILES = {
    "lab": AutoencoderConfig(),
    # https://huggingface.co/stabilityai/stable-diffusion-2-1, vae/config.json
    "paper": AutoencoderConfig(unfold=1, latent_channels=4, widths=(128, 256, 512, 512), layers_per_block=2, attention=True,
                               linear=False, scale=0.18215),
}


class LinearPath(nn.Module):
    """A matrix from each block of 8x8 pixels to its latent, and one back. Zero until `start_linear`, and never trained.

    Sixteen principal components alone rebuild crops of the training pictures at 28.4 dB and an LPIPS of 0.12, where networks
    begin at 11 dB and 0.79; these add what a matrix of one block cannot know.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.analysis = nn.Conv2d(3, channels, STRIDE, STRIDE)
        self.synthesis = nn.ConvTranspose2d(channels, 3, STRIDE, STRIDE)
        for p in self.requires_grad_(False).parameters():
            nn.init.zeros_(p)


class Autoencoder(nn.Module):
    """Frames to latents and back. ``scale`` is a buffer, so that it travels with the weights."""

    def __init__(self, config: AutoencoderConfig | None = None):
        super().__init__()
        self.config = config or AutoencoderConfig()
        self.network = AutoencoderKL(**self.config.network)
        self.linear = LinearPath(self.config.latent_channels) if self.config.linear else None
        self.register_buffer("scale", torch.tensor(self.config.scale))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latent of frames x (N, 3, H, W) in [0, 1], each (N, C, H/8, W/8)."""
        x = 2 * x - 1
        distribution = self.network.encode(F.pixel_unshuffle(x, self.config.unfold)).latent_dist
        mean = distribution.mean if self.linear is None else distribution.mean + self.linear.analysis(x)
        return mean, distribution.logvar

    def encode(self, x: Tensor) -> Tensor:
        """Latent of frames x (N, 3, H, W) in [0, 1] with sides divisible by 8: the posterior's mean, scaled."""
        return self.posterior(x)[0] * self.scale

    def decode(self, latent: Tensor) -> Tensor:
        """Frames (N, 3, H, W), about [0, 1] and not clamped, of a latent (N, C, H/8, W/8)."""
        latent = latent / self.scale
        x = F.pixel_shuffle(self.network.decode(latent).sample, self.config.unfold)
        return ((x if self.linear is None else x + self.linear.synthesis(latent)) + 1) / 2


@torch.no_grad()
def start_linear(model: Autoencoder, pictures: Tensor) -> None:
    """Let a model with a linear path begin as that path: the principal components of the blocks of some pictures.

    pictures: (N, 3, H, W) in [0, 1], sides divisible by 8. The networks are silenced by zeros in their last layers, so that
    at first encoding and decoding are the matrices of the components of largest variance l. A channel of the latent gets the
    standard deviation l^(1/4): half-way between l^(1/2), where noise in latents is noise in pixels and texture the first
    thing to drown in it, and 1, where it is all the same to noise whether a channel is brightness or the finest pattern.
    """
    x = 2 * pictures.double() - 1
    mean = x.mean(dim=(0, 2, 3))
    blocks = F.pixel_unshuffle(x - mean[:, None, None], STRIDE).transpose(0, 1).flatten(1)  # (3 * 64, number of blocks)
    values, vectors = torch.linalg.eigh(blocks @ blocks.T / blocks.shape[1])
    channels = model.config.latent_channels
    values, vectors = values[-channels:].flip(0).clamp(min=1e-9), vectors[:, -channels:].flip(1)
    shape = (channels, 3, STRIDE, STRIDE)
    analysis = (vectors * values**-0.25).T.reshape(shape)
    model.linear.analysis.weight.copy_(analysis)
    model.linear.analysis.bias.copy_(-(analysis.sum(dim=(2, 3)) @ mean))
    model.linear.synthesis.weight.copy_((vectors * values**0.25).T.reshape(shape))
    model.linear.synthesis.bias.copy_(mean)
    for last in (model.network.quant_conv, model.network.decoder.conv_out):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    model.network.quant_conv.bias[channels:] = FIRST_LOGVAR


def save_autoencoder(path: Path, model: Autoencoder) -> str:
    """Write a checkpoint, weights in eight bits but for the linear path. Returns its SHA-256."""
    return save_checkpoint(path, compact(model.state_dict(), ("scale", "linear.")), asdict(model.config), KIND)


def load_autoencoder(path: Path) -> Autoencoder:
    """From a checkpoint of ours, or from a folder in diffusers' format (a ``vae`` folder or one that holds it).

    Raises MissingWeights or UsageError where there is no autoencoder.
    """
    path = Path(path)
    return _from_diffusers(path) if path.is_dir() else load_model(path, KIND, Autoencoder, AutoencoderConfig)


def _from_diffusers(folder: Path) -> Autoencoder:
    network = from_diffusers(AutoencoderKL, folder, "vae", "autoencoder")
    c = network.config
    model = Autoencoder(AutoencoderConfig(
        unfold=1, latent_channels=c.latent_channels, widths=tuple(c.block_out_channels), layers_per_block=c.layers_per_block,
        attention=c.mid_block_add_attention, linear=False, scale=c.scaling_factor))
    model.network = network
    return model.eval()
