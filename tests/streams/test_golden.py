"""Streams written by an earlier version still decode to the symbols that were encoded."""

import pytest

from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy import read_stream
from codec_lib.experiments.golden import CASES, golden


def test_there_is_a_stream_for_every_case():
    assert len(list(golden())) == len(CASES)


@pytest.mark.parametrize("stream", list(golden()), ids=lambda g: g.path.stem)
def test_golden_stream_decodes_to_its_symbols(stream):
    data = stream.path.read_bytes()
    header, packets = read_stream(data)
    codec = load_codec(stream.codec, profile=stream.profile)
    assert codec.symbols_sha256(data) == stream.symbols_sha256
    decoded = codec.decode(data)
    assert (len(decoded), decoded.width, decoded.height) == (header.frames, header.width, header.height)
