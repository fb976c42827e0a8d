"""The one protocol that every codec answers to, neural or conventional, and the table of their names."""

from __future__ import annotations

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from codec_lib.codecs.options import parse
from codec_lib.errors import BitstreamError, UsageError
from codec_lib.video.clip import Video

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called as progress(done, total) after each frame or packet."""


class Codec(ABC):
    """Video to bytes and back.

    name: as on the command line, variant included ("intra", "x265:ld").
    profile: "lab" or "paper" for neural codecs, "system" for conventional ones.
    qualities: the legal values of ``quality``; larger is better and bigger.
    default_qualities: rate points that ``eval`` measures when none are named, at least five, ascending.
    encoder: what decides the bytes that are written, beside clip and quality; codecs in which it is equal differ only in what a
        viewer sees, and one need encode for all. None: nothing is known of others.
    """

    name: str
    profile: str
    qualities: range
    default_qualities: tuple[int, ...]
    encoder: Hashable | None = None

    @abstractmethod
    def encode(self, video: Video, quality: int, progress: Progress | None = None) -> bytes:
        """Code a clip of any size and any number of frames. Returns the whole file, every header counted."""

    @abstractmethod
    def decode(self, stream: bytes, progress: Progress | None = None) -> Video:
        """Decode a whole stream; needs nothing but the bytes (and, for a neural codec, its checkpoint).

        Raises BitstreamError when the stream is foreign, damaged, from a newer format or for another checkpoint.
        """

    def symbols_sha256(self, stream: bytes) -> str | None:
        """SHA-256 (hex) over all decoded symbols of a stream; None for codecs whose symbols are not ours to see."""
        return None

    def check_quality(self, quality: int) -> int:
        """Return ``quality`` if it is legal, else raise UsageError naming the legal range."""
        if quality not in self.qualities:
            raise UsageError(
                f"quality {quality} is out of range for {self.name}: "
                f"give a whole number from {self.qualities[0]} to {self.qualities[-1]}"
            )
        return quality


# name -> "module:factory"; a factory is called as factory(name, profile, **options).
CODECS: dict[str, str] = {
    "x264": "codec_lib.codecs.conventional:load",
    "x265": "codec_lib.codecs.conventional:load",
    "svtav1": "codec_lib.codecs.conventional:load",
    "libaom": "codec_lib.codecs.conventional:load",
    "vvenc": "codec_lib.codecs.conventional:load",
    "intra": "codec_lib.codecs.intra:load",
    "conditional": "codec_lib.codecs.conditional:load",
    "diffvc": "codec_lib.codecs.diffvc:load",
}


def load_codec(name: str, profile: str | None = None, **options) -> Codec:
    """Make a codec ready to use.

    name: a key of CODECS, with a variant for conventional codecs ("x265:ld", "x265:ra", "x265:intra"; plain means "ld") or
        settings for neural ones ("conditional:intra_period=32", several joined by "+"), and optionally a profile ("intra@lab").
    profile: "lab" (default) or "paper" for neural codecs.
    options: passed to the codec (``device``, ``batch``, ``checkpoint``, ...); each codec documents its own.
    Raises UsageError for an unknown name, profile or option, MissingWeights when its checkpoint is not there.
    """
    base, _, named_profile = name.partition("@")
    if named_profile and profile and named_profile != profile:
        raise UsageError(f"codec '{name}' names profile {named_profile} while profile={profile} was given: give one")
    key, _, variant = base.partition(":")
    settings = dict(map(parse, variant.split("+"))) if "=" in variant else {}
    options = settings | options
    if key not in CODECS:
        raise UsageError(f"unknown codec '{key}': choose from {', '.join(CODECS)}")
    module, _, factory = CODECS[key].partition(":")
    made = getattr(importlib.import_module(module), factory)
    takes = inspect.signature(made).parameters
    unknown = sorted(set(options) - set(takes))
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        raise UsageError(f"{key} has no option '{unknown[0]}'")
    codec = made(key if settings else base, named_profile or profile, **options)
    if settings:
        codec.name = base  # in records; streams carry the codec's own name
    return codec


def until_damage(decoded: Iterable[T], salvaged: bool) -> Iterator[T]:
    """What a decoder yields, in order; with ``salvaged``, up to the first BitstreamError instead of raising it."""
    try:
        yield from decoded
    except BitstreamError:
        if not salvaged:
            raise
