"""From a trained `ConditionalModel` to the checkpoint that ships, and back.

The checkpoint holds the float networks in float16, the probability path as integers, the integer tables of latents and
motion, and the digest of the I-frame codec's checkpoint that it was trained with. The float twin has the same weights.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch

from codec_lib.checkpoint import config_from, load_checkpoint, save_checkpoint
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.entropy.tables import CodingTables

KIND = "conditional"
FLOAT_PARTS = ("context.", "g_a.", "h_a.", "g_s.")


class Parts(NamedTuple):
    """What a checkpoint holds. intra: hex digest (first four bytes) of the I-frame codec's checkpoint; digest: of this one."""

    model: ConditionalModel
    entropy: IntegerEntropy | FloatEntropy
    tables: CodingTables
    motion: MotionCoder
    intra: str
    digest: bytes


def save_parts(path: Path, model: ConditionalModel, tables: CodingTables, motion: MotionCoder, intra: str) -> str:
    """Write a checkpoint. Returns its SHA-256."""
    state = {n: t.detach().cpu() for n, t in model.state_dict().items()}
    tensors = {n: t if n.endswith("log_gain") else t.half() for n, t in state.items() if n.startswith(FLOAT_PARTS)}
    integer = IntegerEntropy(model.config, model.entropy.cpu())
    integer.check()
    tensors |= {f"entropy.{n}": t for n, t in integer.packed().items()}
    tensors |= {f"tables.{n}": torch.from_numpy(a) for n, a in tables.to_arrays().items()}
    tensors |= {f"motion.{n}": torch.from_numpy(a) for n, a in motion.to_arrays().items()}
    config = {"model": asdict(model.config), "intra": intra}
    return save_checkpoint(path, tensors, config, KIND)


def load_parts(path: Path, entropy: str) -> Parts:
    """Read a checkpoint with its probability path, "integer" or "float"."""
    tensors, values, digest = load_checkpoint(path, KIND)
    config = config_from(ConditionalConfig, values["model"])
    model = ConditionalModel(config)
    floats = {n: t.float() for n, t in tensors.items() if n.startswith(FLOAT_PARTS)}
    model.load_state_dict({n: t for n, t in model.state_dict().items() if n.startswith("entropy.")} | floats)

    def part(prefix: str) -> dict:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    tables = CodingTables.from_arrays({n: t.numpy() for n, t in part("tables.").items()})
    motion = MotionCoder.from_arrays({n: t.numpy() for n, t in part("motion.").items()})
    path_ = (IntegerEntropy if entropy == "integer" else FloatEntropy)(config)
    path_.load_state_dict({n: t.float() for n, t in part("entropy.").items()})
    return Parts(model, path_, tables, motion, values["intra"], bytes.fromhex(digest)[:4])
