"""Out of focus: a Gaussian blur of the right width, the same in all frames, all over or on one side of a line."""

import random
from fractions import Fraction

import pytest
import torch

from codec_lib.training import focus
from codec_lib.training.focus import out_of_focus
from codec_lib.training.sequences import Sequences
from codec_lib.video import Video, write_video


@pytest.mark.parametrize("sigma", [1.0, 2.5])
def test_a_point_becomes_a_gaussian_of_that_width(sigma, monkeypatch):
    for name, value in (("LEAST", sigma), ("MOST", sigma), ("WHOLE", 1.0)):
        monkeypatch.setattr(focus, name, value)
    x = torch.zeros(1, 3, 41, 41, dtype=torch.uint8)
    x[..., 20, 20] = 255
    at = torch.arange(41.0) - 20
    bell = torch.exp(-(at[:, None].square() + at.square()) / (2 * sigma**2))
    assert torch.allclose(out_of_focus(x, random.Random(0)).float(), (255 * bell / bell.sum()).expand(1, 3, -1, -1), atol=0.51)


def test_even_ground_stays_as_it_is():
    even = torch.full((2, 3, 32, 48), 77, dtype=torch.uint8)
    assert all(torch.equal(out_of_focus(even, random.Random(seed)), even) for seed in range(5))


def test_it_takes_detail_away_in_all_frames_alike_and_not_everywhere_always():
    frame = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    frames = frame.repeat(3, 1, 1, 1)
    whole = 0
    for seed in range(20):
        y = out_of_focus(frames, random.Random(seed))
        assert y.dtype == torch.uint8 and y.shape == frames.shape and (y == y[:1]).all()
        assert y.float().var() < 0.95 * frame.float().var()
        whole += not (y[0] == frame[0]).all(dim=0).any()
    assert abs(whole / 20 - focus.WHOLE) <= 0.25


def test_sequences_blur_as_many_as_they_are_asked_to(tmp_path):
    folder, noise = tmp_path / "train", torch.Generator().manual_seed(0)
    folder.mkdir()
    write_video(Video(torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=noise), Fraction(24), "b"), folder / "b.mp4")
    spread = {}
    for share in (0.0, 1.0):
        sequences = Sequences([folder], tmp_path / "cache", crop=64, blurred=share, searches=())
        x, _ = sequences.batch(4, 3)
        spread[share] = x.var().item()
        assert ("out of focus" in sequences.described()) == (share > 0)
    assert spread[1.0] < 0.8 * spread[0.0]
