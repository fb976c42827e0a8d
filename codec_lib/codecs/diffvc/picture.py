"""From a drawn latent to the picture that is shown, at lab size with the detail that has been carried along (`detail`)."""

from __future__ import annotations

from torch import Tensor, nn

from codec_lib.codecs.diffvc.detail import Carried, Gate
from codec_lib.diffusion.autoencoder import Autoencoder


class PictureDecoder(nn.Module):
    """A decoder of latents that is tuned for what is drawn, and a gate of its own for what is carried. autoencoder: not the one that
    the codec looks through, since its decoder changes in training."""

    def __init__(self, autoencoder: Autoencoder):
        super().__init__()
        self.autoencoder, self.gate = autoencoder, Gate()

    def forward(self, latent: Tensor, carried: Carried | None) -> Tensor:
        """Pictures (N, 3, H, W), not clamped, of latents (N, C, H/8, W/8). carried: None to do without."""
        return self.gate(self.autoencoder.decode(latent).float(), carried)
