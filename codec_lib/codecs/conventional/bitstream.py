"""What has to be known of H.264, HEVC, VVC and AV1 elementary streams: which one it is, its units, and four small edits.

Annex B streams (H.264, HEVC, VVC) are NAL units, each behind a start code 00 00 01; the unit's first bytes hold its type.
AV1 in its low-overhead format is a row of open bitstream units (OBUs): a header byte with the type, the size as LEB128.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_START = re.compile(b"\x00?\x00\x00\x01")

# Types of NAL unit that hold for many pictures (video, sequence and picture parameter sets), by bitstream.
_PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34), "vvc": (14, 15, 16)}
_SEQUENCE_PARAMETERS = {"h264": 7, "hevc": 33, "vvc": 15}
_H264_SEI, _USER_DATA_UNREGISTERED = 6, 5
_OBU_SEQUENCE_HEADER, _OBU_TEMPORAL_DELIMITER, _OBU_PADDING = 1, 2, 15

# End of bitstream: the standards' own last unit (H.264 type 11, HEVC 37, VVC 22). AV1 has none, its units know their size.
_END = {"h264": b"\x00\x00\x01\x0b", "hevc": b"\x00\x00\x01\x4a\x01", "vvc": b"\x00\x00\x01\x00\xb1", "obu": b""}

# A unit of a type that the standards leave to applications (H.264 type 31, HEVC 63, VVC 31) or, in AV1, of padding:
# decoders skip it. It follows the last picture, which all three NAL standards allow.
_NOTE = {
    "h264": b"\x00\x00\x01\x1f",
    "hevc": b"\x00\x00\x01\x7e\x01",
    "vvc": b"\x00\x00\x01\x00\xf9",
    "obu": bytes([_OBU_PADDING << 3 | 2, 3]),
}
_NOTE_TAIL = {"h264": b"", "hevc": b"", "vvc": b"", "obu": b"\x80"}


def kind_of(stream: bytes) -> str | None:
    """"h264", "hevc", "vvc" or "obu" (AV1), by the stream's first sequence header; None for anything else."""
    if _START.match(stream):
        for unit in _first_nal_units(stream, 64):
            for kind, wanted in _SEQUENCE_PARAMETERS.items():
                if nal_type(unit, kind) == wanted:
                    return kind
        return None
    if stream[:2] != bytes([_OBU_TEMPORAL_DELIMITER << 3 | 2, 0]):
        return None
    for n, (kind, _, end) in enumerate(obus(stream)):
        if end > len(stream) or n > 64:
            return None
        if kind == _OBU_SEQUENCE_HEADER:
            return "obu"
    return None


def _first_nal_units(stream: bytes, count: int) -> Iterator[bytes]:
    """The first bytes of the first units, whole units not being needed to tell the kind."""
    for _, start in zip(range(count), _START.finditer(stream), strict=False):
        yield stream[start.end() : start.end() + 4]


def nal_type(unit: bytes, kind: str) -> int | None:
    """Type of a NAL unit (without start code), None where its header is impossible for a base layer of that kind."""
    if len(unit) < 2:
        return None
    first, second = unit[0], unit[1]
    if kind == "h264":
        # Parameter sets are never of reference importance 0 in a valid stream; HEVC and VVC headers fail here.
        return None if first & 0x80 or (first & 0x1F == 7 and not first & 0x60) else first & 0x1F
    if kind == "hevc":
        return None if first & 0x81 or second >> 3 or not second & 7 else first >> 1
    return None if first or not second & 7 else second >> 3


def nal_units(stream: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(start code, unit) of each NAL unit; joined, they are the stream again. Bytes before the first are lost."""
    starts = list(_START.finditer(stream))
    ends = [s.start() for s in starts[1:]] + [len(stream)]
    for start, end in zip(starts, ends, strict=True):
        yield start.group(), stream[start.end() : end]


def obus(stream: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of each OBU with a size field, header included; ends at the first impossible header.

    The last ``end`` may lie beyond the stream when that is cut short.
    """
    at = 0
    while at < len(stream):
        header = stream[at]
        if header & 0x80 or not header & 2:
            return
        body = at + 1 + (header >> 2 & 1)
        size = 0
        for i in range(8):
            if body >= len(stream):
                return
            byte = stream[body]
            body += 1
            size |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                break
        yield header >> 3 & 15, at, body + size
        at = body + size


def without_user_data(stream: bytes) -> bytes:
    """An H.264 stream without user data messages: x264 writes its version and settings, some 600 bytes, into one."""
    return b"".join(
        start + unit
        for start, unit in nal_units(stream)
        if not (nal_type(unit, "h264") == _H264_SEI and unit[1] == _USER_DATA_UNREGISTERED)
    )


def with_headers_once(stream: bytes, kind: str) -> bytes:
    """The stream without parameter sets (AV1: sequence headers) that repeat the last one of their type byte for byte.

    Encoders send them again with each I frame, for those who join there; whoever decodes from the start has them. At
    x265's 90 bytes a frame they would be most of a small all-intra stream.
    """
    last: dict[int, bytes] = {}
    kept = []
    if kind == "obu":
        for what, start, end in obus(stream):
            unit = stream[start:end]
            if what != _OBU_SEQUENCE_HEADER or last.get(what) != unit:
                kept.append(unit)
            last[what] = unit
        return b"".join(kept)
    for start, unit in nal_units(stream):
        what = nal_type(unit, kind)
        if what not in _PARAMETER_SETS[kind] or last.get(what) != unit:
            kept.append(start + unit)
        last[what] = unit
    return b"".join(kept)


def finished(stream: bytes, kind: str, right: int = 0, below: int = 0) -> bytes:
    """The stream with what belongs behind its last picture.

    right, below: columns and rows (0 to 254) at the edges that are padding, which the standards cannot say: 4:2:0 H.264, HEVC
    and VVC pictures have even sizes, cropping included, and encoders have smallest sizes. A note of 5 to 7 bytes, only
    where something is padded. Then the end of bitstream, 4 or 5 bytes, so that a stream cut short can be told.
    """
    # Plus one, so that no byte is 0 and no start code can arise.
    note = _NOTE[kind] + bytes([right + 1, below + 1]) + _NOTE_TAIL[kind] if right or below else b""
    return stream + note + _END[kind]


def is_whole(stream: bytes, kind: str) -> bool:
    """Whether the stream ends where a `finished` one does. An AV1 stream cut exactly between two units passes."""
    if kind != "obu":
        return stream.endswith(_END[kind])
    return max((end for _, _, end in obus(stream)), default=0) == len(stream)


def padding_of(stream: bytes, kind: str) -> tuple[int, int]:
    """(columns, rows) that the note of a `finished` stream declares as padding; (0, 0) without one."""
    head, tail = _NOTE[kind], _NOTE_TAIL[kind] + _END[kind]
    note = stream[-(len(head) + 2 + len(tail)) :]
    if not note.startswith(head) or not note.endswith(tail):
        return 0, 0
    right, below = note[len(head) : len(head) + 2]
    return max(0, right - 1), max(0, below - 1)
