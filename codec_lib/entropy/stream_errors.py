"""What can be wrong with a stream, one class each. All are `codec_lib.errors.BitstreamError`; all carry ``packet``."""

from __future__ import annotations

from codec_lib.errors import BitstreamError


class ForeignStream(BitstreamError):
    """Not one of our streams at all, or one of another codec than the one asked to decode it."""


class UnsupportedVersion(BitstreamError):
    """Written by a newer format version, or with a codec or feature that this version does not know."""


class TruncatedStream(BitstreamError):
    """The data ends before the stream does."""


class CorruptStream(BitstreamError):
    """The data contradicts itself: a checksum fails, a size is impossible, the range coder meets an invalid code."""


class WrongCheckpoint(BitstreamError):
    """The stream was coded with another checkpoint than the one loaded, so its probability tables are not ours."""


class SymbolMismatch(BitstreamError):
    """A packet arrived intact but decoded to other latents than the encoder's: the decoder is not exact here."""
