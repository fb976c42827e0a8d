"""The conditional codec's coding tables, fitted to training clips."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.context_path import float_path
from codec_lib.codecs.conditional.entropy_path import IntegerEntropy
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.entropy.fit import TableFit, initial_tables
from codec_lib.entropy.tables import CodingTables
from codec_lib.video.clip import Video


def fit_tables(model: ConditionalModel, motion: MotionCoder | FusedEntropy, intra: IntraCodec, clips: Iterable[Video],
               qualities: range, seed: int = 0) -> CodingTables:
    """Code each clip at a random quality and count the symbols of its P frames.

    The model's entropy networks must be in their final, quantised form.
    """
    entropy = (IntegerEntropy if model.config.portable else float_path)(model.config, model.entropy)
    density = model.config.density
    codec = ConditionalCodec(model, entropy, initial_tables(density), motion, intra, bytes(4))
    fit, rng = TableFit(density), np.random.default_rng(seed)
    for clip in clips:
        quality = int(rng.integers(qualities[0], qualities[-1] + 1))
        for coded in codec.code(clip, quality):
            if coded.state.motion is not None:
                for symbols, classes in zip(coded.symbols[1:], coded.classes, strict=True):
                    if classes is not None:
                        fit.add(symbols, classes)
    return fit.tables()
