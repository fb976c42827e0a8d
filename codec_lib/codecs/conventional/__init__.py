"""Conventional codecs as peers: x264, x265, SVT-AV1, libaom and VVenC through one ffmpeg, each in three variants."""

from __future__ import annotations

from codec_lib.codecs.conventional.bitstream import kind_of
from codec_lib.codecs.conventional.codec import ConventionalCodec, parse_name
from codec_lib.codecs.conventional.ffmpeg import FFmpegFailed, encoders, ffmpeg_version
from codec_lib.codecs.conventional.settings import ENCODERS, VARIANTS, Settings
from codec_lib.errors import MissingData, UsageError

__all__ = [
    "ENCODERS", "VARIANTS", "ConventionalCodec", "FFmpegFailed", "Settings",
    "available", "ffmpeg_version", "load", "settings", "sniff",
]  # fmt: skip


def load(name: str, profile: str | None = None, *, timeout: float | None = None) -> ConventionalCodec:
    """A conventional codec by name.

    name: x264, x265, svtav1, libaom or vvenc, with ":ld" (the default), ":ra" or ":intra". profile: "system" or None.
    timeout: wall-clock seconds for each run of ffmpeg instead of the generous default.
    Raises UsageError for an unknown name, variant or profile; MissingData when this ffmpeg has no such encoder.
    """
    encoder, variant = parse_name(name)
    if profile not in (None, ConventionalCodec.profile):
        raise UsageError(f"'{encoder}' has no profile '{profile}': leave it out")
    missing = available()[encoder]
    if missing != "ready":
        raise MissingData(missing)
    return ConventionalCodec(encoder, variant, timeout)


def available() -> dict[str, str]:
    """For each codec "ready", or one line that says what is missing."""
    have = encoders()
    return {
        name: "ready" if s.library in have else f"this ffmpeg ({ffmpeg_version()}) has no {s.library}: use imageio-ffmpeg 0.8.1"
        for name, s in ENCODERS.items()
    }


def settings(name: str) -> list[str]:
    """The encoder's arguments as the book prints them, with QP where the quantiser (worst - quality) goes.

    Besides these, the codec gives ffmpeg only what describes the samples: size, rate, pixel format and colour tags.
    """
    encoder, variant = parse_name(name)
    return ENCODERS[encoder].arguments(variant, "QP")


def sniff(stream: bytes) -> str | None:
    """The name of a conventional codec that decodes this stream, or None when it is no H.264, HEVC, AV1 or VVC stream.

    All of them decode all four kinds; "libaom" stands for AV1, whoever coded it.
    """
    return {"h264": "x264", "hevc": "x265", "vvc": "vvenc", "obu": "libaom", None: None}[kind_of(stream)]
