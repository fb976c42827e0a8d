"""Padding and the orders in which frames are coded."""

import pytest
import torch

from codec_lib.errors import UsageError
from codec_lib.video import crop, low_delay, pad_to_multiple, random_access


@pytest.mark.parametrize("size", [(16, 32), (17, 31), (1, 1), (15, 16)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_padding_repeats_the_edge_and_comes_off(size, dtype):
    x = torch.arange(3 * size[0] * size[1]).view(1, 3, *size).remainder(251).to(dtype)
    padded, back = pad_to_multiple(x, 16)
    assert padded.shape[-2] % 16 == 0 and padded.shape[-1] % 16 == 0 and padded.dtype == dtype
    assert padded.shape[-2] - size[0] < 16 and padded.shape[-1] - size[1] < 16
    assert back == size and (crop(padded, back) == x).all()
    for i in range(padded.shape[-2]):
        for j in (0, size[1] - 1, padded.shape[-1] - 1):
            assert (padded[..., i, j] == x[..., min(i, size[0] - 1), min(j, size[1] - 1)]).all()


def test_padding_lets_gradients_through():
    x = torch.ones(1, 1, 3, 3, requires_grad=True)
    pad_to_multiple(x, 4)[0].sum().backward()
    assert x.grad.sum() == 16 and x.grad[0, 0, 2, 2] == 4


def test_padding_mistakes():
    with pytest.raises(UsageError, match="multiples of 0"):
        pad_to_multiple(torch.zeros(1, 1), 0)
    with pytest.raises(UsageError, match="cannot crop 4x4 to the larger 5x4"):
        crop(torch.zeros(4, 4), (4, 5))


def check_decodable(order, frames):
    """Every frame once, and nothing refers to what is not there yet; higher levels are never needed by lower ones."""
    assert sorted(f.index for f in order) == list(range(frames))
    level = {}
    for f in order:
        assert all(r in level for r in f.references)
        if f.kind == "B":
            assert all(level[r] < f.level for r in f.references)
        level[f.index] = f.level


@pytest.mark.parametrize("frames", [1, 2, 3, 8, 9, 16, 17, 31, 33, 40])
@pytest.mark.parametrize(("gop", "period"), [(8, None), (8, 16), (16, None), (1, None), (6, 12), (32, 32)])
def test_random_access(frames, gop, period):
    order = random_access(frames, gop=gop, intra_period=period)
    check_decodable(order, frames)
    assert order[0].kind == "I" and order[0].index == 0
    intra = [f.index for f in order if f.kind == "I"]
    assert intra == list(range(0, frames, period or gop))
    for f in order:
        if f.kind == "B":  # between its references, and close: the pyramid halves
            assert min(f.references) < f.index < max(f.references)
            assert max(f.references) - min(f.references) <= max(2, -(-gop // 2 ** (f.level - 1)) + 1)


def test_the_classic_pyramid():
    order = random_access(9, gop=8)
    assert [f.index for f in order] == [0, 8, 4, 2, 1, 3, 6, 5, 7]
    assert [f.level for f in order] == [0, 0, 1, 2, 3, 3, 2, 3, 3]
    assert order[4].references == (0, 2) and order[-1].references == (6, 8)


@pytest.mark.parametrize("frames", [1, 5, 12])
@pytest.mark.parametrize("period", [None, 1, 4])
@pytest.mark.parametrize("references", [1, 3])
def test_low_delay(frames, period, references):
    order = low_delay(frames, intra_period=period, references=references)
    check_decodable(order, frames)
    assert [f.index for f in order] == list(range(frames))
    for f in order:
        start = 0 if period is None else f.index - f.index % period
        assert f.references == tuple(range(f.index - 1, max(start, f.index - references) - 1, -1))
        assert f.kind == ("I" if f.index == start else "P")


def test_gop_mistakes():
    with pytest.raises(UsageError, match="frames must be 1 or more"):
        low_delay(0)
    with pytest.raises(UsageError, match="intra period 12 is no multiple of the GOP size 8"):
        random_access(9, gop=8, intra_period=12)
    with pytest.raises(UsageError, match="gop must be 1 or more"):
        random_access(9, gop=0)
