"""The container: what is written is what is read, its cost, its bounds, and one clear line for everything else."""

import struct
import zlib
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec_lib.entropy.container import (
    CODECS,
    MAX_FRAMES,
    NOT_PORTABLE,
    Packet,
    StreamHeader,
    check_digest,
    latent_digest,
    read_header,
    read_stream,
    salvage,
    write_stream,
)
from codec_lib.entropy.stream_errors import (
    CorruptStream,
    ForeignStream,
    SymbolMismatch,
    TruncatedStream,
    UnsupportedVersion,
    WrongCheckpoint,
)
from codec_lib.errors import BitstreamError, UsageError

HEADER = StreamHeader("intra", "lab", b"\xde\xad\xbe\xef", 832, 480, 32, Fraction(30), 3)
PACKETS = [Packet(b"first", 1), Packet(b"", 2), Packet(b"\0" * 300, 65535)]
STREAM = write_stream(HEADER, PACKETS)

names = st.one_of(st.sampled_from(CODECS), st.from_regex(r"[a-z0-9][a-z0-9_.:+-]{0,31}", fullmatch=True))
rates = st.one_of(st.sampled_from([Fraction(24000, 1001), Fraction(25), Fraction(60)]),
                  st.fractions(min_value=Fraction(1, 1000), max_value=2000, max_denominator=10**6))
headers = st.builds(StreamHeader, names, st.one_of(st.sampled_from(["lab", "paper"]), names),
                    st.binary(min_size=4, max_size=4), st.integers(1, 4096), st.integers(1, 4096), st.integers(1, 8000),
                    rates, st.integers(0, 65535), st.sampled_from([0, NOT_PORTABLE]))
packets = st.lists(st.builds(Packet, st.binary(max_size=400), st.integers(0, 65535)), min_size=1, max_size=12)


@given(headers, packets)
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read(header, some):
    data = write_stream(header, some)
    assert read_stream(data) == (header, some)
    assert read_header(data) == header
    assert salvage(data) == (header, some)


@given(headers, packets, st.data())
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_or_a_cut_anywhere_is_noticed(header, some, data):
    stream = bytearray(write_stream(header, some))
    cut = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(BitstreamError):
        read_stream(bytes(stream[:cut]))
    at = data.draw(st.integers(0, 8 * len(stream) - 1))
    stream[at >> 3] ^= 1 << (at & 7)
    with pytest.raises(BitstreamError):
        read_stream(bytes(stream))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(15)])
def test_overhead_of_one_packet_at_a_hundredth_of_a_bit(codec, fps):
    """At 0.005 bpp 32 frames of 832x480 are 7987 bytes: at most 0.5 % of that is container."""
    payload = bytes(7900)
    header = replace(HEADER, codec=codec, fps=fps, checkpoint=b"\xff" * 4, quality=63)
    overhead = len(write_stream(header, [Packet(payload, 7)])) - len(payload)
    assert overhead <= 0.005 * 832 * 480 * 32 * 0.005 / 8
    assert overhead == (38 if fps == 15 else 36)


def test_overhead_of_a_packet_a_frame():
    one, all_ = (len(write_stream(HEADER, [Packet(bytes(100), 0)] * n)) - 100 * n for n in (1, 32))
    assert (all_ - one) / 31 == 7  # length 1, digest 2, checksum 4


GOLDEN = "89445643010101deadbeefc006e0032005030002ef5cdfa364c8dca3050100aba5a1df6669727374000200bcb3f3ef"


def test_golden_stream():
    """Files written today are read tomorrow."""
    assert write_stream(HEADER, PACKETS[:2]).hex() == GOLDEN
    assert read_stream(bytes.fromhex(GOLDEN)) == (HEADER, PACKETS[:2])


def resealed(change):
    """STREAM with its header's bytes changed and the header's checksum made right again."""
    size = len(STREAM) - len(b"".join(p.payload for p in PACKETS)) - 3 * 7 - 1  # one length takes two bytes
    head = bytearray(STREAM[: size - 4])
    change(head)
    return bytes(head) + struct.pack("<I", zlib.crc32(head)) + STREAM[size:]


def test_resealing_nothing_gives_the_stream():
    assert resealed(lambda head: None) == STREAM


def put(at, *values):
    return lambda head: head.__setitem__(slice(at, at + len(values)), bytes(values))


