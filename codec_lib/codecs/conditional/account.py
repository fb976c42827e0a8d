"""Where the bits of a stream of the `conditional` codec go: I frames, motion, hyper-latents, the two steps of the latents."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.motion_coding import level_of
from codec_lib.codecs.conditional.state import Coded
from codec_lib.entropy.account import Account
from codec_lib.entropy.account import account as account_of_parts
from codec_lib.entropy.latent_coder import UNIT, integers
from codec_lib.errors import UsageError

INTRA, FRAME_BYTE, MOTION, HYPER = "I frames", "frame bytes", "motion", "hyper-latents"
STEPS = ("latents, step 1", "latents, step 2")


def account(codec: ConditionalCodec, stream: bytes) -> Account:
    """The account of a stream; I frames are one part, P frames four. Raises what `frame_parts` raises."""
    return account_of_parts(stream, list(frame_parts(codec, stream)))


@torch.inference_mode()
def frame_parts(codec: ConditionalCodec, stream: bytes) -> Iterator[dict[str, float]]:
    """Bits of what each frame's packet codes, by name.

    Raises a BitstreamError as `ConditionalCodec.decode` does, and UsageError for a codec whose motion is learned.
    """
    if codec.config.motion != "lattice":
        raise UsageError("bits of learned motion are not told from those of latents: use a codec with motion on the lattice")
    field = None
    for coded in codec.decode_frames(stream):
        yield {FRAME_BYTE: 8.0} | _parts(codec, coded, field)
        field = coded.state.motion


def _parts(codec: ConditionalCodec, coded: Coded, field: np.ndarray | None) -> dict[str, float]:
    """field: motion of the frame before, None after an I frame."""
    if coded.state.motion is None:
        return {INTRA: 8.0 * (len(coded.payload) - 1)}
    quality = coded.state.earlier.quality
    motion, z, y = coded.symbols
    stream = codec.latents
    classes = replay(codec, coded.state.earlier.features, y)
    bits = codec.tables.symbol_bits(y, classes)
    steps = stream.path.masks(*y.shape)
    return {MOTION: codec.motion.bits(motion, level_of(quality, codec.config.n_qualities), field),
            HYPER: stream._z_tables.bits(z.ravel(), stream._z_classes(z.shape, quality)),
            **{name: float(bits[mask[0].numpy()].sum()) for name, mask in zip(STEPS, steps, strict=True)}}


def replay(codec: ConditionalCodec, features: torch.Tensor, symbols: np.ndarray) -> np.ndarray:
    """Scale classes that the symbols (C, h, w) of a frame were coded with, int32; features: of its prior."""
    path = codec.latents.path
    known = torch.from_numpy(symbols).to(codec.device).float()[None] * UNIT
    classes = y16 = torch.zeros_like(known)
    for index, mask in enumerate(path.masks(*symbols.shape, device=codec.device)):
        mean, now = path.step(index, features, y16)
        classes, y16 = torch.where(mask, now, classes), torch.where(mask, known + mean, y16)
    return integers(classes[0], np.int32)
