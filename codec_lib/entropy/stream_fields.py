"""How the fields of a stream's header and packets are written, and read back without trust."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from codec_lib.entropy.stream_errors import CorruptStream, TruncatedStream

RATES = tuple(map(Fraction, "24000/1001 24 25 30000/1001 30 48 50 60000/1001 60 100 120000/1001 120".split()))
"""Usual frame rates, numbered from 1; only ever append."""


class Reader:
    """A place in the data. ``what`` names the part being read, ``packet`` its index, for messages."""

    def __init__(self, data: bytes):
        self.data = memoryview(data).cast("B")
        self.at = 0
        self.packet: int | None = None
        self.what = "the header"

    def take(self, n: int) -> bytes:
        left = len(self.data) - self.at
        if n > left:
            raise TruncatedStream(f"{self.what} is cut short: {n} bytes should follow, the data ends after {left}",
                                  self.packet)
        self.at += n
        return bytes(self.data[self.at - n : self.at])

    def varint(self) -> int:
        """At most 32 bits, in the shortest form."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                if value >= 2**32 or (byte == 0 and shift):
                    break
                return value
        raise CorruptStream(f"{self.what} holds a number of impossible length", self.packet)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def name(text: str, known: Sequence[str]) -> bytes:
    """One byte for a known name (from 1), or zero, length and ASCII letters."""
    return bytes([known.index(text) + 1]) if text in known else bytes([0, len(text)]) + text.encode("ascii")


def rate(fps: Fraction) -> bytes:
    """One byte for a usual frame rate (from 1), or zero, numerator and denominator."""
    if fps in RATES:
        return bytes([RATES.index(fps) + 1])
    return b"\0" + varint(fps.numerator) + varint(fps.denominator)


def read_rate(reader: Reader) -> Fraction | None:
    """The frame rate, or None if it is none."""
    number = reader.varint()
    if number:
        return RATES[number - 1] if number <= len(RATES) else None
    numerator, denominator = reader.varint(), reader.varint()
    return Fraction(numerator, denominator) if denominator else None


def read_name(reader: Reader, known: Sequence[str]) -> str | int:
    """The name, or its number where that number is not known here."""
    number = reader.varint()
    if number == 0:
        return reader.take(reader.varint()).decode("latin-1")
    return known[number - 1] if number <= len(known) else number
