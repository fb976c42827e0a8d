"""Table `same-psnr`: five kinds of damage, one PSNR."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from codec_lib.errors import UsageError
from codec_lib.experiments import same_psnr
from codec_lib.metrics.psnr import psnr
from codec_lib.video.clip import Video


@pytest.fixture(scope="module")
def video():
    """Two frames of waves and texture, far from 0 and 255, so that nothing is clipped."""
    y, x = np.mgrid[:48, :64]
    waves = np.array([120 + 40 * np.sin(x / (3 + c)) + 20 * np.cos(y / (2 + c)) for c in range(3)])
    waves += np.random.RandomState(1).uniform(-15, 15, (3, 48, 64))
    return Video(torch.from_numpy(np.rint(waves).astype(np.uint8)).repeat(2, 1, 1, 1), Fraction(25), "waves")


def test_all_five_have_the_psnr_of_the_shift(video):
    made = same_psnr.damaged(video)
    assert list(made) == ["shift", *same_psnr.TUNED]
    values = {name: psnr(v.frames, video.frames[:1]) for name, v in made.items()}
    # An offset of whole sample values comes in steps, coarse blocks nearly so; the others can be tuned finely.
    most = {"brightness": 0.6, "blocks": 0.3}
    apart = {name: abs(value - values["shift"]) for name, value in values.items()}
    assert all(d < most.get(name, 0.05) for name, d in apart.items()), apart
    assert all(v.frames.shape == (1, 3, 48, 64) for v in made.values())


def test_each_damage_is_what_it_is_called(video):
    made = {name: v.frames[0].numpy().astype(int) for name, v in same_psnr.damaged(video).items()}
    frame = video.frames[0].numpy().astype(int)
    assert (made["shift"][:, :, 1:] == frame[:, :, :-1]).all()
    assert len(np.unique(made["brightness"] - frame)) == 1
    assert made["blur"].var() < frame.var() < made["noise"].var()
    error = made["noise"] - frame
    assert abs(np.corrcoef(error[0].ravel(), error[2].ravel())[0, 1]) > 0.98  # grey noise


def test_blocks_are_blocks():
    flat = np.random.RandomState(0).uniform(90, 110, (3, 16, 16))
    coarse = same_psnr.blocks(flat, 1000)  # only the mean of a block is left, rounded to 1000/8
    assert np.allclose(coarse, 125)
    assert np.allclose(same_psnr.blocks(flat, 1e-6), flat, atol=1e-5)
    with pytest.raises(UsageError, match="multiples of 8"):
        same_psnr.blocks(flat[:, :15], 10)


def test_the_damage_is_the_same_every_time(video):
    first, second = same_psnr.damaged(video), same_psnr.damaged(video)
    assert all(torch.equal(first[name].frames, second[name].frames) for name in first)
