"""The one container of all learned codecs: a header, then packets, nothing trusted when it is read back.

    header   magic (4) · version (1) · codec · profile · checkpoint digest (4) · width · height · frames · frame rate
             · quality · flags · number of packets · CRC-32 of all packets (4) · CRC-32 of all that (4)
    packet   length of payload · digest of the decoded latents (2) · CRC-32 (4) · payload

Numbers without a size are varints (7 bits a byte, lowest first), CRCs and digests little-endian. Known codecs, profiles
and frame rates take one byte; others follow a zero byte. A packet's CRC also covers the header's CRC, the packet's
index and length, and the digest. So packets that were swapped are noticed, and because the header's CRC depends on all
packets, so are packets of another stream of the same geometry. With one packet for 32 frames of 832x480 all of this is
36 bytes, 0.45 % of a stream of 0.005 bpp.

The digest is computed from the latents on both sides: a packet that arrives intact and yet decodes to other symbols
(a decoder whose arithmetic differs) is reported as `SymbolMismatch` instead of being shown as noise.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codec_lib.entropy.stream_errors import (
    CorruptStream,
    ForeignStream,
    SymbolMismatch,
    TruncatedStream,
    UnsupportedVersion,
    WrongCheckpoint,
)
from codec_lib.entropy.stream_fields import Reader, name, rate, read_name, read_rate, varint
from codec_lib.errors import BitstreamError, UsageError

MAGIC = b"\x89DVC"  # the first byte is no ASCII: the file is not taken for text
VERSION = 1
CODECS = ("intra", "conditional", "diffvc", "gnvc_vd", "givic")  # numbered from 1; only ever append
PROFILES = ("lab", "paper")
NOT_PORTABLE = 1
"""Flag: symbols were coded with float-dependent tables and decode only on the kind of machine that coded them."""
KNOWN_FLAGS = NOT_PORTABLE

MAX_SIDE = 16384
MAX_FRAMES = 1_000_000
MAX_FRAME_PIXELS = 2**26
MAX_PIXELS = 2**37
"""Frames times height times width: an hour of 832x480 at 60 fps, more than fits in any memory decoded."""
MAX_QUALITY = 65535
MAX_RATE = 2**31 - 1
MAX_PACKETS = 2 * MAX_FRAMES
_NAME = re.compile(r"[a-z0-9][a-z0-9_.:+-]{0,31}")


@dataclass(frozen=True)
class StreamHeader:
    """What a decoder has to know before the first packet.

    codec, profile: names as `load_codec` takes them; checkpoint: first 4 bytes of the checkpoint's digest.
    width, height: of the decoded frames, 1 to 16384; frames: 1 to 10^6; fps: frames per second.
    quality: as given to `encode`, 0 to 65535. flags: bit 0 (`NOT_PORTABLE`) is the only one defined.
    """

    codec: str
    profile: str
    checkpoint: bytes
    width: int
    height: int
    frames: int
    fps: Fraction
    quality: int
    flags: int = 0

    def problem(self) -> str | None:
        """What is impossible about this header in a few words, or None if it is sound."""
        if not (_NAME.fullmatch(self.codec) and _NAME.fullmatch(self.profile)):
            return f"'{self.codec}' and '{self.profile}' are no names of a codec and a profile"
        if len(self.checkpoint) != 4:
            return f"the checkpoint digest has {len(self.checkpoint)} bytes instead of 4"
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            return f"frames of {self.width}x{self.height} (sides must be 1 to {MAX_SIDE})"
        if self.width * self.height > MAX_FRAME_PIXELS:
            return f"frames of {self.width}x{self.height} (at most {MAX_FRAME_PIXELS} pixels)"
        if not 1 <= self.frames <= MAX_FRAMES:
            return f"{self.frames} frames (must be 1 to {MAX_FRAMES})"
        if self.width * self.height * self.frames > MAX_PIXELS:
            return f"{self.frames} frames of {self.width}x{self.height} (at most {MAX_PIXELS} pixels in all)"
        if not (1 <= self.fps.numerator <= MAX_RATE and self.fps.denominator <= MAX_RATE):
            return f"a frame rate of {self.fps}"
        if not 0 <= self.quality <= MAX_QUALITY:
            return f"quality {self.quality} (must be 0 to {MAX_QUALITY})"
        if not 0 <= self.flags < 2**32:
            return f"flags {self.flags}"
        return None

    def require(self, codec: str, profile: str, checkpoint: bytes) -> None:
        """Raise ForeignStream or WrongCheckpoint unless the stream was made by this codec, profile and checkpoint."""
        if (self.codec, self.profile) != (codec, profile):
            raise ForeignStream(
                f"the stream was made by {self.codec}@{self.profile}, not {codec}@{profile}: decode it with that codec"
            )
        if self.checkpoint != checkpoint:
            raise WrongCheckpoint(
                f"the stream was made with checkpoint {self.checkpoint.hex()} of {codec}@{profile}, "
                f"and {checkpoint.hex()} is loaded: get the checkpoint of that digest"
            )


@dataclass(frozen=True)
class Packet:
    """One frame or group of frames. payload: bytes of the range coder; digest: `latent_digest` of its latents."""

    payload: bytes
    digest: int


def latent_digest(*arrays: np.ndarray) -> int:
    """16-bit digest of integer arrays, values in order as int32: CRC-32 with its halves xored. Shapes do not count."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(np.ascontiguousarray(array, dtype="<i4"), crc)
    return (crc >> 16) ^ (crc & 0xFFFF)


def check_digest(packet: Packet, index: int, *arrays: np.ndarray) -> None:
    """Raise SymbolMismatch unless the decoded latents have the digest that the encoder put into the packet."""
    if latent_digest(*arrays) != packet.digest:
        raise SymbolMismatch(
            f"packet {index}: the decoded latents are not the encoder's, although the packet is intact: "
            "decode on the CPU, or on the kind of machine that encoded it",
            index,
        )


