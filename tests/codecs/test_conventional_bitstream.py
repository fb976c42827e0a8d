"""Units of elementary streams: telling kinds apart, and edits that lose nothing. No encoder runs here."""

import random

import pytest

from codec_lib.codecs.conventional import bitstream, sniff

H264 = (b"\0\0\0\1\x67\x64\0\x0a\xac" b"\0\0\0\1\x68\xeb\xe1" b"\0\0\1\x06\x05\x02ab\x80" b"\0\0\1\x65\x88\x84",
        b"\0\0\0\1\x67\x64\0\x0a\xac" b"\0\0\0\1\x68\xeb\xe1" b"\0\0\1\x65\x11\x22")
HEVC = (b"\0\0\0\1\x40\1\x0c" b"\0\0\0\1\x42\1\1" b"\0\0\0\1\x44\1\xc1" b"\0\0\1\x28\1\xaf",
        b"\0\0\0\1\x40\1\x0c" b"\0\0\0\1\x42\1\1" b"\0\0\0\1\x44\1\xc1" b"\0\0\1\x28\1\xbf")
VVC = (b"\0\0\0\1\0\x79\0\xab" b"\0\0\0\1\0\x81\0\0\x41" b"\0\0\1\0\x89\x07" b"\0\0\1\0\x39\xc4",
       b"\0\0\0\1\0\x79\0\xab" b"\0\0\0\1\0\x81\0\0\x41" b"\0\0\1\0\x89\x07" b"\0\0\1\0\x39\xd4")
AV1 = (b"\x12\0\x0a\3\1\2\3\x32\2\x10\0", b"\x12\0\x0a\3\1\2\3\x32\2\x11\0")
STREAMS = {"h264": H264, "hevc": HEVC, "vvc": VVC, "obu": AV1}
KINDS = list(STREAMS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told(kind):
    whole = b"".join(STREAMS[kind])
    assert bitstream.kind_of(whole) == kind
    assert sniff(whole) == {"h264": "x264", "hevc": "x265", "vvc": "vvenc", "obu": "libaom"}[kind]


@pytest.mark.parametrize("data", [
    b"", b"\0", b"\0\0\1", b"\0\0\0\1", b"\0\0\1\x65\x88\x84", b"\x12", b"\x12\0", b"\x12\0\x32\2\x10\0", b"\x12\0\x0a",
    b"\x12\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\x18ftypmp42" + bytes(40), b"\x1aE\xdf\xa3" + bytes(40),
    b"DKIF" + bytes(40), b"YUV4MPEG2 W16 H16 F25:1\nFRAME\n" + bytes(384), b"\x89PNG\r\n\x1a\n" + bytes(40), b"\0\0\1\xba" + bytes(40),
])  # fmt: skip
def test_other_data_is_no_stream(data):
    assert sniff(data) is None


def test_random_data_is_no_stream():
    noise = random.Random(0)
    found = [sniff(noise.randbytes(400)) for _ in range(2000)]
    assert found.count(None) == len(found)


@pytest.mark.parametrize("kind", ["h264", "hevc", "vvc"])
def test_nal_units_joined_are_the_stream(kind):
    whole = b"".join(STREAMS[kind])
    assert b"".join(start + unit for start, unit in bitstream.nal_units(whole)) == whole


def test_obus_cover_the_stream():
    whole = b"".join(AV1)
    spans = list(bitstream.obus(whole))
    assert [kind for kind, _, _ in spans] == [2, 1, 6, 2, 1, 6]
    assert [start for _, start, _ in spans] == [0] + [end for _, _, end in spans[:-1]] and spans[-1][2] == len(whole)


def test_only_user_data_is_removed_from_h264():
    recovery_point = b"\0\0\1\x06\x06\x01\xc4\x80"
    whole = b"".join(H264) + recovery_point
    clean = bitstream.without_user_data(whole)
    assert len(whole) - len(clean) == len(b"\0\0\1\x06\x05\x02ab\x80")
    assert recovery_point in clean and bitstream.without_user_data(clean) == clean


@pytest.mark.parametrize("kind", KINDS)
def test_repeated_headers_are_sent_once(kind):
    first, second = STREAMS[kind]
    once = bitstream.with_headers_once(first + second, kind)
    picture = second[second.rindex(b"\0\0\1") :] if kind != "obu" else second[-4:]
    headers = {"h264": 16, "hevc": 21, "vvc": 17, "obu": 5}[kind]
    assert len(once) == len(first + second) - headers and once.startswith(first) and once.endswith(picture)


def test_headers_that_change_are_kept():
    a, b = b"\0\0\1\x68\xeb", b"\0\0\1\x68\xec"
    assert bitstream.with_headers_once(a + b + a + a, "h264") == a + b + a


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (0, 1), (31, 31), (254, 254)])
def test_padding_is_noted_and_read(kind, padding):
    stream = b"".join(STREAMS[kind])
    done = bitstream.finished(stream, kind, *padding)
    assert bitstream.padding_of(done, kind) == padding
    assert bitstream.is_whole(done, kind) and bitstream.kind_of(done) == kind
    if padding == (0, 0):
        assert len(done) - len(stream) <= 5
    else:
        assert len(done) - len(stream) <= 12
    if kind != "obu":
        added = done[len(stream) :]
        assert added.count(b"\0\0\1") == 1 + (padding != (0, 0)) and not added.endswith(b"\0")


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_stream_is_not_whole(kind):
    done = bitstream.finished(b"".join(STREAMS[kind]), kind)
    units = {end for _, _, end in bitstream.obus(done)} if kind == "obu" else set()
    for cut in range(1, len(done)):
        assert bitstream.is_whole(done[:cut], kind) == (cut in units)
