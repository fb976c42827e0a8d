"""Qualities of DiffVC's I frames, and when one is sent, by what a viewer misses."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import tiny_diffvc
from torch.nn import functional as F

from codec_lib.codecs.diffvc.structure import LEAST, MOST, USUAL, LatentStructure, coarse_error, outlook
from codec_lib.entropy.container import read_stream


def picture(height=64, width=128, seed=0):
    """Smooth, with texture of its own in every place: uint8 (1, 3, H, W)."""
    g = torch.Generator().manual_seed(seed)
    coarse = F.interpolate(torch.rand(1, 3, height // 16, width // 16, generator=g), (height, width), mode="bicubic")
    return ((coarse * 180 + torch.rand(1, 3, height, width, generator=g) * 40).clamp(0, 255)).to(torch.uint8)


def intra_quality(codec, video, quality=3):
    return read_stream(codec.encode(video, quality))[1][0].payload[0] & 0x3F


def test_coarse_error_by_hand_and_blind_to_texture():
    wanted = picture().float()
    assert coarse_error(wanted, wanted) == 0
    found = wanted.clone()
    found[..., :8, :8] += 6
    by_hand = 36 / (64 * 128 / 64) / wanted.var(dim=(2, 3)).mean()
    assert coarse_error(found, wanted) == pytest.approx(float(by_hand), rel=1e-4)
    sign = torch.tensor([1.0, -1.0]).repeat(64)[None, None, None]
    assert coarse_error(wanted + 30 * sign, wanted) == pytest.approx(0, abs=1e-9)  # another texture, the same means
    flat = torch.full_like(wanted, 9)
    assert coarse_error(flat + 2, flat) == pytest.approx(4)  # nothing is divided by


def test_what_only_moves_lasts_longer_than_what_changes():
    still = picture()[0]
    assert outlook(still, still) == MOST
    assert outlook(still, picture(seed=1)[0]) == LEAST
    ahead = torch.roll(still, 3, dims=-1)
    ahead[..., :3] = still[..., :1]  # as if the border went on
    assert coarse_error(still[None], ahead[None]) > USUAL and outlook(still, ahead) > 0
    odd = outlook(still[:, :37, :51], still[:, :37, :51])
    assert odd == MOST


def test_i_frames_that_last_are_better():
    codec = tiny_diffvc()
    codec.structure = LatentStructure(intra_offset=5, intra_slope=0.5, still_offset=2, cut=math.inf, refresh=math.inf)
    still = replace(moving_video(1), frames=picture().repeat(2, 1, 1, 1))
    change = replace(still, frames=torch.cat([picture(), picture(seed=1)]))
    alone = replace(still, frames=picture())
    assert [intra_quality(codec, v, 4) for v in (alone, still, change)] == [7, 7 + round(2 * MOST), 7 + round(2 * LEAST)]


def test_p_frames_that_show_less_are_followed_by_i_frames_sooner():
    codec, video = tiny_diffvc(), moving_video(7)
    state = next(codec.code(video, 9)).state
    assert codec._lack(state.frame, state) == 0
    kinds = {}
    for refresh in (1e-9, math.inf):
        codec.structure = LatentStructure(refresh=refresh, cut=math.inf)
        kinds[refresh] = [p.payload[0] >> 7 for p in read_stream(codec.encode(video, 9))[1]]
    assert kinds[math.inf] == [1] + 6 * [0] and sum(kinds[1e-9]) > 1


def test_a_first_pass_puts_i_frames_into_the_same_places_at_all_qualities():
    codec, video, seen = tiny_diffvc(), moving_video(7), []
    codec.structure = LatentStructure(refresh=1e-9, cut=math.inf)
    streams = {q: codec.encode(video, q, lambda done, total: seen.append((done, total))) for q in (0, 4, 15)}
    kinds = [[p.payload[0] >> 7 for p in read_stream(stream)[1]] for stream in streams.values()]
    assert kinds[0] == kinds[1] == kinds[2] and sum(kinds[0]) > 1
    once = [(t, 7) for t in range(1, 8)]
    assert seen == [(t, 14) for t in range(1, 15)] + 2 * once  # what the first pass found is kept for a clip
    assert tiny_diffvc().encode(video, 4) != streams[4]  # another structure
    again = tiny_diffvc()
    again.structure = codec.structure
    assert again.encode(video, 4) == streams[4]
    assert [c.payload for c in codec.code(video, 4)] == [p.payload for p in read_stream(streams[4])[1]]
    assert codec.encode(moving_video(7, seed=5), 4) != streams[4]