def write_stream(header: StreamHeader, packets: Sequence[Packet]) -> bytes:
    """The whole file. Raises UsageError for a header or packets that could not be read back."""
    problem = header.problem()
    if problem is None and header.flags & ~KNOWN_FLAGS:
        problem = f"unknown flags {header.flags:#x}"
    if problem is None and not 1 <= len(packets) <= MAX_PACKETS:
        problem = f"{len(packets)} packets (must be 1 to {MAX_PACKETS})"
    if problem:
        raise UsageError(f"cannot write such a stream: {problem}")
    head = MAGIC + bytes([VERSION]) + name(header.codec, CODECS) + name(header.profile, PROFILES) + header.checkpoint
    head += b"".join(map(varint, (header.width, header.height, header.frames))) + rate(header.fps)
    head += b"".join(map(varint, (header.quality, header.flags, len(packets)))) + struct.pack("<I", _content(packets))
    head += struct.pack("<I", zlib.crc32(head))
    parts = [head]
    for index, packet in enumerate(packets):
        crc = _packet_crc(head[-4:], index, packet.digest, packet.payload)
        parts += [varint(len(packet.payload)), struct.pack("<HI", packet.digest, crc), packet.payload]
    return b"".join(parts)


def read_header(data: bytes) -> StreamHeader:
    """The header alone, checked. Raises ForeignStream, UnsupportedVersion, TruncatedStream or CorruptStream."""
    return _read_header(Reader(data))[0]


def read_stream(data: bytes) -> tuple[StreamHeader, list[Packet]]:
    """Header and packets of a whole file, every checksum compared. Raises a BitstreamError naming packet and reason."""
    reader = Reader(data)
    header, count, crc = _read_header(reader)
    return header, list(_packets(reader, count, crc))


def salvage(data: bytes) -> tuple[StreamHeader, list[Packet]]:
    """The header and the intact packets before the first damage (`read_stream` says what the damage is).

    Raises a BitstreamError if the header itself cannot be read: without it no packet means anything.
    """
    reader = Reader(data)
    header, count, crc = _read_header(reader)
    packets: list[Packet] = []
    try:
        for packet in _packets(reader, count, crc):
            packets.append(packet)
    except BitstreamError:
        pass
    return header, packets


def _read_header(reader: Reader) -> tuple[StreamHeader, int, bytes]:
    """Header, number of packets, the header's CRC as it stands in the data."""
    start = bytes(reader.data[: len(MAGIC)])
    if not len(start):
        raise TruncatedStream("the stream is empty")
    if start != MAGIC[: len(start)]:
        raise ForeignStream("this is no stream of this library (it begins otherwise): give one that `encode` wrote")
    reader.take(len(MAGIC))
    version = reader.take(1)[0]
    if version > VERSION:
        raise UnsupportedVersion(
            f"the stream has format version {version}, this library reads up to {VERSION}: upgrade the library"
        )
    if version < 1:
        raise CorruptStream("the header is damaged: there is no format version 0")
    codec, profile = read_name(reader, CODECS), read_name(reader, PROFILES)
    checkpoint = reader.take(4)
    width, height, frames = reader.varint(), reader.varint(), reader.varint()
    fps = read_rate(reader)
    quality, flags, count = reader.varint(), reader.varint(), reader.varint()
    reader.take(4)  # CRC of all packets: it makes this header's CRC, and by it each packet's, belong to this stream
    crc = zlib.crc32(reader.data[: reader.at])
    stored = reader.take(4)
    if struct.pack("<I", crc) != stored:
        raise CorruptStream("the header is damaged: its checksum does not match")
    if isinstance(codec, int) or isinstance(profile, int) or flags & ~KNOWN_FLAGS:
        raise UnsupportedVersion("the stream uses a codec or feature unknown to this library: upgrade the library")
    if fps is None:
        raise CorruptStream("the header promises the impossible: no frame rate")
    header = StreamHeader(codec, profile, checkpoint, width, height, frames, fps, quality, flags)
    problem = header.problem()
    if problem is None and not 1 <= count <= MAX_PACKETS:
        problem = f"{count} packets"
    if problem:
        raise CorruptStream(f"the header promises the impossible: {problem}")
    return header, count, stored


def _packet_crc(header_crc: bytes, index: int, digest: int, payload: bytes) -> int:
    """CRC-32 over the header's CRC, the packet's place, length and digest, and the payload."""
    return zlib.crc32(payload, zlib.crc32(header_crc + struct.pack("<IIH", index, len(payload), digest)))


def _content(packets: Sequence[Packet]) -> int:
    """CRC-32 over digests, lengths and payloads of all packets."""
    crc = 0
    for packet in packets:
        crc = zlib.crc32(packet.payload, zlib.crc32(struct.pack("<IH", len(packet.payload), packet.digest), crc))
    return crc


def _packets(reader: Reader, count: int, header_crc: bytes) -> Iterator[Packet]:
    """Packets one by one, each checked before it is given out; at the end, that nothing follows."""
    for index in range(count):
        reader.packet, reader.what = index, f"packet {index} of {count}"
        length = reader.varint()
        digest, crc = struct.unpack("<HI", reader.take(6))
        payload = reader.take(length)
        if _packet_crc(header_crc, index, digest, payload) != crc:
            raise CorruptStream(f"packet {index} of {count} is damaged: its checksum does not match", index)
        yield Packet(payload, digest)
    if extra := len(reader.data) - reader.at:
        raise CorruptStream(f"{extra} bytes follow the last packet: the file was appended to or its header damaged")
