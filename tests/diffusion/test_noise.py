"""Noise that two machines draw alike."""

import hashlib

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from codec_lib.diffusion.noise import UNIT, gaussian_noise, quantiles
from codec_lib.errors import UsageError


def test_the_table_is_the_one_that_streams_were_made_with():
    assert hashlib.sha256(quantiles().astype("<i2").tobytes()).hexdigest() == TABLE


def test_noise_is_the_one_that_streams_were_made_with():
    drawn = (gaussian_noise((3, 5), seed=7, frame=2, step=11) * UNIT).short().numpy().astype("<i2")
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == DRAWN


def test_it_is_standard_normal():
    x = gaussian_noise((1000, 1000), seed=1)
    assert abs(x.mean().item()) < 4e-3 and abs(x.std().item() - 1) < 3e-3
    assert kstest(x.flatten()[:200_000].numpy(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(x.flatten()[:-1], x.flatten()[1:])[0, 1]) < 4e-3


def test_every_argument_counts_and_shape_does_not():
    base = gaussian_noise((64,), seed=1, frame=2, step=3)
    assert torch.equal(base, gaussian_noise((8, 8), seed=1, frame=2, step=3).flatten())
    assert torch.equal(base[:9], gaussian_noise((9,), seed=1, frame=2, step=3))
    for other in ({"seed": 2}, {"frame": 3}, {"step": 2}):
        x = gaussian_noise((64,), **({"seed": 1, "frame": 2, "step": 3} | other))
        assert abs(torch.corrcoef(torch.stack([base, x]))[0, 1]) < 0.5 and not torch.equal(base, x)


def test_values_are_exact_multiples():
    x = gaussian_noise((10_000,), seed=0)
    assert torch.equal((x * UNIT).round(), x * UNIT)


@pytest.mark.parametrize("bad", [{"seed": -1}, {"seed": 0, "frame": 2**32}, {"seed": 0, "step": -2}])
def test_arguments_out_of_range(bad):
    with pytest.raises(UsageError):
        gaussian_noise((2,), **bad)


TABLE = "1ea009ce409dac97d6bd609266910f809c5fb912f78e16bd89145b08174d6fc5"
DRAWN = "48cf2096107ab762e5eafe8c972a163cb0068b4d18eb3531030c4f5dcc35cb1c"
