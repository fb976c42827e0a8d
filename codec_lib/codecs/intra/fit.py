"""The intra codec's coding tables, fitted to training pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.intra.entropy_path import IntegerEntropy
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.entropy.fit import TableFit, initial_tables
from codec_lib.entropy.tables import CodingTables


def fit_tables(model: IntraModel, batches: list[Tensor], qualities: range, seed: int = 0) -> CodingTables:
    """Count symbols over ``batches`` of uint8 pictures (N, 3, H, W), each at a random quality.

    The model's entropy networks must be in their final, quantised form.
    """
    codec = IntraCodec(model, IntegerEntropy(model.config, model.entropy), initial_tables(), bytes(4))
    fit, rng = TableFit(), np.random.default_rng(seed)
    for pictures in batches:
        quality = int(rng.integers(qualities[0], qualities[-1] + 1))
        with torch.inference_mode():
            z, symbols, classes = codec.latents(pictures, quality)
        fit.add(symbols, classes)
        fit.add(z, np.stack([codec.z_classes(z.shape[1:], quality)] * len(z)))
    return fit.tables()
