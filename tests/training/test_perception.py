"""LPIPS as a loss: where it looks, and that its raster cannot be pleased."""

import pytest
import torch
from tiny_pictures import Distance

from codec_lib.training import perception
from codec_lib.training.perception import MOVES, SIDE


@pytest.fixture
def dice():
    return torch.Generator().manual_seed(0)


def test_views_change_and_are_the_same_for_both_pictures(dice):
    x, corners = torch.rand(1, 2, 3, 64, 64), set()
    place = (100 * torch.arange(64.0)[:, None] + torch.arange(64.0)).expand(2, 1, 3, 64, 64)
    for _ in range(60):
        one, other = perception.view(torch.cat([x, x]), dice)
        assert torch.equal(one, other) and one.shape == (2, 3, 64 - MOVES, 64 - MOVES)
        corners.add(perception.view(place, dice)[0][0, 0, 0, 0].item())
    assert {c // 100 for c in corners} == {c % 100 for c in corners} == set(range(MOVES))


def test_a_pattern_of_the_raster_is_not_seen_alike_from_everywhere(dice):
    """What pleases a network that looks at every other pixel, by its sign there, has the other sign as often, or is gone."""
    down, across = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    pattern = ((-1.0) ** (down + across)).expand(2, 1, 3, 64, 64)
    met = [perception.view(pattern, dice)[0][..., ::2, ::2].mean().item() for _ in range(400)]
    assert abs(sum(met) / len(met)) < 0.1 and min(met) < 0 < max(met)


@pytest.mark.parametrize("cell", [1, 8])
def test_squares_lie_everywhere_in_the_picture(dice, cell):
    found = [perception.square(SIDE, SIDE + 4 * cell, dice, cell) for _ in range(60)]
    assert {rows for rows, _ in map(lambda p: (p[0].start, p[1]), found)} == {0}
    assert {columns.start for _, columns in found} == {cell * i for i in range(5)}
    assert all(columns.stop - columns.start == SIDE == rows.stop for rows, columns in found)
    whole = perception.square(64, 96, dice, cell)
    assert [s.stop - s.start for s in whole] == [64, 64]
    if cell == 8:
        assert perception.shrunk((slice(8, 136), slice(16, 144)), 8) == (slice(1, 17), slice(2, 18))


def test_the_distance_is_of_pictures_between_minus_one_and_one(dice):
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(perception.distance(Distance(), x, x, dice), torch.zeros(2))
    bright = perception.distance(Distance(), torch.full_like(x, 7.0), torch.zeros_like(x), dice)
    assert torch.equal(bright, torch.full((2,), 2.0))  # clamped to white, against black
