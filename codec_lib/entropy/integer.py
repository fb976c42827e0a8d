"""Integer-carried convolutions: networks whose outputs are the same on every machine.

An entropy decoder needs exactly the probability tables of the encoder. Floating-point networks do not give that:
another vector width or thread count adds in another order, rounds otherwise, and one changed scale index ruins the
rest of the packet. Here weights and activations are integers in [-127, 127], *carried* in float32 tensors so that the
fast convolution routines can be used. For each output channel

    sum |w| * 127 + |bias| < 2^24,

so every partial sum is an integer that float32 holds exactly, in any order of summation: the result cannot depend on
threads, vector width, memory layout or batch. Between layers the sum is divided by a power of two and floored.

A tensor of integers n stands for the real values n / 2^frac; hidden layers use frac = FRAC throughout.

Two forms of each layer:

* `QConv2d` is trained. With ``quantise`` off it is the *float twin*: an ordinary convolution with clamped output. With
  ``quantise`` on, weights, bias and output are rounded (gradients pass straight through), and its outputs equal the
  exported layer's exactly.
* `IntegerConv2d` holds integers only and is what encoders and decoders run.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.errors import CodecLibError

FRAC = 4
"""Fractional bits of hidden activations: steps of 1/16 in about [-8, 8)."""
LIMIT = 127
"""Largest magnitude of a weight or hidden activation."""
EXACT = 2**24
"""float32 holds every integer of smaller magnitude exactly."""


class InexactLayer(CodecLibError):
    """An integer-carried layer could exceed 2^24 or gave a wrong sum, so it must not feed an entropy coder."""


def round_through(x: Tensor) -> Tensor:
    """Round half up; the gradient passes as if nothing had happened (straight-through estimator)."""
    return (x + 0.5).floor().detach() + (x - x.detach())  # the second term is an exact zero with a gradient


def to_grid(x: Tensor, frac: int, limit: int, quantise: bool) -> Tensor:
    """Clamp to +-limit/2^frac and, if ``quantise``, round to multiples of 2^-frac."""
    step = 2.0**-frac
    x = x.clamp(-limit * step, limit * step)
    return round_through(x / step) * step if quantise else x


class QConv2d(nn.Module):
    """A convolution that is trained in float and runs in integers.

    in_frac: fractional bits of the input (0 for hyper-latent symbols, FRAC for hidden activations).
    out_frac: fractional bits of the output.
    out_limit: largest magnitude of the output integers; LIMIT if another layer follows, more for heads.
    relu: clamp the output at zero from below.
    Stride 1; padding keeps the size (kernel // 2).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 1, *, in_frac: int = FRAC,
                 out_frac: int = FRAC, out_limit: int = LIMIT, relu: bool = False):
        super().__init__()
        conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.weight, self.bias = conv.weight, conv.bias
        self.in_frac, self.out_frac, self.out_limit, self.relu = in_frac, out_frac, out_limit, relu
        self.quantise = False

    def weight_frac(self) -> Tensor:
        """Fractional bits of each output channel's weights, (C_out,): the most, up to 20, for which the integers stay
        within 127 and every partial sum below 2^24."""
        weight = self.weight.detach().abs()
        peak = weight.amax(dim=(1, 2, 3)).clamp_min(2.0**-14)
        reach = LIMIT * weight.sum(dim=(1, 2, 3)) + self.bias.detach().abs() * 2.0**self.in_frac
        reach = reach + 2.0 ** (self.in_frac - self.out_frac - 1)  # the half that makes the shift round
        room = EXACT - 2 - LIMIT * weight[0].numel() / 2  # each weight may be rounded up by a half
        return torch.floor(torch.log2(torch.minimum(LIMIT / peak, room / reach))).clamp(-8, 20)

    def forward(self, x: Tensor) -> Tensor:
        """x: real values on the input grid, (N, C_in, H, W). Returns real values, (N, C_out, H, W)."""
        weight, bias = self.weight, self.bias
        if self.quantise:
            step = torch.exp2(-self.weight_frac())[:, None, None, None]
            weight = round_through(weight / step).clamp(-LIMIT, LIMIT) * step
            bias_step = step[:, 0, 0, 0] * 2.0**-self.in_frac
            bias = round_through(bias / bias_step) * bias_step
        y = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        y = to_grid(y, self.out_frac, self.out_limit, self.quantise)
        return y.relu() if self.relu else y

    @torch.no_grad()
    def export(self) -> IntegerConv2d:
        """The same layer in integers only. Raises InexactLayer if a sum could reach 2^24."""
        frac = self.weight_frac()
        weight = (self.weight * torch.exp2(frac)[:, None, None, None] + 0.5).floor().clamp(-LIMIT, LIMIT)
        bias = (self.bias * torch.exp2(frac + self.in_frac) + 0.5).floor()
        shift = frac + (self.in_frac - self.out_frac)
        return IntegerConv2d(weight, bias, shift, out_limit=self.out_limit, relu=self.relu)

    @torch.no_grad()
    def take(self, layer: IntegerConv2d) -> None:
        """Set weights and bias to what an exported layer of the same kind stands for: `export` gives the same layer again,
        unless a channel has room for finer steps."""
        shift = -torch.log2(layer.scale)
        frac = shift - self.in_frac + self.out_frac
        half = torch.exp2(shift - 1).floor()
        self.weight.copy_(layer.weight * torch.exp2(-frac)[:, None, None, None])
        self.bias.copy_((layer.bias - half) * torch.exp2(-frac - self.in_frac))


