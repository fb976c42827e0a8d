"""Streams written by an earlier version still decode to the symbols that were encoded."""

import json

import pytest

from codec_lib.entropy import read_stream
from codec_lib.errors import MissingData
from codec_lib.experiments import golden as room
from codec_lib.experiments.golden import CASES, codec_of, golden, golden_stream


def test_there_is_a_stream_for_every_case():
    assert len(list(golden())) == len(CASES)


@pytest.mark.parametrize("stream", list(golden()), ids=lambda g: g.path.stem)
def test_golden_stream_decodes_to_its_symbols(stream):
    data = stream.path.read_bytes()
    header, packets = read_stream(data)
    codec = codec_of(stream.codec, stream.profile)
    assert codec.symbols_sha256(data) == stream.symbols_sha256
    decoded = codec.decode(data)
    assert (len(decoded), decoded.width, decoded.height) == (header.frames, header.width, header.height)


def test_a_stream_that_is_no_case_is_named():
    assert golden_stream("intra", "carphone", 2, 10)
    with pytest.raises(MissingData, match="no golden stream 'intra-carphone-2f-q11"):
        golden_stream("intra", "carphone", 2, 11)


def test_streams_that_are_there_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BITSTREAMS", tmp_path)
    monkeypatch.setattr(room, "CASES", (("intra", "carphone", 1, 40),))
    (tmp_path / room.INDEX).write_text(json.dumps({"provenance": [], "streams": {}}))
    (written,) = room.write()
    assert codec_of("intra").symbols_sha256(written.path.read_bytes()) == written.symbols_sha256
    index = (tmp_path / room.INDEX).read_text()
    assert len(json.loads(index)["provenance"]) == 1
    written.path.write_bytes(b"kept")
    room.write()
    assert written.path.read_bytes() == b"kept" and (tmp_path / room.INDEX).read_text() == index
