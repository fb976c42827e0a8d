"""The parts of a stream are the stream."""

from dataclasses import replace
from fractions import Fraction

import pytest

from codec_lib.entropy.account import GRAIN, account, framing_bytes, header_bytes
from codec_lib.entropy.container import Packet, StreamHeader, write_stream

HEADER = StreamHeader("intra", "lab", b"\1\2\3\4", 448, 256, 3, Fraction(30), 12)
PACKETS = [Packet(b"", 1), Packet(bytes(5), 2), Packet(bytes(300), 3)]
HEADERS = [
    HEADER, replace(HEADER, width=16384, height=1), replace(HEADER, fps=Fraction(1234, 77), quality=65535),
    replace(HEADER, codec="another", profile="big", frames=1_000_000, flags=1),
]


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
@pytest.mark.parametrize("count", [1, 3, 200])
def test_fields_and_framing_are_what_the_container_adds(header, count):
    packets = (PACKETS * count)[:count]
    added = len(write_stream(header, packets)) - sum(len(p.payload) for p in packets)
    fields, framing = header_bytes(header, count), framing_bytes(packets)
    assert sum(fields.values()) + sum(framing.values()) == added
    assert min(fields.values()) >= 1 and framing["checksum"] == 4 * count


def test_parts_sum_to_the_file_exactly_whatever_the_fractions():
    data = write_stream(HEADER, PACKETS)
    coded = [{"a": 0.1 * k, "b": 1 / 3, f"only {k}": 2.0**-30} for k in range(3)]
    made = account(data, coded)
    assert sum(made.bits().values()) == 8 * len(data) == 8 * made.bytes
    assert sum(reversed(made.bits().values())) == 8 * len(data)
    assert list(made.coded) == ["a", "b", "only 0", "only 1", "only 2"]
    assert made.coded["a"] == pytest.approx(0.3, abs=3 * GRAIN)
    assert made.ending == 8 * 305 - sum(made.coded.values())


def test_every_packet_needs_an_entry():
    with pytest.raises(ValueError, match="2 entries were given for 3 packets"):
        account(write_stream(HEADER, PACKETS), [{}, {}])
