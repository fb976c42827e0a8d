"""The networks of the `intra` codec: a hyperprior image codec with a two-step spatial prior and one model for all rates.

    x --g_a--> y --(gain, round around the mean)--> y_hat --g_s--> x_hat
               |                      ^
              h_a                     | mean, scale class
               |                      |
               z --round--> z_hat --h_s--> features --prior_1--> step 1 --prior_2--> step 2
                            `---------- integers only ----------------------------'

`g_a`, `h_a` and `g_s` are ordinary float networks: nothing that the entropy coder needs depends on them. Everything
between `z_hat` and the probability tables (`h_s`, `prior_1`, `prior_2`) is integer-carried, see
`codec_lib.entropy.integer`.

Sources: hyperprior, Balle et al. 2018; mean and scale, Minnen et al. 2018; residual bottlenecks, ELIC (He et al. 2022);
two-step prior and variable rate by interpolated gains, DCVC-HEM (Li et al. 2022). The space-to-depth stem, the
companding of decoded latents and the integer path are this project's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.entropy.density import CLASS_STEP, MEAN_FRAC, N_CLASSES, SIGMA_MIN, sigma_of
from codec_lib.entropy.integer import FRAC, LIMIT, QConv2d, hyper_decoder, round_through, to_grid
from codec_lib.entropy.steps import symbol_bits
from codec_lib.entropy.two_step import HEAD_LIMIT, code_in_two_steps
from codec_lib.errors import UsageError
from codec_lib.layers.blocks import QualityScale, SubpixelUp, interpolate_anchors, run, scaled_blocks, zeroed
from codec_lib.layers.dct import block_basis
from codec_lib.layers.precision import in_float32

BLOCK = 16
"""Side of the blocks of the linear transforms: the stride of y."""


@dataclass(frozen=True)
class IntraConfig:
    """Sizes of the intra codec. Defaults are the lab profile: 8.46 M parameters, 64.4 kMAC/pixel in all."""

    widths: tuple[int, int, int] = (128, 192, 256)  # channels at 1/4, 1/8, 1/16 of the frame
    analysis_blocks: tuple[int, int, int] = (2, 3, 3)  # residual bottlenecks at each of these scales
    synthesis_blocks: tuple[int, int, int] = (3, 4, 4)
    y_channels: int = 384  # latents, at 1/16: half of a block's 768 numbers, so that 40 dB are within reach
    z_channels: int = 64  # hyper-latents, at 1/64
    hyper_width: int = 128
    context_width: int = 192  # features of h_s that both prior steps read
    prior_width: int = 256
    n_qualities: int = 64  # rate points; the published video codecs offer 64 as well
    anchors: int = 8  # of them learned, the rest interpolated
    lambda_low: float = 0.0006  # rate-distortion trade at quality 0 and 63: bpp + lambda * 255^2 * MSE
    lambda_high: float = 0.2

    def step(self, lam: float) -> float:
        """Best quantiser step for orthonormal coefficients of pixels in [0, 1], at high rate.

        Of n = 3 samples a pixel, each costs -log2(step) bits and step^2 / 12 in error: the derivative of
        -n log2(step) + lam 255^2 step^2 / 12 is zero at step^2 = 6 n / (ln 2 lam 255^2).
        """
        return math.sqrt(18 / (math.log(2) * lam * 255**2))


class IntraForward(NamedTuple):
    """x_hat (N, 3, H, W); bits of y and z, (N,); y_hat (N, C_y, H/16, W/16)."""

    x_hat: Tensor
    bits_y: Tensor
    bits_z: Tensor
    y_hat: Tensor


class Analysis(nn.Module):
    """g_a: frame (N, 3, H, W) in [0, 1] to latent (N, C_y, H/16, W/16), already multiplied by the quantiser gain.

    A linear transform of 16x16 blocks, which starts as a DCT, plus a deep correction, which starts at zero.
    """

    def __init__(self, c: IntraConfig):
        super().__init__()
        w4, w8, w16 = c.widths
        self.stem = nn.Conv2d(48, w4, 3, padding=1)  # pixel-unshuffle by 4 first: 3 * 16 channels
        self.blocks4 = scaled_blocks(w4, c.analysis_blocks[0], c.anchors)
        self.down8 = nn.Conv2d(w4, w8, 3, stride=2, padding=1)
        self.blocks8 = scaled_blocks(w8, c.analysis_blocks[1], c.anchors)
        self.down16 = nn.Conv2d(w8, w16, 3, stride=2, padding=1)
        self.blocks16 = scaled_blocks(w16, c.analysis_blocks[2], c.anchors)
        self.head = zeroed(nn.Conv2d(w16, c.y_channels, 1))
        self.linear = nn.Conv2d(3 * BLOCK**2, c.y_channels, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(block_basis(BLOCK, c.y_channels)[0][:, :, None, None])
        self.gain = QualityScale(c.y_channels, c.anchors, first=1 / c.step(c.lambda_low), last=1 / c.step(c.lambda_high))

    def forward(self, x: Tensor, u: Tensor) -> Tensor:
        x = x - 0.5
        h = self.stem(F.pixel_unshuffle(x, 4))  # (N, w4, H/4, W/4)
        h = run(self.blocks4, h, u)
        h = run(self.blocks8, self.down8(h), u)  # (N, w8, H/8, W/8)
        h = run(self.blocks16, self.down16(h), u)  # (N, w16, H/16, W/16)
        y = self.head(h) + self.linear(F.pixel_unshuffle(x, BLOCK))
        return self.gain(y.float(), u)


class Synthesis(nn.Module):
    """g_s: quantised latent (N, C_y, H/16, W/16) to frame (N, 3, H, W), not clamped. Mirrors `Analysis`."""

    def __init__(self, c: IntraConfig):
        super().__init__()
        w4, w8, w16 = c.widths
        self.gain = QualityScale(c.y_channels, c.anchors, first=c.step(c.lambda_low), last=c.step(c.lambda_high))
        self.linear = nn.Conv2d(c.y_channels, 3 * BLOCK**2, 1, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(block_basis(BLOCK, c.y_channels)[0].T[:, :, None, None])
        self.head = nn.Conv2d(c.y_channels, w16, 1)
        self.blocks16 = scaled_blocks(w16, c.synthesis_blocks[2], c.anchors)
        self.up8 = SubpixelUp(w16, w8)
        self.blocks8 = scaled_blocks(w8, c.synthesis_blocks[1], c.anchors)
        self.up4 = SubpixelUp(w8, w4)
        self.blocks4 = scaled_blocks(w4, c.synthesis_blocks[0], c.anchors)
        self.tail = zeroed(nn.Conv2d(w4, 48, 3, padding=1))

    def forward(self, y_hat: Tensor, u: Tensor) -> Tensor:
        y = self.gain(y_hat, u)
        h = run(self.blocks16, self.head(y), u)  # (N, w16, H/16, W/16)
        h = run(self.blocks8, self.up8(h), u)  # (N, w8, H/8, W/8)
        h = run(self.blocks4, self.up4(h), u)  # (N, w4, H/4, W/4)
        x = F.pixel_shuffle(self.tail(h), 4) + F.pixel_shuffle(self.linear(y), BLOCK)
        return x.float() + 0.5


class EntropyModel(nn.Module):
    """What turns decoded symbols into means and scale classes, in the trainable form (`QConv2d`).

    Heads give 2 C_y channels: the first half are means, the second half class positions divided by 8 (so that a step
    of one in either is about as large in bits).
    """

    def __init__(self, c: IntraConfig):
        super().__init__()
        h, f, p, y = c.hyper_width, c.context_width, c.prior_width, c.y_channels
        self.h_s = hyper_decoder(c.z_channels, h, f)
        self.quality = nn.Parameter(torch.zeros(c.anchors, f))  # added to the features of h_s
        self.prior_1 = nn.Sequential(QConv2d(f, p, relu=True), QConv2d(p, 2 * y, out_limit=HEAD_LIMIT))
        self.prior_2 = nn.Sequential(
            QConv2d(f + y, p, 3, relu=True),
            QConv2d(p, p, 3, relu=True),
            QConv2d(p, 2 * y, out_limit=HEAD_LIMIT),
        )
        self.z_class = nn.Parameter(torch.full((c.anchors, c.z_channels), 3.0))  # class positions / 8 of z
        # scale classes start at what the DCT's coefficients have at middling quality
        gain = 1 / c.step(math.sqrt(c.lambda_low * c.lambda_high))
        start = (torch.log(block_basis(BLOCK, y)[1] * gain / SIGMA_MIN) / CLASS_STEP).clamp(4, N_CLASSES - 5)
        with torch.no_grad():
            for head in (self.prior_1[-1], self.prior_2[-1]):
                head.bias[y:] = start / 8

    def features(self, z_hat: Tensor, u: Tensor, quantise: bool) -> Tensor:
        """z_hat: integers (N, C_z, H/64, W/64). Returns features on the hidden grid, (N, f, H/16, W/16)."""
        offset = to_grid(interpolate_anchors(self.quality, u), FRAC, LIMIT, quantise)
        return to_grid(self.h_s(z_hat) + offset[:, :, None, None], FRAC, LIMIT, quantise)

    def z_position(self, u: Tensor) -> Tensor:
        """Class positions of z, (N, C_z, 1, 1)."""
        return 8 * interpolate_anchors(self.z_class, u)[:, :, None, None]


class IntraModel(nn.Module):
    """All networks together, as trained. `forward` estimates; `codec_lib.codecs.intra.codec` writes real bits."""

    def __init__(self, config: IntraConfig | None = None):
        super().__init__()
        c = self.config = config or IntraConfig()
        self.g_a, self.g_s = Analysis(c), Synthesis(c)
        self.h_a = nn.Sequential(
            nn.Conv2d(c.y_channels, c.context_width, 1), nn.ReLU(),
            nn.Conv2d(c.context_width, c.context_width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(c.context_width, c.z_channels, 3, stride=2, padding=1),
        )
        self.entropy = EntropyModel(c)
        self.quantise = False

    def forward(self, x: Tensor, u: Tensor) -> IntraForward:
        """x: frames (N, 3, H, W) in [0, 1], sides divisible by 64; u: relative qualities (N,) in [0, 1].

        Rounding is straight-through for what the decoder sees. ``quantise`` decides what the rate is measured on, see
        `codec_lib.entropy.steps.symbol_bits`.
        """
        y = self.g_a(x, u)
        z = self.h_a(y).float()
        z_hat = round_through(z.clamp(-LIMIT, LIMIT))
        with in_float32(x):  # tables come from here: float32, exact for integers
            bits_z = symbol_bits(z, sigma_of(self.entropy.z_position(u).expand_as(z)), self.quantise)
            features = self.entropy.features(z_hat, u, self.quantise)
            y_hat, bits_y = code_in_two_steps(y, features, self.entropy.prior_1, self.entropy.prior_2, self.quantise)
        x_hat = self.g_s(y_hat, u)
        return IntraForward(x_hat, bits_y, bits_z.sum(dim=(1, 2, 3)), y_hat)

    def lambdas(self, u: Tensor) -> Tensor:
        """Rate-distortion trade at relative quality u, log-spaced (as DCVC-FM and -RT space theirs)."""
        c = self.config
        return c.lambda_low * (c.lambda_high / c.lambda_low) ** u


assert MEAN_FRAC == FRAC and N_CLASSES == 64  # heads give means on the grid of hidden activations


def profile_config(profile: str) -> IntraConfig:
    """Sizes of a profile. Raises UsageError for one that does not exist."""
    if profile not in PROFILES:
        raise UsageError(f"intra has no profile '{profile}': choose from {', '.join(PROFILES)}")
    return PROFILES[profile]


PROFILES = {"lab": IntraConfig(), "perceptual": IntraConfig()}
"""`lab` is trained for squared error; `perceptual` goes on from it for LPIPS, for codecs whose pictures are looked at so."""
