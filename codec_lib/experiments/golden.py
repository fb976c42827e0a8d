"""Golden streams: small files under data/bitstreams that every later version must decode to the same symbols.

    python -m codec_lib.experiments.golden        # writes those that are not there; remove those of a codec with a new checkpoint

Chapters that count bits count those of golden streams: encoders compute in floating point, and on another processor some symbols
come out otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codec_lib.codecs.protocol import Codec, load_codec
from codec_lib.errors import MissingData
from codec_lib.experiments.provenance import provenance
from codec_lib.files import write_bytes
from codec_lib.paths import BITSTREAMS
from codec_lib.video import clips

INDEX = "golden.json"
CASES = (("intra", "carphone", 2, 10), ("intra", "carphone", 1, 40), ("intra", "bikes", 1, 25), ("intra", "parallax", 7, 28),
         *(("conditional", "parallax", 7, q) for q in (8, 28, 56)), ("diffvc", "carphone", 32, 20),
         *(("diffvc", clip, frames, q) for clip, frames in (("pan", 4), ("carphone", 8)) for q in (0, 12, 24, 36, 48, 63)))
"""Codec, sample clip, frames, quality."""


@dataclass(frozen=True)
class Golden:
    """One stream and the SHA-256 of its symbols."""

    path: Path
    codec: str
    profile: str
    symbols_sha256: str


def write() -> list[Golden]:
    """Encode the cases that have no stream yet, and write streams and index; the others stay as they are."""
    index, made = json.loads((BITSTREAMS / INDEX).read_text()), []
    entries = {f: e for f, e in index["streams"].items() if (BITSTREAMS / f).exists()}
    for case in CASES:
        name, clip, frames, quality = case
        file = file_of(*case)
        if file in entries:
            continue
        codec = codec_of(name)
        stream = codec.encode(clips(f"sample:{clip}", frames=frames)[0], quality)
        write_bytes(BITSTREAMS / file, stream, force=True)
        entries[file] = {"codec": name, "profile": codec.profile, "symbols_sha256": codec.symbols_sha256(stream)}
        made.append(case)
    if made:
        index["provenance"].append(provenance({"cases": [list(case) for case in made]}))
    index["streams"] = entries
    write_bytes(BITSTREAMS / INDEX, (json.dumps(index, indent=1) + "\n").encode(), force=True)
    return list(golden())


def codec_of(name: str, profile: str | None = None) -> Codec:
    """The codec of a case, without networks that only show what a stream holds; of DiffVC's frames only the first is an I frame."""
    return load_codec(name, profile, **({"diffusion": False, "refresh": math.inf} if name == "diffvc" else {}))


def file_of(codec: str, clip: str, frames: int, quality: int) -> str:
    """Name of a case's file."""
    return f"{codec}-{clip}-{frames}f-q{quality}.dvc"


def golden_stream(codec: str, clip: str, frames: int, quality: int) -> bytes:
    """A stream of `CASES`. Raises MissingData where it is none of them."""
    path = BITSTREAMS / file_of(codec, clip, frames, quality)
    if not path.exists():
        raise MissingData(f"there is no golden stream '{path.name}': those of `golden.CASES` are there")
    return path.read_bytes()


def golden() -> Iterator[Golden]:
    """The streams named in the index."""
    index = json.loads((BITSTREAMS / INDEX).read_text())
    for file, entry in index["streams"].items():
        yield Golden(BITSTREAMS / file, **entry)


if __name__ == "__main__":
    for stream in write():
        print(f"{stream.path.name}  {stream.path.stat().st_size} bytes  {stream.symbols_sha256[:16]}")
