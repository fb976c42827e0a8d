"""What a codec keeps does not grow with the clip."""

import gc

import pytest
import torch
from tiny_conditional import moving_video, tiny_codec
from tiny_diffvc import tiny_diffvc

EARLY, LATE = 5, 11


def kept():
    """Bytes of all tensors that something in this process still holds."""
    gc.collect()
    tensors = [t for t in gc.get_objects() if type(t) in (torch.Tensor, torch.nn.Parameter)]
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def growth(codec, states):
    """Bytes that are held after a late frame and were not after an early one; states: of the frames, which are drawn if that can be."""
    after = {}
    for t, state in enumerate(states):
        if hasattr(codec, "shown"):
            codec.shown(state)
        if t in (EARLY, LATE):
            after[t] = kept()
    return after[LATE] - after[EARLY]


@pytest.mark.parametrize("codec", [tiny_codec, tiny_diffvc])
def test_nothing_is_kept_of_frames_that_are_gone(codec):
    codec, video = codec(), moving_video(LATE + 1)
    stream = codec.encode(video, 9)
    assert growth(codec, (coded.state for coded in codec.code(video, 9))) <= 0
    assert growth(codec, (coded.state for coded in codec.decode_frames(stream))) <= 0
    hoard = []
    assert growth(codec, (hoard.append(coded.state) or coded.state for coded in codec.decode_frames(stream))) > 0  # it can fail
