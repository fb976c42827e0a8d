"""The training loop: learns, saves, resumes; Muon; what is never trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from codec_lib.errors import MissingData, UsageError
from codec_lib.training.data import StillPictures, training_files
from codec_lib.training.loop import Average, Recipe, train
from codec_lib.training.optim import Muon, orthogonalise


class Line(Recipe):
    """Fit a fixed linear map."""

    name, learning_rate, warmup_steps = "line", 0.1, 5

    def __init__(self):
        torch.manual_seed(3)
        self.model = torch.nn.Linear(8, 4)
        self.target = torch.randn(4, 8)
        self.seen = []

    def at(self, progress):
        self.seen.append(progress)

    def loss(self, progress):
        x = torch.randn(64, 8)
        loss = (self.model(x).float() - x @ self.target.T).pow(2).mean()
        return loss, {"loss": loss.item()}

    def validate(self):
        return {"distance": float((self.model.weight.detach() - self.target).norm() / self.target.norm())}


def test_loop_learns_and_leaves_with_averaged_weights(tmp_path):
    recipe = Line()
    start = recipe.validate()["distance"]
    result = train(recipe, tmp_path, minutes=1, steps=250)
    assert result["steps"] == 250
    assert result["validation"]["distance"] < 0.3 * start
    assert recipe.validate() == result["validation"]
    assert recipe.seen[0] == 0 and recipe.seen[-1] == 1.0


def test_resume_goes_on_where_it_stopped(tmp_path):
    first = Line()
    train(first, tmp_path, minutes=1, steps=40)
    again = Line()
    result = train(again, tmp_path, minutes=1, steps=100, resume=True)
    assert result["steps"] == 100
    assert again.seen[0] == pytest.approx(0.4)  # 40 of 100 steps are behind us
    with pytest.raises(UsageError, match="--resume"):
        train(Line(), tmp_path, minutes=1, steps=10)


def test_orthogonalise_brings_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((20, 50), (50, 20), (30, 30)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)).float())
        assert 0.5 < values.median() and values.max() < 1.4


def test_muon_steps_have_the_stated_size():
    p = torch.nn.Parameter(torch.zeros(32, 16, 3, 3))
    p.grad = torch.randn_like(p)
    Muon([p], lr=0.01).step()
    assert 0.5 < p.detach().pow(2).mean().sqrt() / (0.2 * 0.01) < 1.5


def test_average_follows_and_swaps_back():
    model = torch.nn.Linear(2, 2)
    average = Average(model, decay=0.5)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    average.update(step=1000)
    live = model.weight.detach().clone()
    average.swap()
    assert torch.allclose(model.weight, before + 0.5)
    average.swap()
    assert torch.equal(model.weight, live)


def picture(path: Path, size=(80, 70), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_dev_folders_are_never_trained_on(tmp_path):
    picture(tmp_path / "train" / "a.png")
    picture(tmp_path / "dev" / "b.png")
    assert [p.name for p in training_files([tmp_path], {".png"})] == ["a.png"]
    with pytest.raises(MissingData, match="held out"):
        training_files([tmp_path / "dev"], {".png"})


def test_crops_come_from_the_pictures_and_the_cache_gives_the_same(tmp_path):
    for i in range(3):
        picture(tmp_path / "photos" / f"{i}.png", seed=i)
    picture(tmp_path / "photos" / "small.png", size=(20, 20))
    runs = [StillPictures([tmp_path / "photos"], crop=64, seed=5, cache=tmp_path / "cache") for _ in range(2)]
    assert all(len(r.photographs) == 3 for r in runs)
    a, b = (r.batch(4) for r in runs)
    assert torch.equal(a, b) and a.shape == (4, 3, 64, 64) and 0 <= a.min() and a.max() <= 1
    with pytest.raises(MissingData, match="--data"):
        StillPictures([tmp_path / "photos"], crop=256)
