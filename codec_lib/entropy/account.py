"""Where the bytes of a stream go: header, framing of packets, what the payloads code, and what is left over.

The container's part is counted in whole bytes. Inside a payload a symbol has a fraction of a bit to itself, its
information under the table it was coded with; what the payload is longer than all of them together is the *ending*: the
coder's rounding, and the last byte that is not full. Information is rounded to multiples of 2^-10 bit, so that floats
add up exactly and the parts are the file, to the last bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codec_lib.entropy.container import CODECS, MAGIC, PROFILES, Packet, StreamHeader, read_stream
from codec_lib.entropy.stream_fields import name, rate, varint

GRAIN = 2.0**-10
"""Information is counted in multiples of this many bits."""
DIGEST_BYTES, CRC_BYTES = 2, 4


@dataclass(frozen=True)
class Account:
    """The parts of one stream.

    header: bytes of each field. framing: bytes of length, digest and checksum, of all packets together.
    coded: bits of what the payloads code, by name, as the codec splits it. ending: bits of payload beyond that.
    bytes: size of the stream.
    """

    header: dict[str, int]
    framing: dict[str, int]
    coded: dict[str, float]
    ending: float
    bytes: int

    def bits(self) -> dict[str, float]:
        """All parts in bits, in the order of the file; they sum to 8 * bytes exactly."""
        return {"header": 8.0 * sum(self.header.values()), "packet framing": 8.0 * sum(self.framing.values()),
                **self.coded, "ending": self.ending}


def account(data: bytes, coded: Sequence[Mapping[str, float]]) -> Account:
    """The account of a stream.

    coded: for each packet the information in bits of what its payload codes, by name; the codec knows it.
    Raises ValueError unless there is one entry a packet; a BitstreamError for a stream that cannot be read.
    """
    header, packets = read_stream(data)
    if len(coded) != len(packets):
        raise ValueError(f"{len(coded)} entries were given for {len(packets)} packets")
    total = Counter()
    for entry in coded:
        for what, bits in entry.items():
            total[what] += round(bits / GRAIN) * GRAIN
    payload = 8.0 * sum(len(p.payload) for p in packets)
    return Account(header_bytes(header, len(packets)), framing_bytes(packets), dict(total),
                   payload - sum(total.values()), len(data))


def header_bytes(header: StreamHeader, packets: int) -> dict[str, int]:
    """Bytes of each field of the header of a stream of so many packets, in the order of the file."""
    numbers = {"width": header.width, "height": header.height, "frames": header.frames}
    return {
        "magic": len(MAGIC), "version": 1, "codec": len(name(header.codec, CODECS)),
        "profile": len(name(header.profile, PROFILES)), "checkpoint": len(header.checkpoint),
        **{field: len(varint(value)) for field, value in numbers.items()}, "frame rate": len(rate(header.fps)),
        "quality": len(varint(header.quality)), "flags": len(varint(header.flags)),
        "number of packets": len(varint(packets)), "checksum of packets": CRC_BYTES, "checksum of header": CRC_BYTES,
    }


def framing_bytes(packets: Sequence[Packet]) -> dict[str, int]:
    """Bytes that packets have beside their payloads."""
    lengths = sum(len(varint(len(p.payload))) for p in packets)
    return {"length": lengths, "digest": DIGEST_BYTES * len(packets), "checksum": CRC_BYTES * len(packets)}
