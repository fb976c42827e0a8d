"""Checksums of data that publishes none: recorded at the first check, compared at every later one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from codec_lib.errors import UsageError
from codec_lib.files import write_bytes
from codec_lib.video.datasets import Dataset, Sequence, data_root
from codec_lib.video.images import image_files
from codec_lib.video.raw import layout_from_name, layout_of

Progress = Callable[[int, int], None]

_CHUNK = 1 << 22


@dataclass(frozen=True)
class Check:
    """What a check found for one sequence.

    state: "recorded" (checksum taken for the first time), "unchanged", "changed", "missing".
    note: how it differs from what is published, if it does, else "". sha256: "" if missing.
    """

    sequence: str
    state: str
    sha256: str = ""
    bytes: int = 0
    note: str = ""


def manifest_file() -> Path:
    """manifest.json in `datasets.data_root`: {set: {sequence: {"sha256", "bytes"}}}."""
    return data_root() / "manifest.json"


def verify(dataset: Dataset, *, accept: bool = False, progress: Progress | None = None) -> list[Check]:
    """Check all sequences of a set against the manifest, and record those that are not in it yet.

    accept: take what is there now as the new record of sequences that have changed.
    Raises MissingData if no sequence of the set is here.
    """
    sequences = dataset.sequences
    found = {s: path for s in sequences if (path := dataset.find(dataset, s)) is not None}
    if not found:
        raise dataset.missing(list(sequences))
    known = _load()
    records = known.setdefault(dataset.name, {})
    checks, changed = [], False
    for done, sequence in enumerate(sequences):
        if sequence in found:
            check = _check(sequence, found[sequence], records.get(sequence.name))
            if check.state == "recorded" or (accept and check.state == "changed"):
                records[sequence.name], changed = {"sha256": check.sha256, "bytes": check.bytes}, True
        else:
            check = Check(sequence.name, "missing")
        checks.append(check)
        if progress:
            progress(done + 1, len(sequences))
    if changed:
        write_bytes(manifest_file(), json.dumps(known, indent=1, sort_keys=True).encode() + b"\n", force=True)
    return checks


def _check(sequence: Sequence, path: Path, record: dict | None) -> Check:
    digest, size = fingerprint(path)
    state = "recorded" if record is None else "unchanged" if record.get("sha256") == digest else "changed"
    return Check(sequence.name, state, digest, size, _difference(sequence, path))


def fingerprint(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file; of a folder: of its images' names, sizes and contents in natural order."""
    if path.is_file():
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(path):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size
    digest, size = hashlib.sha256(), 0
    for file in image_files(path):
        inner, length = fingerprint(file)
        digest.update(f"{file.name} {length} {inner}\n".encode())
        size += length
    return digest.hexdigest(), size


def _chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _difference(sequence: Sequence, path: Path) -> str:
    """How the length of raw files and folders differs from the published one; containers are not opened."""
    if sequence.frames is None:
        return ""
    if path.is_dir():
        have = len(image_files(path))
    elif path.suffix.lower() == ".yuv":
        layout = layout_of(path, size=layout_from_name(path.stem).get("size", sequence.size))
        if sequence.size and layout.size != sequence.size:
            return "{}x{} instead of {}x{}".format(*layout.size, *sequence.size)
        have, rest = divmod(path.stat().st_size, layout.frame_bytes)
        if rest:
            return f"not a whole number of {layout} frames"
    else:
        return ""
    return "" if have == sequence.frames else f"{have} frames instead of {sequence.frames}"


def _load() -> dict:
    file = manifest_file()
    if not file.exists():
        return {}
    try:
        known = json.loads(file.read_text())
    except ValueError as error:
        raise UsageError(f"{file} is not valid JSON: mend it, or remove it to record checksums anew") from error
    if not isinstance(known, dict) or not all(isinstance(v, dict) for v in known.values()):
        raise UsageError(f"{file} is not a manifest of checksums: remove it to record them anew")
    return known
