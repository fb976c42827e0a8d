"""Damage for streams: flips, cuts, swaps, insertions, foreign files, headers that promise the impossible.

    for kind, data in fuzz_streams(stream, 10_000, seed=0): ...     # never the stream itself

Use it on whatever reads streams: `read_stream`, or a codec's whole decode.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from codec_lib.entropy.container import _read_header, read_stream, write_stream
from codec_lib.entropy.stream_fields import Reader, rate, varint


def fuzz_streams(stream: bytes, n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """``n`` damaged versions of an intact ``stream``, each with the name of its damage, all kinds in turn."""
    rng = np.random.default_rng(seed)
    kinds = list(DAMAGE.items())
    for i in range(n):
        kind, damage = kinds[i % len(kinds)]
        data = stream
        while data == stream:  # a swap of equal bytes is no damage
            data = bytes(damage(stream, rng))
        yield kind, data


def forged_streams(stream: bytes) -> Iterator[tuple[str, bytes]]:
    """Versions in which every checksum is right and the header lies about the size: attacks, not accidents.

    The container cannot tell; a codec must end in an error (or a decoded clip of that size), in bounded memory.
    """
    header, packets = read_stream(stream)
    for change in (
        {"width": 8192, "height": 8192}, {"width": 16384, "height": 4096}, {"width": header.width + 64},
        {"height": max(1, header.height // 2)}, {"frames": 2048}, {"frames": header.frames + 1}, {"quality": 65535},
        {"quality": (header.quality + 1) % 8}, {"width": 1, "height": 1},
    ):
        yield f"forged {change}", write_stream(replace(header, **change), packets)
    yield "forged packet order", write_stream(header, packets[::-1])
    yield "forged empty packets", write_stream(header, [replace(p, payload=b"") for p in packets])
    yield "forged digests", write_stream(header, [replace(p, digest=p.digest ^ 1) for p in packets])


def _flip(stream, rng):
    data = bytearray(stream)
    for at in rng.integers(0, 8 * len(data), int(rng.choice([1, 1, 1, 2, 5, 40]))):
        data[at >> 3] ^= 1 << (at & 7)
    return data


def _flip_early(stream, rng):
    """One bit of the first 64 bytes, where header and first packet's frame lie."""
    return bytes(_flip(stream[:64], rng)) + stream[64:]


def _overwrite(stream, rng):
    data = bytearray(stream)
    at = int(rng.integers(len(data)))
    size = min(len(data) - at, int(rng.integers(1, 65)))
    data[at : at + size] = rng.bytes(size) if rng.random() < 0.7 else bytes(size)
    return data


def _truncate(stream, rng):
    return stream[: int(rng.integers(0, len(stream)))]


def _truncate_a_little(stream, rng):
    return stream[: -int(rng.integers(1, min(20, len(stream))))]


def _append(stream, rng):
    return stream + (rng.bytes(int(rng.integers(1, 50))) if rng.random() < 0.5 else stream)


def _delete(stream, rng):
    at = int(rng.integers(len(stream)))
    return stream[:at] + stream[at + int(rng.integers(1, 33)) :]


def _insert(stream, rng):
    at = int(rng.integers(len(stream)))
    return stream[:at] + rng.bytes(int(rng.integers(1, 33))) + stream[at:]


def _repeat(stream, rng):
    at, size = int(rng.integers(len(stream))), int(rng.integers(1, 200))
    return stream[:at] + stream[at : at + size] + stream[at:]


def _swap_bytes(stream, rng):
    data = bytearray(stream)
    a, b = rng.integers(0, len(data), 2)
    data[a], data[b] = data[b], data[a]
    return data


def _swap_blocks(stream, rng):
    a, b, c = sorted(rng.integers(0, len(stream) + 1, 3))
    return stream[:a] + stream[b:c] + stream[a:b] + stream[c:]


def _packet_bounds(stream):
    """Where the header ends and where each packet ends, for a stream that is intact."""
    reader = Reader(stream)
    _, count, _ = _read_header(reader)
    bounds = [reader.at]
    for _ in range(count):
        reader.take(reader.varint() + 6)
        bounds.append(reader.at)
    return bounds