@pytest.mark.parametrize("data, error, packet, words", [
    (b"", TruncatedStream, None, "empty"),
    (STREAM[:2], TruncatedStream, None, "header is cut short"),
    (STREAM[:20], TruncatedStream, None, "header is cut short"),
    (b"\x89PNG\r\n\x1a\n" + STREAM, ForeignStream, None, "no stream of this library"),
    (STREAM[:4] + b"\2" + STREAM[5:], UnsupportedVersion, None, "version 2.*upgrade"),
    (STREAM[:4] + b"\0" + STREAM[5:], CorruptStream, None, "version 0"),
    (STREAM[:11] + b"\1" + STREAM[12:], CorruptStream, None, "header is damaged"),
    (STREAM[:11] + b"\x80" * 9 + STREAM[12:], CorruptStream, None, "impossible length"),
    (resealed(put(5, 99)), UnsupportedVersion, None, "unknown.*upgrade"),
    (resealed(put(6, 99)), UnsupportedVersion, None, "unknown.*upgrade"),
    (resealed(put(11, 0xFF, 0x7F)), CorruptStream, 0, "packet 0 of 3 is damaged"),
    (resealed(put(16, 99)), CorruptStream, None, "no frame rate"),
    (resealed(put(18, 2)), UnsupportedVersion, None, "unknown.*upgrade"),
    (resealed(put(19, 0)), CorruptStream, None, "0 packets"),
    (resealed(put(15, 0)), CorruptStream, None, "0 frames"),
    (STREAM[:-1], TruncatedStream, 2, "packet 2 of 3 is cut short"),
    (STREAM[:-302], TruncatedStream, 2, "packet 2 of 3"),
    (STREAM[:-1] + b"\1", CorruptStream, 2, "packet 2 of 3 is damaged"),
    (STREAM + b"\0", CorruptStream, None, "1 bytes follow"),
])
def test_each_damage_has_its_line(data, error, packet, words):
    with pytest.raises(error, match=words) as caught:
        read_stream(data)
    assert caught.value.packet == packet and caught.value.exit_status == 2
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 160


def test_the_same_packets_of_a_stream_of_the_same_geometry_do_not_fit():
    others = [PACKETS[0], Packet(b"", 3), PACKETS[2]]
    other = write_stream(HEADER, others)
    assert len(other) == len(STREAM)
    for cut in range(33, len(STREAM)):
        if (spliced := STREAM[:cut] + other[cut:]) != STREAM:
            with pytest.raises(BitstreamError):
                read_stream(spliced)


def test_packets_before_the_damage_are_saved():
    assert salvage(STREAM[:-1]) == (HEADER, PACKETS[:2])
    assert salvage(STREAM + b"?") == (HEADER, PACKETS)
    with pytest.raises(TruncatedStream):
        salvage(STREAM[:10])


@pytest.mark.parametrize("change, words", [
    ({"width": 0}, "0x480"), ({"width": 16385}, "16385x480"), ({"width": 16384, "height": 16384}, "16384x16384"),
    ({"frames": 0}, "0 frames"), ({"frames": MAX_FRAMES + 1}, "1000001 frames"), ({"frames": 400_000}, "in all"),
    ({"fps": Fraction(0)}, "frame rate"), ({"fps": Fraction(1, 2**40)}, "frame rate"), ({"quality": -1}, "quality -1"),
    ({"flags": 2}, "flags"), ({"checkpoint": b"abc"}, "3 bytes"), ({"codec": "Übercodec"}, "no names"),
    ({"profile": ""}, "no names"),
])
def test_what_could_not_be_read_is_not_written(change, words):
    with pytest.raises(UsageError, match=words):
        write_stream(replace(HEADER, **change), PACKETS)


def test_a_stream_has_packets():
    with pytest.raises(UsageError, match="0 packets"):
        write_stream(HEADER, [])


def test_a_stream_is_for_its_codec_and_checkpoint():
    HEADER.require("intra", "lab", b"\xde\xad\xbe\xef")
    with pytest.raises(WrongCheckpoint, match="deadbeef.*00000000"):
        HEADER.require("intra", "lab", bytes(4))
    for codec, profile in (("diffvc", "lab"), ("intra", "paper")):
        with pytest.raises(ForeignStream, match=f"intra@lab, not {codec}@{profile}"):
            HEADER.require(codec, profile, HEADER.checkpoint)


def test_digest_of_latents():
    y, z = np.arange(-50, 50).reshape(2, 5, 10), np.array([7, 0, -7], np.int16)
    digest = latent_digest(y, z)
    assert digest == latent_digest(y.astype(np.int32), z.astype(np.int64)) == latent_digest(y.ravel(), z)
    assert digest == 58958
    assert digest == latent_digest(np.asfortranarray(y), z)  # values count, not how they lie in memory
    check_digest(Packet(b"", digest), 4, y, z)
    y[1, 2, 3] += 1
    with pytest.raises(SymbolMismatch, match="packet 4") as caught:
        check_digest(Packet(b"", digest), 4, y, z)
    assert caught.value.packet == 4
