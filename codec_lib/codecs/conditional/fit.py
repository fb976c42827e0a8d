"""The conditional codec's coding tables, fitted to training clips."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.context_path import float_path
from codec_lib.codecs.conditional.entropy_path import IntegerEntropy
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder, MotionFit, level_of
from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.entropy.fit import TableFit, initial_tables
from codec_lib.entropy.tables import CodingTables
from codec_lib.video.clip import Video


class Fitted(NamedTuple):
    """Tables of latents and hyper-latents, and those of motion, or the probability path of learned motion."""

    tables: CodingTables
    motion: MotionCoder | FusedEntropy


def fit_tables(model: ConditionalModel, intra: IntraCodec, clips: Iterable[Video], qualities: range, seed: int = 0,
               made: type[ConditionalCodec] = ConditionalCodec) -> Fitted:
    """Code each clip at a random quality and count what its P frames send. made: the codec's class.

    The model's entropy networks must be in their final, quantised form. What is sent does not depend on the tables that it
    is counted under, but for the encoder's rounding of latents.
    """
    config = model.config
    entropy = (IntegerEntropy if config.portable else float_path)(config, model.entropy)
    on_lattice = config.motion == "lattice"
    untaught = MotionFit().coder() if on_lattice else FusedEntropy(model.flow.entropy)
    codec = made(model, entropy, initial_tables(config.density), untaught, intra, bytes(4))
    fit, motion, rng = TableFit(config.density), MotionFit(), np.random.default_rng(seed)
    for clip in clips:
        quality, previous = int(rng.integers(qualities[0], qualities[-1] + 1)), None
        for coded in codec.code(clip, quality):
            if coded.state.motion is not None:
                if on_lattice:
                    motion.add(coded.symbols[0], level_of(coded.state.earlier.quality, len(qualities)), previous)
                for symbols, classes in zip(coded.symbols[1:], coded.classes, strict=True):
                    if classes is not None:
                        fit.add(symbols, classes)
            previous = coded.state.motion
    return Fitted(fit.tables(), motion.coder() if on_lattice else untaught)
