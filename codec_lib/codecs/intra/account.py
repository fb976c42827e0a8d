"""What a stream of the `intra` codec holds, symbol by symbol, and where its bytes go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.intra.model import BLOCK
from codec_lib.entropy.account import Account
from codec_lib.entropy.account import account as account_of_parts
from codec_lib.entropy.container import StreamHeader, read_stream
from codec_lib.entropy.latent_coder import UNIT, integers
from codec_lib.entropy.priors import dual_masks

HYPER, STEPS = "hyper-latents", ("latents, step 1", "latents, step 2")


class Symbols(NamedTuple):
    """The symbols of N frames, and the tables that they are coded with.

    z, z_classes: (N, C_z, h, w). y, y_classes: (N, C_y, 4h, 4w). y_means: of the latents, in sixteenths, (N, C_y, 4h, 4w).
    All int32; the decoded latent is y + y_means / 16.
    """

    z: np.ndarray
    z_classes: np.ndarray
    y: np.ndarray
    y_classes: np.ndarray
    y_means: np.ndarray


@torch.inference_mode()
def symbols_of(codec: IntraCodec, stream: bytes) -> Symbols:
    """Decode the symbols of a stream, with their classes. Raises a BitstreamError as `IntraCodec.decode` does."""
    header, packets = read_stream(stream)
    codec.accept(header, packets)
    batches = []
    for (z, y), _ in codec._symbols(header, packets):
        z_hat = torch.from_numpy(z).to(codec.device).float().contiguous(memory_format=codec.layout)
        classes, means = replay(codec, codec.entropy.features(z_hat, header.quality), y)
        z_classes = np.broadcast_to(codec.z_classes(z.shape[1:], header.quality).reshape(z.shape[1:]), z.shape)
        batches.append(Symbols(z, z_classes.astype(np.int32), y, classes, means))
    return Symbols(*map(np.concatenate, zip(*batches, strict=True)))


def replay(codec: IntraCodec, features: torch.Tensor, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What symbols (N, C, H, W) that are all known by now were coded with: classes and means in sixteenths, int32."""
    first = dual_masks(*symbols.shape[1:], device=codec.device)[0]
    mean_1, class_1 = codec.entropy.step_1(features)
    seen = torch.where(first, torch.from_numpy(symbols).to(codec.device).float() * UNIT + mean_1, 0.0)
    mean_2, class_2 = codec.entropy.step_2(features, seen)
    chosen = torch.where(first, class_1, class_2), torch.where(first, mean_1, mean_2)
    return tuple(integers(part, np.int32) for part in chosen)


def bits_of(codec: IntraCodec, symbols: Symbols) -> tuple[np.ndarray, np.ndarray]:
    """Information of every symbol in bits, float64: of z (N, C_z, h, w) and of y (N, C_y, 4h, 4w)."""
    tables = codec.tables
    return tables.symbol_bits(symbols.z, symbols.z_classes), tables.symbol_bits(symbols.y, symbols.y_classes)


def account(codec: IntraCodec, stream: bytes) -> Account:
    """Where the bytes of a stream go: hyper-latents and the two steps of the latents beside the container's parts."""
    symbols = symbols_of(codec, stream)
    z_bits, y_bits = bits_of(codec, symbols)
    masks = [m[0].numpy() for m in dual_masks(*symbols.y.shape[1:])]
    coded = [{HYPER: z.sum(), **{name: y[mask].sum() for name, mask in zip(STEPS, masks, strict=True)}}
             for z, y in zip(z_bits, y_bits, strict=True)]
    return account_of_parts(stream, coded)


def beyond_border(header: StreamHeader, shape: tuple[int, int]) -> np.ndarray:
    """Positions of y, bool (4h, 4w), whose block lies wholly beyond the frame: there for the sake of whole cells only."""
    rows, columns = (BLOCK * np.arange(n) for n in shape)
    return (rows >= header.height)[:, None] | (columns >= header.width)
