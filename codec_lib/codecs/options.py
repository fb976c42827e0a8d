"""Options of codecs as users give them: names and values, checked before anything is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import TypeVar

from codec_lib.errors import UsageError

T = TypeVar("T")
SETTABLE = ("intra_period", "intra_offset", "intra_slope", "still_offset", "offsets", "refresh", "cut", "diffusion", "steps", "start",
            "depth", "policy", "moved", "least", "sampler", "seed", "detail", "prior")
"""Options that may be given as text; the first seven are an encoder's, the last is the image prior's folder, the others a viewer's."""
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", tuple: "whole numbers, as in [0,2]"}


def parse(text: str) -> tuple[str, object]:
    """NAME=VALUE; numbers, true, false and lists as in JSON, anything else is a word. Raises UsageError."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"'{text}' is no setting: give NAME=VALUE, as in intra_period=32")
    if name not in SETTABLE:
        raise UsageError(f"'{name}' cannot be set here: choose from {', '.join(SETTABLE)}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def take(cls: type[T], options: dict) -> T:
    """An instance of a dataclass of settings, made of those ``options`` that it has, which are removed from the dictionary.

    Every field has a default, and its type says what a value may be. Raises UsageError for a value of another type, and what the
    class raises.
    """
    found = {f.name: _checked(f.name, options.pop(f.name), type(f.default)) for f in fields(cls) if f.name in options}
    return cls(**found)


def refuse(options: dict, what: str, *classes: type) -> None:
    """Raise UsageError if options are left that none of the classes took."""
    if options:
        known = ", ".join(f.name for cls in classes for f in fields(cls))
        raise UsageError(f"{what} has no option '{min(options)}': it has {known}")


def _checked(name: str, value, kind: type):
    if kind is tuple and isinstance(value, Iterable) and not isinstance(value, str):
        value = tuple(value)
        fits = bool(value) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise UsageError(f"option {name} takes {WORDS[kind]}, not {value!r}")
    return float(value) if kind is float else value
