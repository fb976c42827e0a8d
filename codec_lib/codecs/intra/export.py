"""From a trained `IntraModel` to the checkpoint that ships, and back.

The checkpoint holds g_a, h_a and g_s in float16 (widened to float32 when loaded), the probability path as int8 and
int32 integers, and the integer coding tables. The float twin's weights go into a second file, `<name>-float`, which only
experiments need.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from codec_lib.checkpoint import config_from, fill, load_checkpoint, save_checkpoint
from codec_lib.codecs.intra.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.intra.model import IntraConfig, IntraModel
from codec_lib.entropy.tables import CodingTables

KIND, TWIN_KIND = "intra", "intra-float"
FLOAT_PARTS = ("g_a.", "h_a.", "g_s.")


def twin_path(path: Path) -> Path:
    """File of the float twin that belongs to a checkpoint."""
    return path.with_name(f"{path.stem}-float{path.suffix}")


def save_parts(path: Path, model: IntraModel, tables: CodingTables) -> str:
    """Write checkpoint and float twin. Returns the checkpoint's SHA-256."""
    state = {n: t.detach().cpu() for n, t in model.state_dict().items()}
    tensors = {n: t if n.endswith("log_gain") else t.half() for n, t in state.items() if n.startswith(FLOAT_PARTS)}
    integer = IntegerEntropy(model.config, model.entropy.cpu())
    integer.check()
    tensors |= {f"entropy.{n}": t for n, t in integer.packed().items()}
    tensors |= {f"tables.{n}": torch.from_numpy(a) for n, a in tables.to_arrays().items()}
    config = asdict(model.config)
    twin = {n.removeprefix("entropy."): t.half() for n, t in state.items() if n.startswith("entropy.")}
    save_checkpoint(twin_path(path), twin, config, TWIN_KIND)
    return save_checkpoint(path, tensors, config, KIND)


def load_parts(path: Path, entropy: str) -> tuple[IntraModel, IntegerEntropy | FloatEntropy, CodingTables, bytes]:
    """Read a checkpoint: float networks, probability path ("integer" or "float"), tables, 4-byte digest."""
    tensors, values, digest = load_checkpoint(path, KIND)
    config = config_from(IntraConfig, values)
    model = IntraModel(config)
    floats = {n: t.float() for n, t in tensors.items() if n.startswith(FLOAT_PARTS)}
    fill(model, {n: t for n, t in model.state_dict().items() if n.startswith("entropy.")} | floats, Path(path).name)
    arrays = {n.removeprefix("tables."): t.numpy() for n, t in tensors.items() if n.startswith("tables.")}
    tables = CodingTables.from_arrays(arrays)
    if entropy == "integer":
        path_ = IntegerEntropy(config)
        fill(path_, {n.removeprefix("entropy."): t.float() for n, t in tensors.items() if n.startswith("entropy.")}, Path(path).name)
    else:
        twin, _, _ = load_checkpoint(twin_path(path), TWIN_KIND)
        fill(model.entropy, {n: t.float() for n, t in twin.items()}, twin_path(path).name)
        path_ = FloatEntropy(config, model.entropy)
    return model, path_, tables, bytes.fromhex(digest)[:4]


def load_trainable(path: Path) -> IntraModel:
    """The networks of a checkpoint as a video codec's training wants them: the entropy model is what ships, as real weights."""
    model, integers, _, _ = load_parts(path, "integer")
    model.entropy = integers.trainable(model.config)
    return model
