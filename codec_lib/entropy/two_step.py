"""Coding a latent in the two steps of the dual prior, as training estimates it.

Two networks, `prior_1` and `prior_2`, say what is likely: the first from the features alone (hyper-latents, earlier
frames), the second also from the latents of step 1, which it sees companded. A head gives 2 C channels on the grid of hidden
activations: C means, in latent steps, and C positions among the scale classes, divided by 8 so that a step of one in either is
about as large in bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from codec_lib.entropy.density import MEAN_FRAC, N_CLASSES, gaussian_bits
from codec_lib.entropy.integer import FRAC, LIMIT, QConv2d, export, pack, self_check, set_quantise, to_grid
from codec_lib.entropy.priors import dual_masks
from codec_lib.entropy.steps import code_in_steps
from codec_lib.layers.blocks import relative

HEAD_LIMIT = 4095
"""Largest magnitude of a head's output: means within +-256 on the 1/16 grid, class positions far beyond 0..63."""
COMPAND = 8.0
"""Decoded latents enter prior_2 as 2 asinh(y / 8) on the 1/16 grid: steps of 1/4 up to about 8, logarithmic beyond."""
COMPAND_RANGE = 512 * 2**MEAN_FRAC
"""Decoded latents beyond +-512 are taken as 512 when networks look at them."""


def compand(y_hat: Tensor) -> Tensor:
    """Squeeze decoded latents into the range of a hidden activation: 2 asinh(y / 8). The caller clamps."""
    return COMPAND / 4 * torch.asinh(y_hat / COMPAND)


def split_head(head: Tensor) -> tuple[Tensor, Tensor]:
    """Means and class positions from a head's output (N, 2 C, H, W), in real values."""
    mean, position = head.chunk(2, dim=1)
    return mean, 8 * position


def float_head(head: Tensor) -> tuple[Tensor, Tensor]:
    """Means in sixteenths and classes from a head's output in real values: the float twin's last rounding."""
    mean, position = split_head(head)
    return (mean * 2**MEAN_FRAC).round(), position.round().clamp(0, N_CLASSES - 1)


def integer_head(n: Tensor) -> tuple[Tensor, Tensor]:
    """The same from an integer layer's output on the 1/16 grid: class = round(8 n / 16)."""
    mean, position = n.chunk(2, dim=1)
    return mean, ((position + 1) / 2).floor().clamp(0, N_CLASSES - 1)


def compand_steps() -> Tensor:
    """`compand` as a table on the grid of hidden activations, for latents in sixteenths from -COMPAND_RANGE up."""
    grid = torch.arange(-COMPAND_RANGE, COMPAND_RANGE + 1, dtype=torch.float64) / 2**MEAN_FRAC
    return ((compand(grid) * 2**FRAC).clamp(-LIMIT, LIMIT) + 0.5).floor().float()


def compand_lookup(table: Tensor, y16: Tensor) -> Tensor:
    """Companded integers of latents in sixteenths, same shape."""
    return table[y16.clamp(-COMPAND_RANGE, COMPAND_RANGE).long() + COMPAND_RANGE]


def code_in_two_steps(y: Tensor, features: Tensor, prior_1: nn.Module, prior_2: nn.Module, quantise: bool,
                      on_grid: bool | None = None, bits: Callable = gaussian_bits) -> tuple[Tensor, Tensor]:
    """Quantise y (N, C, H, W) and estimate its bits. Returns y_hat, same shape, and bits (N,).

    features: on the grid of hidden activations, (N, F, H, W). prior_1: F to 2 C channels. prior_2: F + C to 2 C channels.
    quantise: what the rate is measured on (`symbol_bits`). on_grid: whether what the networks see is rounded to its grid;
    the same unless given. bits: the density.
    """
    on_grid = quantise if on_grid is None else on_grid

    def head(step: int, y_hat: Tensor) -> tuple[Tensor, Tensor]:
        if step == 0:
            return split_head(prior_1(features))
        seen = to_grid(compand(y_hat), FRAC, LIMIT, on_grid)
        return split_head(prior_2(torch.cat([features, seen], dim=1)))

    return code_in_steps(y, dual_masks(*y.shape[1:], device=y.device), head, quantise, bits)


class TwoSteps:
    """What a probability path offers to `LatentCoder`, for paths that have `step_1(features)` and `step_2(features, y16)`."""

    masks = staticmethod(dual_masks)

    def step(self, index: int, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        return self.step_2(features, y16) if index else self.step_1(features)


class IntegerTwoSteps(TwoSteps, nn.Module):
    """A trained two-step prior in integers only, identical on every machine: symbols in, integers out.

    source: the trained model, or an empty one of the same sizes for loading. parts: names of its networks that are on the
    way to a probability, prior_1 and prior_2 among them.
    """

    portable = True

    def __init__(self, source: nn.Module, parts: Sequence[str]):
        super().__init__()
        self.parts = tuple(parts)
        for name in self.parts:
            setattr(self, name, export(getattr(source, name)))
        self.register_buffer("compand_table", compand_steps())  # shipped, not recomputed at load

    def companded(self, y16: Tensor) -> Tensor:
        """Latents in sixteenths as the networks see them, integers of the same shape."""
        return compand_lookup(self.compand_table, y16)

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        return integer_head(self.prior_2(torch.cat([features, self.companded(y16)], dim=1)))

    def give(self, model: nn.Module) -> None:
        """The shipped integers to a model's networks, as real weights to go on training with."""
        for name in self.parts:
            for layer, shipped in zip(getattr(model, name), getattr(self, name), strict=True):
                if isinstance(layer, QConv2d):
                    layer.take(shipped)

    def packed(self) -> dict[str, Tensor]:
        """Tensors for the checkpoint, in small integer types."""
        return pack(self.state_dict())

    def check(self) -> None:
        """Prove on this device that sums are exact. Raises InexactLayer."""
        self_check(self)


class FloatTwoSteps(TwoSteps, nn.Module):
    """A trained two-step prior as it is: nothing is rounded between layers, outputs are at the very end.

    Its streams decode only where every rounding comes out the same, so they are marked as not portable. model: knows
    z_position(u), prior_1 and prior_2. config: knows n_qualities.
    """

    portable = False

    def __init__(self, config, model: nn.Module):
        super().__init__()
        self.config, self.model = config, model
        set_quantise(model, False)

    def z_classes(self, quality: int) -> Tensor:
        """Scale class of each hyper-latent channel."""
        u = relative(quality, self.config).to(next(self.model.parameters()).device)
        return self.model.z_position(u).flatten().round().clamp(0, N_CLASSES - 1)

    def latents(self, y16: Tensor) -> Tensor:
        """Latents of step 1, in latent steps, from sixteenths."""
        return y16 / 2**MEAN_FRAC

    def step_1(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return float_head(self.model.prior_1(features))

    def step_2(self, features: Tensor, y16: Tensor) -> tuple[Tensor, Tensor]:
        seen = compand(self.latents(y16)).clamp(-LIMIT / 2**FRAC, LIMIT / 2**FRAC)
        return float_head(self.model.prior_2(torch.cat([features, seen], dim=1)))

    def check(self) -> None:
        """Nothing can be promised for floats."""
