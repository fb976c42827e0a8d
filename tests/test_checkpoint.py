"""Checkpoints: configurations come back as they were, and what is missing or foreign is one clear line."""

from dataclasses import asdict, dataclass

import pytest
import torch
from torch import nn

from codec_lib.checkpoint import (
    DIFFUSERS_WEIGHTS,
    compact,
    config_from,
    diffusers_part,
    fill,
    in_eight_bits,
    load_checkpoint,
    load_model,
    save_checkpoint,
    widened,
)
from codec_lib.errors import MissingWeights, UsageError


@dataclass(frozen=True)
class Sizes:
    widths: tuple[int, ...] = (2, 3)
    scale: float = 1.0


class Small(nn.Module):
    def __init__(self, config: Sizes):
        super().__init__()
        self.config = config
        self.layer = nn.Linear(*config.widths)


def test_a_model_comes_back_from_its_file(tmp_path):
    model = Small(Sizes((4, 5), 0.5))
    save_checkpoint(tmp_path / "a.safetensors", {n: t.half() for n, t in model.state_dict().items()}, asdict(model.config), "small")
    loaded = load_model(tmp_path / "a.safetensors", "small", Small, Sizes)
    assert loaded.config == model.config and not loaded.training
    assert loaded.layer.weight.dtype == torch.float32 and torch.equal(loaded.layer.weight, model.layer.weight.half().float())


def test_settings_of_another_version_are_told():
    with pytest.raises(UsageError, match=r"unknown to Sizes \(depth, heads\)"):
        config_from(Sizes, {"heads": 3, "widths": [1, 2], "depth": 1})


def test_other_files_are_told(tmp_path):
    with pytest.raises(MissingWeights, match="no checkpoint 'none.safetensors'"):
        load_checkpoint(tmp_path / "none.safetensors", "small")
    save_checkpoint(tmp_path / "a.safetensors", {"x": torch.ones(1)}, {}, "other")
    with pytest.raises(UsageError, match="of 'other', not of 'small'"):
        load_checkpoint(tmp_path / "a.safetensors", "small")
    (tmp_path / "b.safetensors").write_bytes(b"no tensors")
    with pytest.raises(UsageError, match="not a safetensors checkpoint"):
        load_checkpoint(tmp_path / "b.safetensors", "small")


@pytest.mark.parametrize("inner", ["part", "."])
def test_a_part_of_a_folder_in_diffusers_format(tmp_path, inner):
    folder = tmp_path / inner
    folder.mkdir(exist_ok=True)
    with pytest.raises(MissingWeights, match="holds no engine: name a folder with part/config.json"):
        diffusers_part(tmp_path, "part", "engine")
    (folder / "config.json").write_text("{}")
    with pytest.raises(MissingWeights, match="lacks its weights"):
        diffusers_part(tmp_path, "part", "engine")
    (folder / DIFFUSERS_WEIGHTS[-1]).write_text("{}")
    assert diffusers_part(tmp_path, "part", "engine") == folder


def test_eight_bits_lose_little_and_half_the_size(tmp_path):
    x = {"w": torch.randn(6, 5, 3, 3), "zero": torch.zeros(2, 4)}
    x["w"][3] *= 100
    save_checkpoint(tmp_path / "a.safetensors", in_eight_bits(x) | {"bias": torch.ones(6).half()}, {}, "small")
    found, _, _ = load_checkpoint(tmp_path / "a.safetensors", "small")
    assert set(found) == {"w", "zero", "bias"} and found["bias"].dtype == torch.float16
    for row, again in zip(x["w"].flatten(1), found["w"].flatten(1), strict=True):
        assert (row - again).abs().max() <= row.abs().max() / 254 * 1.001
    assert torch.equal(found["zero"], x["zero"]) and found["w"].shape == x["w"].shape
    again = load_checkpoint(tmp_path / "a.safetensors", "small")[0]
    assert torch.equal(widened(in_eight_bits({"w": again["w"]}))["w"], again["w"])  # once rounded, it stays as it is


def test_what_is_precise_stays_as_it_is_and_the_rest_is_compact():
    x = {"scale": torch.tensor(0.3), "linear.w": torch.randn(3, 3), "net.w": torch.randn(3, 3), "net.b": torch.randn(3)}
    found = compact(x, ("scale", "linear."))
    assert torch.equal(found["scale"], x["scale"]) and torch.equal(found["linear.w"], x["linear.w"])
    assert found["net.w"].dtype == torch.int8 and found["net.b"].dtype == torch.float16 and "net.w:scale" in found
    assert set(widened(found)) == set(x)


def test_weights_of_another_size_are_named():
    module = nn.Linear(2, 3)
    fill(module, {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, "a.safetensors")
    assert module.weight.sum() == 6
    with pytest.raises(UsageError, match=r"'a\.safetensors' has bias of shape \(4,\), and \(3,\) is wanted"):
        fill(module, {"weight": torch.ones(3, 2), "bias": torch.zeros(4)}, "a.safetensors")
    with pytest.raises(UsageError, match="lacks the tensor bias"):
        fill(module, {"weight": torch.ones(3, 2)}, "a.safetensors")
    with pytest.raises(UsageError, match="has the tensor scale, which a Linear"):
        fill(module, {"weight": torch.ones(3, 2), "bias": torch.zeros(3), "scale": torch.ones(1)}, "a.safetensors")
