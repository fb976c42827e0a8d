"""The image prior under DiffVC: an autoencoder and a denoiser, trained here or Stable Diffusion's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from codec_lib.checkpoint import checkpoint_path, network_sha256
from codec_lib.diffusion.autoencoder import Autoencoder, load_autoencoder
from codec_lib.diffusion.denoiser import Denoiser, load_denoiser
from codec_lib.errors import MissingWeights


@dataclass(frozen=True)
class Prior:
    """Where its networks lie: two checkpoints of ours, or one folder in diffusers' format.

    Digests are the first four bytes of a SHA-256 in hex: what codecs trained with a prior remember of it.
    """

    vae: Path
    unet: Path

    def autoencoder(self) -> Autoencoder:
        return load_autoencoder(self.vae)

    def denoiser(self) -> Denoiser:
        return load_denoiser(self.unet)

    @property
    def vae_digest(self) -> str:
        return network_sha256(self.vae, "vae", "autoencoder")[:8]

    @property
    def unet_digest(self) -> str:
        return network_sha256(self.unet, "unet", "U-Net")[:8]

    @property
    def folder(self) -> Path | None:
        """The folder in diffusers' format, where text prompts find their encoder too; None for checkpoints of ours."""
        return self.unet if self.unet.is_dir() else None


def find_prior(profile: str, folder: Path | str | None = None) -> Prior:
    """The prior of a profile. folder: with vae and unet in diffusers' format; None: what ships.

    Raises MissingWeights where there is neither."""
    if folder is None:
        if profile == "paper":
            raise MissingWeights(f"profile {profile} of diffvc works on Stable Diffusion 2.1, which does not ship: name its folder in "
                                 "diffusers' format, as in prior=stable-diffusion-2-1-base")
        return Prior(checkpoint_path("vae", "lab"), checkpoint_path("unet", "lab"))
    if not Path(folder).is_dir():
        raise MissingWeights(f"'{folder}' is no folder: name one with vae and unet in diffusers' format")
    return Prior(Path(folder), Path(folder))
