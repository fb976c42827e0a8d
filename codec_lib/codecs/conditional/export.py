"""From a trained `ConditionalModel` to the checkpoint that ships, and back.

The checkpoint holds the float networks in 16 and 8 bits a weight, the probability path as integers, the integer
tables of latents and motion, and the digest of the I-frame codec's checkpoint that it was trained with. The float twin has
the same weights.

A model whose probabilities depend on floats has no integers to ship: its entropy model is kept in float16 like the rest, with
tables of hyper-latents made once, here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from codec_lib.checkpoint import config_from, fill, in_eight_bits, load_checkpoint, save_checkpoint, widened
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context_path import ContextEntropy
from codec_lib.codecs.conditional.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionCoder
from codec_lib.entropy.tables import CodingTables
from codec_lib.errors import UsageError

KIND = "conditional"
FLOAT_PARTS = ("context.", "g_a.", "h_a.", "g_s.", "flow.")
PRECISE = ("log_gain", "log_basic")
"""Gains stay in float32: their exponentials multiply everything."""


class Parts(NamedTuple):
    """What a checkpoint holds. motion: statistics of the lattice, or the probability path of learned motion. intra: hex digest
    (first four bytes) of the I-frame codec's checkpoint; needs: the same of others that it was trained with; digest: of this one."""

    model: ConditionalModel
    entropy: IntegerEntropy | ContextEntropy | FusedEntropy
    tables: CodingTables
    motion: MotionCoder | FusedEntropy
    intra: str
    digest: bytes
    needs: dict[str, str]


def save_parts(path: Path, model: ConditionalModel, tables: CodingTables, motion: MotionCoder | FusedEntropy, intra: str,
               kind: str = KIND, needs: dict[str, str] | None = None) -> str:
    """Write a checkpoint. Returns its SHA-256. kind: of the codec, where another one is made of these networks."""
    c = model.config
    tensors = float_tensors(model)
    tensors |= _packed("tables.", tables)
    tensors |= _packed("motion.", motion) if c.motion == "lattice" else _packed("motion_z.", motion.z_tables)
    if c.portable:
        integer = IntegerEntropy(c, model.entropy.cpu())
        integer.check()
        tensors |= {f"entropy.{n}": t for n, t in integer.packed().items()}
    elif c.spatial_prior == "quadtree":
        tensors |= _packed("z.", model.entropy.z.tables())
    return save_checkpoint(path, tensors, {"model": asdict(c), "intra": intra} | ({"needs": needs} if needs else {}), kind)


def float_tensors(model: ConditionalModel) -> dict[str, Tensor]:
    """The float networks as a checkpoint holds them: gains in float32, weights at the coarsest scale in eight bits, all else in
    float16. Eight bits at the finer scales cost one percent in BD-rate on a clip that stands still, at the coarsest nothing."""
    coarsest = f"{model.config.scales[-1]}."
    kept = {n: t.detach().cpu() for n, t in model.state_dict().items() if n.startswith(_float_parts(model.config))}
    precise = {n: t for n, t in kept.items() if n.endswith(PRECISE)}
    coarse = {n: t for n, t in kept.items() if t.ndim > 1 and n not in precise and (coarsest in n or n.startswith("h_a."))}
    return precise | in_eight_bits(coarse) | {n: t.half() for n, t in kept.items() if n not in precise and n not in coarse}


@torch.no_grad()
def round_as_shipped(model: ConditionalModel) -> None:
    """Give the model the float weights that it will have when it comes back from a checkpoint."""
    model.load_state_dict({n: t.float() for n, t in widened(float_tensors(model)).items()}, strict=False)


def load_parts(path: Path, entropy: str | None = None, kind: str = KIND, config: type[ConditionalConfig] = ConditionalConfig,
               space: Callable[[ConditionalConfig], nn.Module] | None = None) -> Parts:
    """Read a checkpoint with its probability path, "integer" or "float"; None: integer where it has one. kind: as it was saved
    with; config: its class; space: makes what is coded, where that is not frames.

    Raises MissingWeights; UsageError for a file that is no such checkpoint, or has no such path.
    """
    tensors, values, digest = load_checkpoint(path, kind)
    c = config_from(config, values["model"])
    model = ConditionalModel(c, space and space(c))
    floats = {n: t.float() for n, t in tensors.items() if n.startswith(_float_parts(c))}
    fill(model, {n: t for n, t in model.state_dict().items() if n.startswith("entropy.")} | floats, Path(path).name)
    tables = CodingTables.from_arrays(_part("tables.", tensors))
    if c.motion == "lattice":
        motion = MotionCoder.from_arrays(_part("motion.", tensors))
    else:
        motion = FusedEntropy(model.flow.entropy, CodingTables.from_arrays(_part("motion_z.", tensors)))
    if c.portable:
        path_ = (FloatEntropy if entropy == "float" else IntegerEntropy)(c)
        fill(path_, {n.removeprefix("entropy."): t.float() for n, t in tensors.items() if n.startswith("entropy.")}, Path(path).name)
    elif entropy == "integer":
        raise UsageError(f"the prior of '{Path(path).name}' looks at floats and has no integer form: use entropy 'float'")
    elif c.spatial_prior == "quadtree":
        path_ = FusedEntropy(model.entropy, CodingTables.from_arrays(_part("z.", tensors)))
    else:
        path_ = ContextEntropy(c, model.entropy)
    return Parts(model, path_, tables, motion, values["intra"], bytes.fromhex(digest)[:4], values.get("needs", {}))


def trainable(parts: Parts) -> ConditionalModel:
    """The model of a checkpoint with its entropy model as real weights, to go on training with."""
    model = parts.model
    if model.config.portable:
        model.entropy.load_state_dict(parts.entropy.trainable(model.config).state_dict())
    return model


def _float_parts(c: ConditionalConfig) -> tuple[str, ...]:
    """Beginnings of the names of tensors that are kept as floats."""
    return FLOAT_PARTS if c.portable else (*FLOAT_PARTS, "entropy.")


def _packed(prefix: str, source: CodingTables | MotionCoder) -> dict[str, Tensor]:
    return {prefix + n: torch.from_numpy(a) for n, a in source.to_arrays().items()}


def _part(prefix: str, tensors: dict[str, Tensor]) -> dict:
    """Arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): t.numpy() for n, t in tensors.items() if n.startswith(prefix)}
