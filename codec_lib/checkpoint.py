"""Checkpoints: tensors and their configuration in one safetensors file, named by a digest that streams carry.

Pretrained networks that others published are read where they lie, in folders of diffusers' format.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from codec_lib.errors import MissingWeights, UsageError
from codec_lib.paths import CHECKPOINTS

MAX_BYTES = 16 * 2**20
SCALE = ":scale"
"""What is added to a tensor's name for the scales of its rows."""
DIFFUSERS_WEIGHTS = tuple(
    f"diffusion_pytorch_model.{end}" for end in ("safetensors", "safetensors.index.json", "bin", "bin.index.json")
)
"""Files in which diffusers' ``from_pretrained`` looks for weights."""

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


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
        profile = path.stem.removeprefix(f"{kind}-")
        named = "" if profile in (path.stem, "lab") else f" --profile {profile}"
        raise MissingWeights(
            f"no checkpoint '{path.name}': train one with 'python -m codec_lib train {kind}{named}', "
            "or clone the repository with its data/checkpoints folder"
        )
    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            if metadata.get("kind") != kind:
                raise UsageError(f"'{path.name}' is a checkpoint of '{metadata.get('kind')}', not of '{kind}'")
            tensors = widened({n: f.get_tensor(n) for n in f.keys()})  # noqa: SIM118 (safe_open is no dict)
    except SafetensorError as error:
        raise UsageError(f"'{path.name}' is not a safetensors checkpoint ({error}): fetch or train it again") from None
    return tensors, json.loads(metadata["config"]), file_sha256(path)


def in_eight_bits(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors for a checkpoint of half the size: each as int8, with a float32 scale for every row (its first dimension).

    A weight then differs from what it was by at most 1/254 of its row's largest; `load_checkpoint` undoes the scaling. For
    tensors of two dimensions and more.
    """
    packed = {}
    for name, tensor in tensors.items():
        rows = tensor.detach().float().flatten(1)
        scale = (rows.abs().amax(dim=1, keepdim=True) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        packed[name] = (rows / scale).round().to(torch.int8).view(tensor.shape)
        packed[name + SCALE] = scale.flatten()
    return packed


def compact(tensors: dict[str, Tensor], precise: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """Tensors of a network for a checkpoint: matrices and kernels in eight bits, all else in float16, except those whose names
    begin with one of ``precise``, which stay as they are."""
    kept = {n: t for n, t in tensors.items() if n.startswith(precise)} if precise else {}
    coarse = {n: t for n, t in tensors.items() if n not in kept and t.ndim >= 2}
    return kept | in_eight_bits(coarse) | {n: t.half() for n, t in tensors.items() if n not in kept and n not in coarse}


def widened(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Undo `in_eight_bits`: float32 where there is a scale, everything else as it is."""
    result = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE):
            continue
        scale = tensors.get(name + SCALE)
        result[name] = tensor if scale is None else tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
    return result


def config_from(cls: type[Config], values: dict) -> Config:
    """The configuration ``cls``, a dataclass, from a checkpoint's values; JSON made lists of its tuples.

    Raises UsageError for values that the configuration does not have: the checkpoint is another version's.
    """
    if unknown := sorted(values.keys() - {f.name for f in fields(cls)}):
        raise UsageError(f"the checkpoint has settings unknown to {cls.__name__} ({', '.join(unknown)}): upgrade the library")
    return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})


def load_model(path: Path, kind: str, model: type[Model], config: type) -> Model:
    """The network of a checkpoint that holds nothing else, weights widened to float32, in evaluation mode.

    Raises what `load_checkpoint` and `config_from` raise.
    """
    tensors, values, _ = load_checkpoint(path, kind)
    network = model(config_from(config, values))
    fill(network, {n: t.float() for n, t in tensors.items()}, Path(path).name)
    return network.eval()


def fill(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Give a module its weights, all of them. Raises UsageError where those of ``source`` are not its own."""
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted:
            raise UsageError(f"'{source}' {'lacks' if name in wanted else 'has'} the tensor {name}, which a {type(module).__name__} of its "
                             f"configuration {'has' if name in wanted else 'does not have'}: it is damaged, fetch or train it again")
        if tensors[name].shape != wanted[name].shape:
            raise UsageError(f"'{source}' has {name} of shape {tuple(tensors[name].shape)}, and {tuple(wanted[name].shape)} is wanted: it is "
                             "of another size, fetch or train it again")
    module.load_state_dict(tensors)


def from_diffusers(cls: type[Model], folder: Path, part: str, what: str) -> Model:
    """A network from a folder in diffusers' format, see `diffusers_part`; ``cls`` is diffusers' class.

    Raises MissingWeights where it is not there, UsageError where it is damaged or its weights do not fit its configuration.
    """
    inner = diffusers_part(Path(folder), part, what)
    try:
        network, report = cls.from_pretrained(inner, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split(". ")[0].split())
        raise UsageError(f"'{inner}' cannot be loaded as a {what} ({reason}): fetch it again") from None
    if missing := report.get("missing_keys"):
        raise UsageError(f"the weights in '{inner}' lack {len(missing)} tensors of the {what}, {min(missing)} for one: fetch them again")
    return network


def diffusers_part(folder: Path, part: str, what: str) -> Path:
    """Where a network lies in a folder of diffusers' format: the sub-folder ``part``, or the folder itself if it has none.

    what: the network in words. Raises MissingWeights where its configuration or its weights are not.
    """
    inner = folder / part if (folder / part).is_dir() else folder
    if not (inner / "config.json").is_file():
        raise MissingWeights(f"'{folder}' holds no {what}: name a folder with {part}/config.json and its weights")
    if not any((inner / name).is_file() for name in DIFFUSERS_WEIGHTS):
        raise MissingWeights(f"'{inner}' describes a {what} but lacks its weights: put {DIFFUSERS_WEIGHTS[0]} there")
    return inner


def network_sha256(path: Path, part: str, what: str) -> str:
    """Hex SHA-256 of a network's weights: of a checkpoint, the file; of a folder in diffusers' format, its weight files in order.

    Raises MissingWeights where there are none."""
    if not Path(path).is_dir():
        if not Path(path).is_file():
            raise MissingWeights(f"no {what} at '{Path(path).name}': train one, or name a folder in diffusers' format")
        return file_sha256(path)
    files = sorted(f for f in diffusers_part(Path(path), part, what).iterdir() if f.suffix in (".safetensors", ".bin"))
    total = hashlib.sha256()
    for file in files:
        total.update(bytes.fromhex(file_sha256(file)))
    return total.hexdigest() if len(files) > 1 else file_sha256(files[0])


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
