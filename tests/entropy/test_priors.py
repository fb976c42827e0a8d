"""Masks of the spatial priors: every latent in exactly one step, and the assignments that the papers give."""

import pytest
import torch

from codec_lib.entropy.priors import dual_masks, quadtree_masks

SIZES = [(4, 2, 2), (8, 4, 6), (128, 7, 5), (6, 3, 4), (64, 1, 1), (2, 3, 3)]
PUBLISHED = (  # official code of DCVC-DC: (group, corner) of each step; corners are top-left, top-right, bottom-left, bottom-right
    ((0, 0), (1, 1), (2, 2), (3, 3)),
    ((0, 3), (1, 2), (2, 1), (3, 0)),
    ((0, 2), (1, 3), (2, 0), (3, 1)),
    ((0, 1), (1, 0), (2, 3), (3, 2)),
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masks", [dual_masks, quadtree_masks])
def test_every_latent_is_in_exactly_one_step(masks, size):
    steps = masks(*size)
    assert all(m.dtype == torch.bool and m.shape == (1, *size) for m in steps)
    assert (torch.stack(steps).sum(0) == 1).all()


@pytest.mark.parametrize("channels", [4, 128])
def test_quadtree_is_the_published_assignment(channels):
    steps = quadtree_masks(channels, 4, 6)
    size = channels // 4
    for mask, pairs in zip(steps, PUBLISHED, strict=True):
        for group, corner in pairs:
            wanted = torch.zeros(4, 6, dtype=torch.bool)
            wanted[corner // 2 :: 2, corner % 2 :: 2] = True
            assert (mask[0, group * size : (group + 1) * size] == wanted).all()


def test_dual_is_a_checkerboard_that_swaps_between_the_halves():
    first, second = dual_masks(6, 4, 5)
    even = (torch.arange(4)[:, None] + torch.arange(5)) % 2 == 0
    assert (first[0, :3] == even).all() and (first[0, 3:] == ~even).all()
    assert torch.equal(second, ~first)


@pytest.mark.parametrize(("masks", "share"), [(dual_masks, 2), (quadtree_masks, 4)])
def test_every_position_has_the_same_number_of_channels_in_each_step(masks, share):
    for mask in masks(16, 6, 8):
        assert (mask.sum(1) == 16 // share).all()
