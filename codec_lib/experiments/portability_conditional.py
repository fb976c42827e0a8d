"""Table `portability-conditional`: what `portability` asks of single frames, asked of an I frame and the P frames after it.

Pictures are rebuilt in floats, which differ from machine to machine; the symbols of a P frame must not depend on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from codec_lib.codecs.protocol import Progress
from codec_lib.experiments import portability
from codec_lib.experiments.portability import rows as rows
from codec_lib.experiments.records import Results

DESCRIPTION = "the same as portability, for I and P frames of the conditional codec"
PAPER: dict = {}


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None) -> Results:
    """See `portability.measure`."""
    return portability.measure(clips, progress, codec="conditional")
