"""The frame of a chapter: the strip that says what running it takes, and the rules that every chapter keeps.

The strip shows saved measurements, so it says the same on every machine: ``python book/execute.py chapters/NN_*.ipynb``
runs a chapter, saves its outputs and writes minutes and memory to data/results/chapters.json.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from codec_lib.experiments.records import Value, all_values
from codec_lib.show.numbers import Shown, given, measured

CELL_LINES = 30
EXERCISES = 5
SEEN = {"Table", "rate_table", "value_table", "beside_paper", "figure", "rd_curves", "lines", "frame_curves", "bars", "pictures",
        "side_by_side", "explore", "strip"}
"""What makes something to look at, of this package."""


class Strip:
    """The line under a chapter's title; its numbers are records."""

    def __init__(self, parts: list[tuple[str, list[Shown | str]]]):
        self.parts = parts

    def _repr_html_(self) -> str:
        items = []
        for name, content in self.parts:
            text = "".join(p._repr_html_() if isinstance(p, Shown) else p for p in content)
            items.append(f'<span class="strip-item"><b>{name}</b> {text}</span>')
        return f'<div class="strip">{" · ".join(items)}</div>'

    def __repr__(self) -> str:
        return " · ".join(f"{name} {''.join(map(str, content))}" for name, content in self.parts)


def strip(chapter: str, *, scale: str = "lab", shows: Iterable[str] = (), values: Mapping[str, Value] | None = None) -> Strip:
    """Provenance of a chapter: time and memory of its last measured run, machine, scale, and where its records come from.

    chapter: name of the notebook without suffix, e.g. "01_rate_distortion_perception". scale: "lab" or "paper".
    shows: experiments whose saved records the chapter shows; their commits and machines are named.
    """
    values = all_values() if values is None else values
    start = f"chapters/-/{chapter}/-"
    parts: list[tuple[str, list[Shown | str]]] = [("scale", [scale])]
    if f"{start}/minutes" in values:
        run = values[f"{start}/minutes"]
        parts += [("runs in", [measured(run, ".1f"), " min"]),
                  ("memory", [measured(values[f"{start}/memory"], ".1f"), " GB"]),
                  ("on", [given(_machine(run, chapter), "machine")])]
    else:
        parts.append(("time", ["not measured yet"]))
    for name in shows:
        origin = next((v.provenance for v in values.values() if v.experiment == name), None)
        if origin is None:
            parts.append((f"records of {name}", ["not saved yet"]))
        else:
            what = [str(origin.get("commit", "unknown"))[:8], str(origin.get("date", "")), str(origin.get("hardware", ""))]
            parts.append((f"records of {name}", [given(", ".join(filter(None, what)), "origin of the records")]))
    return Strip(parts)


def _machine(run: Value, chapter: str) -> str:
    """Where a chapter was measured: of those in a record some may have been measured elsewhere."""
    origin = run.provenance
    return str(origin.get("config", {}).get("machines", {}).get(chapter) or origin.get("hardware") or "an unnamed machine")


def structure_problems(path: Path) -> list[str]:
    """Where a chapter departs from the rules of the house: objectives, strip, exercises with solutions, summary, sizes."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    texts = ["".join(c["source"]) for c in cells]
    prose = [t for c, t in zip(cells, texts, strict=True) if c["cell_type"] == "markdown"]
    found = []
    if not cells or not re.match(r"# \S", texts[0]):
        found.append("the first cell must start with the chapter's title, '# ...'")
    objectives = _section(prose, "What you will learn")
    if not 3 <= len(re.findall(r"^(?:[-*]|\d+\.) ", objectives, re.M)) <= 5:
        found.append("'## What you will learn' needs 3 to 5 list items")
    for title in ("What you need", "What is reproduced here", "Exercises", "Summary", "Further reading"):
        if not _section(prose, title).strip():
            found.append(f"'## {title}' is missing or empty")
    if not any("strip(" in t for c, t in zip(cells, texts, strict=True) if c["cell_type"] == "code"):
        found.append("no cell shows codec_lib.show.strip(...)")
    if len(re.findall(r"^(?:[-*]|\d+\.) ", _section(prose, "Summary"), re.M)) != 5:
        found.append("'## Summary' needs five list items")
    exercises = sum(bool(re.match(r"### Exercise ", t)) for t in prose)
    solutions = sum("solution" in c["metadata"].get("tags", []) for c in cells if c["cell_type"] == "code")
    if exercises < EXERCISES or solutions < exercises:
        found.append(f"{exercises} cells '### Exercise ...' and {solutions} code cells tagged 'solution': "
                     f"at least {EXERCISES}, each with one")
    for at, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and len(text.splitlines()) > CELL_LINES:
            found.append(f"cell {at} has {len(text.splitlines())} lines, at most {CELL_LINES}")
        if "solution" in tags and "hide-cell" not in tags and "hide-input" not in tags:
            found.append(f"cell {at} is a solution and not folded: tag it 'hide-cell'")
        if any(output.get("name") == "stderr" for output in cell.get("outputs", [])):
            found.append(f"cell {at} shows a warning (stderr): its text names temporary files, so nbval fails; mend what warns")
        if cell["cell_type"] == "code" and _defines_machinery(text):
            found.append(f"cell {at} defines a class of ten lines or more: machinery belongs into codec_lib")
        if cell["cell_type"] == "code":
            found += [f"cell {at} makes something with {name}(...) that nobody sees: it must be the cell's last line"
                      for name in _lost(text)]
    return found


def _section(prose: list[str], title: str) -> str:
    """Text below '## title' up to the next heading of that level, over as many cells as it takes."""
    whole = "\n\n".join(prose)
    match = re.search(rf"^## {re.escape(title)}[^\n]*\n(.*?)(?=^## |\Z)", whole, re.M | re.S)
    return match[1] if match else ""


def _lost(source: str) -> list[str]:
    """What makes tables and pictures in a cell, as a statement of its own before the last one: a notebook shows only that."""
    calls = [s.value.func for s in _parsed(source).body[:-1] if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    return [name for name in (ast.unparse(call).split(".")[-1] for call in calls) if name in SEEN]


def _parsed(source: str) -> ast.Module:
    """A cell's code, without its magics; empty where it is none."""
    try:
        return ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M))
    except SyntaxError:
        return ast.Module([], [])


def _defines_machinery(source: str) -> bool:
    return any(isinstance(n, ast.ClassDef) and n.end_lineno - n.lineno >= 10 for n in ast.walk(_parsed(source)))
