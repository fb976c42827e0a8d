"""Golden streams: small files under data/bitstreams that every later version must decode to the same symbols.

    python -m codec_lib.experiments.golden        # writes them anew; only when a new checkpoint is shipped
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments.provenance import provenance
from codec_lib.files import write_bytes
from codec_lib.paths import BITSTREAMS
from codec_lib.video import clips

INDEX = "golden.json"
CASES = (("intra", "carphone", 2, 10), ("intra", "carphone", 1, 40), ("intra", "bikes", 1, 25))
"""Codec, sample clip, frames, quality."""


@dataclass(frozen=True)
class Golden:
    """One stream and the SHA-256 of its symbols."""

    path: Path
    codec: str
    profile: str
    symbols_sha256: str


def write() -> list[Golden]:
    """Encode all cases and write streams and index."""
    entries, sample = {}, {v.name: v for v in clips("sample", frames=2)}
    for name, clip, frames, quality in CASES:
        codec = load_codec(name)
        stream = codec.encode(sample[clip].first(frames), quality)
        file = f"{name}-{clip}-{frames}f-q{quality}.dvc"
        write_bytes(BITSTREAMS / file, stream, force=True)
        entries[file] = {"codec": name, "profile": codec.profile, "symbols_sha256": codec.symbols_sha256(stream)}
    index = {"streams": entries, "provenance": provenance({"cases": [list(c) for c in CASES]})}
    write_bytes(BITSTREAMS / INDEX, (json.dumps(index, indent=1) + "\n").encode(), force=True)
    return list(golden())


def golden() -> Iterator[Golden]:
    """The streams named in the index."""
    index = json.loads((BITSTREAMS / INDEX).read_text())
    for file, entry in index["streams"].items():
        yield Golden(BITSTREAMS / file, **entry)


if __name__ == "__main__":
    for stream in write():
        print(f"{stream.path.name}  {stream.path.stat().st_size} bytes  {stream.symbols_sha256[:16]}")
