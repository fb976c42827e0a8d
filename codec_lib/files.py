"""Outputs that are either whole or not there: written beside their place under a hidden name, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codec_lib.errors import UsageError


def check_output(path: str | Path, *, force: bool = False) -> Path:
    """Refuse an output that could not be written later, before any work is spent on it.

    Raises UsageError when ``path`` exists and ``force`` is not given, when its folder is not there, or may not be written.
    """
    path = Path(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        reason = "is not a folder" if folder.exists() else "does not exist"
        raise UsageError(f"cannot write {path}: {folder} {reason}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {path}: no permission to write in {folder}")
    if path.exists() and not force:
        raise UsageError(f"{path} exists: give --force to overwrite it")
    return path


@contextmanager
def written_aside(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A hidden name beside ``path`` to write a file to; renamed to ``path`` at the end, removed if anything goes wrong.

    The hidden name keeps the suffix, for writers that choose a format by it.
    """
    path = check_output(path, force=force)
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=path.absolute().parent))
    try:
        yield aside / path.name
        os.replace(aside / path.name, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_bytes(path: str | Path, data: bytes, *, force: bool = False) -> None:
    """Write ``data`` to ``path``, whole or not at all. Raises UsageError as `check_output`, OSError on a full disk."""
    with written_aside(path, force=force) as aside:
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
