"""Checkpoints: tensors and their configuration in one safetensors file, named by a digest that streams carry."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from codec_lib.errors import MissingWeights, UsageError
from codec_lib.paths import CHECKPOINTS

MAX_BYTES = 16 * 2**20


def checkpoint_path(codec: str, profile: str) -> Path:
    """Where the shipped checkpoint of a codec lies, whether or not it is there."""
    return CHECKPOINTS / f"{codec}-{profile}.safetensors"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], config: dict, kind: str) -> str:
    """Write a checkpoint aside and rename it. Returns its digest (hex SHA-256 of the file).

    kind: what the tensors are for, checked by `load_checkpoint`. config: plain values, kept as JSON.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.tmp")
    save_file({n: t.contiguous() for n, t in tensors.items()}, aside,
              metadata={"kind": kind, "config": json.dumps(config, sort_keys=True)})
    aside.chmod(0o644)
    os.replace(aside, path)
    return file_sha256(path)


def load_checkpoint(path: Path, kind: str) -> tuple[dict[str, Tensor], dict, str]:
    """Tensors, configuration and digest of a checkpoint.

    Raises MissingWeights if there is no such file, UsageError if it is not a checkpoint of this kind.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingWeights(
            f"no checkpoint '{path.name}': train one with 'python -m codec_lib train {kind}', "
            "or clone the repository with its data/checkpoints folder"
        )
    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            if metadata.get("kind") != kind:
                raise UsageError(f"'{path.name}' is a checkpoint of '{metadata.get('kind')}', not of '{kind}'")
            tensors = {n: f.get_tensor(n) for n in f.keys()}  # noqa: SIM118 (safe_open is no dict)
    except SafetensorError as error:
        raise UsageError(f"'{path.name}' is not a safetensors checkpoint ({error}): fetch or train it again") from None
    return tensors, json.loads(metadata["config"]), file_sha256(path)


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
