"""Clips coded by the conventional codecs: each codec codes each clip once, for all test files."""

from functools import cache

import pytest
from conventional_clips import MIDDLE, with_planes

from codec_lib.codecs.protocol import load_codec


@pytest.fixture(scope="session")
def clip(clip_maker):
    return with_planes(clip_maker(width=64, height=48, frames=6, name="drifting"))


@pytest.fixture(scope="session")
def long_clip(clip_maker):
    """One intra period and three frames more; longer than a second, which some encoders take for a period."""
    return clip_maker(width=48, height=32, frames=35)


@pytest.fixture(scope="session")
def coded(clip):
    """name -> (codec, stream, decoded) of the clip at a middle quality."""

    @cache
    def get(name):
        c = load_codec(name)
        stream = c.encode(clip, c.default_qualities[MIDDLE])
        return c, stream, c.decode(stream)

    return get


@pytest.fixture(scope="session")
def long_stream(long_clip):
    """name -> stream of the long clip at a low quality."""

    @cache
    def get(name):
        c = load_codec(name)
        return c.encode(long_clip, c.default_qualities[1])

    return get
