"""Rate-distortion optimised rounding against the comparison it stands for."""

import numpy as np
import pytest
import torch

from codec_lib.entropy.density import class_sigmas
from codec_lib.entropy.quantise import quantise, rounding_thresholds
from codec_lib.entropy.tables import gaussian_tables

TABLES = gaussian_tables(class_sigmas().tolist())


def by_comparison(residual, classes, weight):
    """Both candidates' costs, computed and compared one by one."""
    chosen = []
    for r, c in zip(residual.tolist(), classes.tolist(), strict=True):
        k = int(torch.tensor(r).round())
        nearer = k - int(np.sign(k))
        cost = {s: weight * (r - s) ** 2 + TABLES.bits(np.array([s]), np.array([c])) for s in (k, nearer)}
        chosen.append(min(cost, key=lambda s: (cost[s], -abs(s))))
    return torch.tensor(chosen, dtype=torch.float32)


@pytest.mark.parametrize("weight", [8.0, 40.0])
def test_thresholds_make_the_cheaper_choice(weight):
    generator = torch.Generator().manual_seed(0)
    classes = torch.randint(0, len(TABLES), (4000,), generator=generator)
    residual = torch.randn(4000, generator=generator) * class_sigmas().float()[classes] * 1.5
    residual = residual.clamp(-60, 60)
    inside = residual.abs().round() <= -torch.from_numpy(TABLES.low)[classes]  # what a table holds
    got = quantise(residual, classes, rounding_thresholds(TABLES, weight))
    assert torch.equal(got[inside], by_comparison(residual[inside], classes[inside], weight))
    assert (got[inside] != residual[inside].round()).any()


def test_it_never_costs_more_bits_and_never_moves_further_than_a_step():
    residual = torch.linspace(-200, 200, 100_001)
    for c in (0, 20, 63):
        classes = torch.full(residual.shape, c)
        got = quantise(residual, classes, rounding_thresholds(TABLES, 20.0))
        nearest = residual.round()
        assert ((nearest - got).abs() <= 1).all() and (got.abs() <= nearest.abs()).all()
        bits = TABLES.symbol_bits(got.int().numpy(), classes.numpy())
        assert (bits <= TABLES.symbol_bits(nearest.int().numpy(), classes.numpy())).all()


def test_an_infinite_weight_is_plain_rounding():
    residual = torch.linspace(-90, 90, 10_001)
    classes = torch.full(residual.shape, 30)
    assert torch.equal(quantise(residual, classes, rounding_thresholds(TABLES, 1e12)), residual.round())
