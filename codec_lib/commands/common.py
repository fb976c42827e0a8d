"""What several commands share: argument types, one progress bar, JSON on stdout, which codec a stream is for."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from codec_lib.errors import UsageError


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Width and height, "1920x1080"."""
    width, _, height = text.lower().partition("x")
    try:
        return count(width), count(height)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size: give WIDTHxHEIGHT, as in 1920x1080") from None


def rate(text: str) -> Fraction:
    """Frames a second: 25, 29.97 or 30000/1001."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a frame rate: give a number above 0, as in 25 or 30000/1001")
    return value


def names(text: str) -> list[str]:
    """A comma-separated list; a path that exists is taken whole, commas included."""
    found = [text] if Path(text).exists() else [part.strip() for part in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"'{text}' has an empty entry")
    return found


def numbers(text: str) -> list[int]:
    """A comma-separated list of whole numbers."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of whole numbers: give them as in 0,2,4") from None


def setting(text: str) -> tuple[str, object]:
    """NAME=VALUE, see `codec_lib.codecs.options.parse`."""
    from codec_lib.codecs.options import parse

    try:
        return parse(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def flatten(lists: list[list]) -> list:
    """What ``nargs="+"`` over `names` or `numbers` gives, as one list without repeats."""
    return list(dict.fromkeys(entry for part in lists for entry in part))


@contextlib.contextmanager
def progress(what: str, unit: str = "frame") -> Iterator[Callable[..., None]]:
    """A callback (done, total, what=None) that draws a bar on stderr: on a terminal only, and only after two seconds."""
    if not sys.stderr.isatty():
        yield lambda done, total, what=None: None
        return
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, delay=2, leave=False) as bar:
        def advance(done: int, total: int, what: str | None = None) -> None:
            if what:
                bar.set_description(what, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def print_json(data) -> None:
    print(json.dumps(data, indent=1, allow_nan=False))


def kilobytes(n: int) -> str:
    return f"{n} bytes" if n < 10_000 else f"{n / 1000:.0f} kB" if n < 10_000_000 else f"{n / 1e6:.1f} MB"


def read_file(path: str | Path) -> bytes:
    """The bytes of an input file, or one clear line about why not."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a coded stream") from None
    if not data:
        raise UsageError(f"{path} is empty")
    return data