def _shuffle_packets(stream, rng):
    """Whole packets swapped, dropped or sent twice; with a single packet, dropped or sent twice."""
    bounds = _packet_bounds(stream)
    parts = [stream[a:b] for a, b in zip(bounds, bounds[1:], strict=False)]
    i, j = (int(k) for k in rng.integers(0, len(parts), 2))
    action = rng.integers(3)
    if action == 0 and parts[i] != parts[j]:
        parts[i], parts[j] = parts[j], parts[i]
    elif action == 1:
        del parts[i]
    else:
        parts.insert(j, parts[i])
    return stream[: bounds[0]] + b"".join(parts)


def _packets_of_another_stream(stream, rng):
    """A header that is intact, and packets of a stream that differs from it in quality only."""
    header, packets = read_stream(stream)
    other = write_stream(replace(header, quality=(header.quality + 1 + int(rng.integers(100))) % 1000), packets)
    return stream[: _packet_bounds(stream)[0]] + other[_packet_bounds(other)[0] :]


def _packet_of_another_stream(stream, rng):
    """One packet replaced by the same packet of a stream with another digest."""
    header, packets = read_stream(stream)
    other = write_stream(header, [replace(p, digest=p.digest ^ int(rng.integers(1, 65536))) for p in packets])
    a, b = _packet_bounds(stream), _packet_bounds(other)
    i = int(rng.integers(len(packets)))
    parts = [stream[: a[0]], *(stream[x:y] for x, y in zip(a, a[1:], strict=False))]
    parts[i + 1] = other[b[i] : b[i + 1]]
    if rng.random() < 0.5:  # keep the packet, take the other's digest only
        parts[i + 1] = bytearray(stream[a[i] : a[i + 1]])
        at = len(varint(len(packets[i].payload)))
        parts[i + 1][at : at + 2] = other[b[i] + at : b[i] + at + 2]
    return b"".join(parts)


def _promise(stream, rng):
    """A header of huge numbers with a right checksum, packets as they were."""
    reader = Reader(stream)
    header, count, _ = _read_header(reader)
    numbers = {"width": header.width, "height": header.height, "frames": header.frames, "fps": header.fps,
               "quality": header.quality, "flags": header.flags, "count": count}
    coded = {name: rate(value) if name == "fps" else varint(value) for name, value in numbers.items()}
    head = stream[: reader.at - 8 - len(b"".join(coded.values()))]
    for name in rng.choice(list(coded), int(rng.integers(1, 4)), replace=False):
        huge = [int(rng.choice([0, 16384, 16385, 10**6, 10**6 + 1, 2**31, 2**32 - 1])) for _ in range(2)]
        coded[name] = b"\0" + varint(huge[0]) + varint(huge[1]) if name == "fps" else varint(huge[0])
    head += b"".join(coded.values()) + stream[reader.at - 8 : reader.at - 4]
    return head + struct.pack("<I", zlib.crc32(head)) + stream[reader.at :]


def _promise_length(stream, rng):
    """A packet that claims to be huge."""
    bounds = _packet_bounds(stream)
    i = int(rng.integers(len(bounds) - 1))
    reader = Reader(stream)
    reader.at = bounds[i]
    reader.varint()
    huge = varint(int(rng.choice([2**14, 2**20, 2**28, 2**32 - 1])))
    return stream[: bounds[i]] + huge + stream[reader.at :]


def _random_file(stream, rng):
    return rng.bytes(int(rng.integers(0, 400)))


def _random_after_magic(stream, rng):
    """Random bytes behind an intact beginning."""
    return stream[: int(rng.integers(4, 40))] + rng.bytes(int(rng.integers(0, 400)))


def _other_format(stream, rng):
    """Beginnings of other files: PNG, MP4, Annex B, text, zip, zeros, ones."""
    starts = [b"\x89PNG\r\n\x1a\n", b"\0\0\0\x20ftypisom", b"\0\0\0\x01\x67", b"Y4M", b"YUV4MPEG2 W64", b"PK\3\4", b"\0" * 99,
              b"\xff" * 99]
    return starts[rng.integers(len(starts))] + stream[int(rng.integers(len(stream))) :]


DAMAGE = {
    name.__name__.lstrip("_").replace("_", " "): name
    for name in (_flip, _flip_early, _overwrite, _truncate, _truncate_a_little, _append, _delete, _insert, _repeat,
                 _swap_bytes, _swap_blocks, _shuffle_packets, _packets_of_another_stream, _packet_of_another_stream,
                 _promise, _promise_length, _random_file, _random_after_magic, _other_format)
}
