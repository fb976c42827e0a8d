"""Reading weight files of image networks safely: plain tensors only, digests compared first."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from codec_lib import weights
from codec_lib.errors import MissingWeights


def load_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """The state dict in a .pth, .pt or .bin file, on the CPU. Nothing in the file is executed.

    name: the entry of the weights table it belongs to, for the message. Raises MissingWeights when it is no such file.
    """
    try:
        with torch.inference_mode(False):  # so that the tensors can serve in training too
            state = torch.load(path, map_location="cpu", weights_only=True)
            return {k: v.detach() for k, v in state.items()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, ValueError) as error:
        raise MissingWeights(
            f"{path} is not a file of tensors ({type(error).__name__}): delete it and run "
            f"`python -m codec_lib weights get {name}`"
        ) from error


def load_features(name: str, file: str | None = None) -> dict[str, Tensor]:
    """The convolutional part of a torchvision classifier, keys as in its ``features`` module ("0.weight", ...).

    name: entry of the weights table. file: which of its files, the first by default.
    Takes whole classifiers (keys "features.0.weight", ...) and files of the features alone. Raises MissingWeights.
    """
    found = weights.checked(name)
    state = load_tensors(found[file] if file else next(iter(found.values())), name)
    whole = {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
    return whole or state
