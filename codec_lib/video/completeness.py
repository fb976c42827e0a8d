"""How long a container says it is: a cut download is refused before half of it is taken for the whole clip.

MP4/MOV (ISO/IEC 14496-12, section 4.2), Matroska/WebM (RFC 9559 on RFC 8794) and AVI (RIFF) all write the sizes of
their top-level parts in front of them; only those few bytes are read here.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from codec_lib.errors import VideoError

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_TOP_LEVEL_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"moof", b"styp", b"sidx", b"uuid", b"pnot"}


def check_complete(path: Path) -> None:
    """Raise `VideoError` if the file is empty or shorter than its own structure says."""
    have = path.stat().st_size
    if have == 0:
        raise VideoError(f"{path}: is empty (0 bytes)")
    with open(path, "rb") as file:
        need = declared_size(file, have)
    if need is not None and need > have:
        raise VideoError(f"{path}: is cut short ({have} bytes of at least {need}): copy or download it again")


def declared_size(file: BinaryIO, size: int) -> int | None:
    """Bytes that the container's top-level structure asks for, or None for formats that do not say."""
    head = file.read(12)
    if head[4:8] in _TOP_LEVEL_BOXES:
        return _boxes(file, size)
    if head[:4] == _EBML.to_bytes(4, "big"):
        return _matroska(file)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return 8 + int.from_bytes(head[4:8], "little")
    return None


def _boxes(file: BinaryIO, size: int) -> int:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:  # "to the end of the file"
            return size
        if length < 8:  # trailing bytes that are no box: players ignore them
            return size
        at += length
    return at


def _matroska(file: BinaryIO) -> int | None:
    file.seek(0, os.SEEK_SET)
    for expected in (_EBML, _SEGMENT):
        if int.from_bytes(file.read(4), "big") != expected:
            return None
        length = _ebml_length(file)
        if length is None:
            return None
        if expected == _EBML:
            file.seek(length, os.SEEK_CUR)
    return file.tell() + length


def _ebml_length(file: BinaryIO) -> int | None:
    """A variable-length integer (RFC 8794 section 4); all ones means "unknown", as in a live recording."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(more), "big") & ((1 << 7 * (more + 1)) - 1)
    return None if value == (1 << 7 * (more + 1)) - 1 else value
