"""Films of photographs: their motion is the motion of their frames."""

import random
from fractions import Fraction

import pytest
import torch
from PIL import Image

from codec_lib.codecs.conditional.lattice import flow_from_nodes
from codec_lib.layers.warping import warp
from codec_lib.training import filmed
from codec_lib.training.filmed import film, varied
from codec_lib.training.sequences import Sequences
from codec_lib.video import Video, write_video


@pytest.fixture(scope="module")
def photograph():
    small = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(small, size=(320, 480), mode="bicubic")
    return (255 * large[0].clamp(0, 1)).to(torch.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_warping_by_the_motion_gives_the_next_frame(photograph, seed):
    frames, motion = film(photograph, 4, 128, random.Random(seed))
    assert frames.shape == (4, 3, 128, 128) and motion.shape == (3, 2, 17, 17) and motion.dtype == torch.int16
    for t in range(3):
        warped = warp(frames[t : t + 1].float(), flow_from_nodes(motion[t : t + 1].long()), "spline")
        error = (warped - frames[t + 1 : t + 2].float())[..., 32:-32, 32:-32]  # what comes in at the border was not there
        assert error.pow(2).mean() < 6


def test_some_films_stand_still_and_some_run(photograph):
    rng = random.Random(0)
    speeds = []
    for _ in range(40):
        frames, motion = film(photograph, 2, 64, rng)
        still = bool((frames[0] == frames[1]).all())
        assert still <= bool((motion == 0).all())
        speeds.append(motion[..., 4, 4].float().norm().item() / 8)
    assert sum(s == 0 for s in speeds) >= 5
    assert max(speeds) > filmed.SLOW_SPEED and max(speeds) < 1.5 * filmed.FAST_SPEED


def test_varied_photographs_are_turned_and_mirrored_in_all_eight_ways(photograph, monkeypatch):
    monkeypatch.setattr(filmed, "LIGHTER", 0.0)
    ways = [torch.rot90(m, k, (1, 2)) for m in (photograph, photograph.flip(2)) for k in range(4)]
    found = [[torch.equal(other, way) for way in ways] for other in (varied(photograph, random.Random(seed)) for seed in range(60))]
    assert all(sum(which) == 1 for which in found)
    assert all(any(which) for which in zip(*found, strict=True))


def test_varied_photographs_are_lighter_and_darker(photograph):
    values = photograph.flatten().sort().values.float() / 255
    exponents = []
    for seed in range(30):
        other = varied(photograph, random.Random(seed))
        assert other.dtype == torch.uint8
        changed = other.flatten().sort().values.float() / 255
        middle = len(values) // 2
        exponents.append((changed[middle].log() / values[middle].log()).item())
        assert torch.allclose(changed, values.pow(exponents[-1]), atol=0.02)  # one curve for all pixels
    assert min(exponents) < 0.9 and max(exponents) > 1.1


def test_batches_hold_clips_and_films(photograph, tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    Image.fromarray(photograph.permute(1, 2, 0).numpy()).save(folder / "a.png")
    frames = film(photograph, 3, 128, random.Random(9))[0]
    write_video(Video(frames, Fraction(24), "b"), folder / "b.mp4")
    for share, films in ((0.0, 0), (1.0, 4)):
        sequences = Sequences([folder], tmp_path / "cache", crop=64, film_share=share)
        x, motion = sequences.batch(4, 3)
        assert x.shape == (3, 4, 3, 64, 64) and motion.shape == (2, 2, 4, 2, 9, 9)
        assert sum(float(motion[:, 0, i].float().sub(motion[:, 1, i]).abs().sum()) == 0 for i in range(4)) >= films
        assert f"{100 * share:.0f} % of the sequences" in sequences.described()