class IntegerConv2d(nn.Module):
    """A convolution over integers carried in float32: exact in any order of summation.

    weight: integers (C_out, C_in, k, k) in [-127, 127]; bias: integers (C_out,); shift: integers (C_out,), the output
    is floor((sum + bias) / 2^shift + 1/2), clamped to +-out_limit (and to >= 0 with ``relu``).
    Raises InexactLayer unless sum |w| * 127 + |bias| + rounding < 2^24 in every output channel.
    """

    def __init__(self, weight: Tensor, bias: Tensor, shift: Tensor, *, out_limit: int = LIMIT, relu: bool = False):
        super().__init__()
        half = torch.exp2(shift - 1).floor()  # rounds to nearest; 0 where nothing is shifted out
        bound = weight.abs().sum(dim=(1, 2, 3)) * LIMIT + bias.abs() + half
        if bound.max() >= EXACT:
            raise InexactLayer(
                f"output channel {int(bound.argmax())} can reach {int(bound.max())}, float32 is exact below {EXACT}: "
                "train with smaller weights or fewer inputs"
            )
        for name, value in (("weight", weight), ("bias", bias + half), ("scale", torch.exp2(-shift))):
            self.register_buffer(name, value.float())
        self.out_limit, self.relu = out_limit, relu
        self.exact = True

    def forward(self, n: Tensor) -> Tensor:
        """n: integers in [-127, 127] as float32, (N, C_in, H, W). Returns integers as float32, (N, C_out, H, W).

        With ``exact`` off nothing is rounded, as an ordinary network would have it: see `set_exact`.
        """
        y = F.conv2d(n, self.weight, self.bias, padding=self.weight.shape[-1] // 2)
        y = y * self.scale[:, None, None]  # a product with a power of two is exact
        y = y.floor() if self.exact else y - 0.5 * (self.scale < 1).float()[:, None, None]  # the bias holds a half for rounding
        return y.clamp(0 if self.relu else -self.out_limit, self.out_limit)

    @torch.no_grad()
    def reference(self, n: Tensor) -> Tensor:
        """The same result by 64-bit integer arithmetic, slow and plain. n and result as in `forward`."""
        y = _conv2d_int64(n.long(), self.weight.long()) + self.bias.long()[:, None, None]
        shift = (-torch.log2(self.scale)).round().long()[:, None, None]
        y = torch.where(shift >= 0, y >> shift.clamp_min(0), y << (-shift).clamp_min(0))
        return y.clamp(0 if self.relu else -self.out_limit, self.out_limit).float()

    @torch.no_grad()
    def self_check(self) -> None:
        """Compare `forward` with `reference` on inputs that drive sums to their extremes. Raises InexactLayer."""
        c_in, size = self.weight.shape[1], self.weight.shape[-1] + 1
        pattern = torch.arange(c_in * size * size, device=self.weight.device).reshape(1, c_in, size, size)
        hard = int(self.weight.abs().sum(dim=(1, 2, 3)).argmax())  # the channel that comes closest to 2^24
        extreme = torch.zeros(1, c_in, size, size, device=self.weight.device)
        k = self.weight.shape[-1]
        extreme[0, :, :k, :k] = LIMIT * self.weight[hard].sign()
        for n in (extreme, -extreme, (pattern * 73 % 255 - LIMIT).float()):
            if not torch.equal(self(n), self.reference(n)):
                raise InexactLayer(
                    "integer self-check failed: this device or setting rounds inside convolutions "
                    "(turn off TF32, reduced-precision reductions and Winograd, or use the CPU)"
                )


def _conv2d_int64(n: Tensor, weight: Tensor) -> Tensor:
    """Stride-1 'same' convolution by shifts and integer products: (N, C_in, H, W) -> (N, C_out, H, W), int64."""
    k = weight.shape[-1]
    padded = F.pad(n, (k // 2,) * 4)
    height, width = n.shape[-2:]
    out = torch.zeros(n.shape[0], weight.shape[0], height, width, dtype=torch.int64, device=n.device)
    for dy in range(k):
        for dx in range(k):
            window = padded[:, :, dy : dy + height, dx : dx + width]
            out += (window[:, None] * weight[None, :, :, dy, dx, None, None]).sum(dim=2)
    return out


class IntegerPixelShuffle(nn.Module):
    """Pixel shuffle by 2: moves values, so it is exact for integers and reals alike."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x, 2)


def set_quantise(module: nn.Module, on: bool) -> None:
    """Switch every `QConv2d` below ``module`` between float twin (False) and integer arithmetic (True)."""
    for layer in module.modules():
        if isinstance(layer, QConv2d):
            layer.quantise = on


def set_exact(module: nn.Module, on: bool) -> None:
    """Switch every `IntegerConv2d` below ``module`` between integers (True) and its float twin (False): the same weights, nothing
    rounded between layers. What comes out of the twin depends on the order of additions: it is there to be compared with."""
    for layer in module.modules():
        if isinstance(layer, IntegerConv2d):
            layer.exact = on


def hyper_decoder(z_channels: int, width: int, features: int) -> nn.Sequential:
    """h_s: hyper-latents, integers (N, z_channels, h, w), to (N, features, 4 h, 4 w) on the hidden grid."""
    return nn.Sequential(
        QConv2d(z_channels, 4 * width, 3, in_frac=0, relu=True),
        IntegerPixelShuffle(),
        QConv2d(width, 4 * width, 3, relu=True),
        IntegerPixelShuffle(),
        QConv2d(width, features, 3),
    )


def export(sequence: nn.Sequential) -> nn.Sequential:
    """Integer form of a chain of `QConv2d` and `IntegerPixelShuffle` layers."""
    return nn.Sequential(*(layer.export() if isinstance(layer, QConv2d) else layer for layer in sequence))


def self_check(module: nn.Module) -> None:
    """Run `IntegerConv2d.self_check` on every layer below ``module``. Raises InexactLayer."""
    for layer in module.modules():
        if isinstance(layer, IntegerConv2d):
            layer.self_check()


def pack(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of integer layers in small types: weights int8, biases and tables int32, scales float32."""
    kinds = {"weight": torch.int8, "scale": torch.float32}
    return {name: value.to(kinds.get(name.rpartition(".")[2], torch.int32)) for name, value in state.items()}
