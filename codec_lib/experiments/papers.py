"""The papers' numbers as data: ``data/papers/*.yaml``, each with its location and how sure we are of it.

    >>> table("gnvc_vd.table3").cell("gnvc-vd", "uvg-lpips").value
    -86.5
    >>> cell("gnvc_vd.table3/gnvc-vd/uvg-lpips").location
    'GNVC-VD, Table 3, row GNVC-VD, column UVG LPIPS'

A file holds one paper: a few fields and ``tables``. A table has a ``title``, a ``location``, a ``source`` (who gives us
the number), a ``mark``, ``columns`` and ``rows``; optionally a ``unit``, ``better`` (lower or higher), an ``anchor`` for
BD-rates, and ``notes`` on inconsistencies. Columns and rows may override unit, mark and location. A cell is a number,
``null`` (not printed, or not known to us), a bound such as ``<40``, a value with its spread such as ``4.4±2.1``, or text.

Marks: P stated by a primary source (the paper, its supplement, official code); S by a secondary source that quotes it;
D derived here from those; H our reading; U unknown.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from codec_lib.errors import UsageError
from codec_lib.paths import PAPERS

MARKS = {
    "P": "stated by a primary source",
    "S": "stated by a secondary source",
    "D": "derived here from primary and secondary sources",
    "H": "our reading",
    "U": "unknown",
}
_NUMBER = r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_BOUND = re.compile(rf"([<>])({_NUMBER})")
_SPREAD = re.compile(rf"({_NUMBER})±({_NUMBER})")
_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class PaperCell:
    """One entry of a paper's table.

    value: the number, or None when nothing was printed or the entry is text. text: the entry as it is shown.
    bound: "<" or ">" when the paper gives a bound only. spread: half-width of ``a±b``.
    """

    key: str
    value: float | None
    text: str
    unit: str
    mark: str
    location: str
    bound: str = ""
    spread: float | None = None


@dataclass(frozen=True)
class PaperTable:
    """One table, figure or group of statements of a paper. ``cells`` is keyed by (row, column)."""

    key: str
    title: str
    location: str
    source: str
    mark: str
    unit: str
    better: str
    anchor: str
    rows: dict[str, str]
    columns: dict[str, str]
    cells: dict[tuple[str, str], PaperCell]
    notes: tuple[str, ...]

    def cell(self, row: str, column: str | None = None) -> PaperCell:
        """The entry at ``row`` and ``column``; the column may be left out where there is only one."""
        if column is None:
            if len(self.columns) != 1:
                raise UsageError(f"table '{self.key}' has columns {', '.join(self.columns)}: name one")
            column = next(iter(self.columns))
        _known(row, self.rows, f"row of '{self.key}'")
        _known(column, self.columns, f"column of '{self.key}'")
        return self.cells[row, column]

    def row(self, row: str) -> list[float | None]:
        """Values of a row in column order."""
        return [self.cell(row, column).value for column in self.columns]

    def column(self, column: str) -> list[float | None]:
        """Values of a column in row order."""
        return [self.cell(row, column).value for row in self.rows]


@dataclass(frozen=True)
class Paper:
    """One file of ``data/papers``. ``citation`` is its key in book/references.bib."""

    key: str
    name: str
    title: str
    citation: str
    arxiv: str
    tables: dict[str, PaperTable]


def papers() -> dict[str, Paper]:
    """All papers by key: building_blocks, diffvc, givic, gnvc_vd. Read once."""
    return _read_all()


def table(key: str) -> PaperTable:
    """Table ``<paper>.<table>``, e.g. ``givic.table1``. Raises UsageError for an unknown key, naming close ones."""
    tables = {t.key: t for paper in papers().values() for t in paper.tables.values()}
    return tables[_known(key, tables, "table of a paper")]


def cell(key: str) -> PaperCell:
    """Entry ``<paper>.<table>/<row>/<column>``. Raises UsageError for an unknown key."""
    parts = key.split("/")
    if len(parts) != 3:
        raise UsageError(f"'{key}' is no key of a paper's number: write <paper>.<table>/<row>/<column>")
    return table(parts[0]).cell(parts[1], parts[2])


def load_paper(path: Path) -> Paper:
    """Read and check one file; raises UsageError that names the table at fault."""
    raw = read_yaml(path)
    _fields(raw, {"paper", "name", "title", "citation", "arxiv", "tables"}, set(), path.name)
    tables = {name: _table(f"{raw['paper']}.{name}", spec) for name, spec in raw["tables"].items()}
    return Paper(raw["paper"], raw["name"], raw["title"], raw["citation"], raw["arxiv"], tables)


class Printed(float):
    """A number that keeps the digits it was written with: 0.8930 is shown as 0.8930."""

    text: str


def read_yaml(path: Path):
    """Parse YAML; unlike the plain loader, a key given twice in one mapping is an error and not the last one's win."""

    class Strict(yaml.SafeLoader):
        pass

    def number(loader, node):
        made = Printed(loader.construct_yaml_float(node))
        made.text = node.value
        return made

    def mapping(loader, node):
        loader.flatten_mapping(node)
        keys = [loader.construct_object(k, deep=True) for k, _ in node.value]
        twice = {k for k in keys if keys.count(k) > 1}
        if twice:
            raise UsageError(f"{path.name}, line {node.start_mark.line + 1}: {sorted(map(str, twice))} given twice")
        return dict(zip(keys, (loader.construct_object(v, deep=True) for _, v in node.value), strict=True))

    Strict.add_constructor("tag:yaml.org,2002:float", number)
    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Strict)


@cache
def _read_all() -> dict[str, Paper]:
    found = [load_paper(path) for path in sorted(PAPERS.glob("*.yaml")) if path.name != "claims.yaml"]
    return {paper.key: paper for paper in found}


def _table(key: str, spec: dict) -> PaperTable:
    required = {"title", "location", "source", "mark", "columns", "rows"}
    _fields(spec, required, {"unit", "better", "anchor", "notes"}, key)
    columns = {name: s if isinstance(s, dict) else {"title": s} for name, s in spec["columns"].items()}
    for name, s in columns.items():
        _fields(s, {"title"}, {"unit", "mark"}, f"{key}, column {name}")
    cells = {}
    for row, r in spec["rows"].items():
        where = f"{key}, row {row}"
        _fields(r, {"title", "values"}, {"unit", "mark", "location"}, where)
        if len(r["values"]) != len(columns):
            raise UsageError(f"{where}: {len(r['values'])} values for {len(columns)} columns")
        for (column, c), raw in zip(columns.items(), r["values"], strict=True):
            location = f"{r.get('location', spec['location'])}, row {r['title']}, column {c['title']}"
            unit = r.get("unit", c.get("unit", spec.get("unit", "")))
            mark = r.get("mark", c.get("mark", spec["mark"]))
            cells[row, column] = _cell(f"{key}/{row}/{column}", raw, unit, mark, location)
    for name in (key.split(".", 1)[1], *spec["rows"], *columns):
        if not isinstance(name, str) or not _KEY.fullmatch(name):
            raise UsageError(f"{key}: '{name}' is no key; use lower case letters, digits, '.', '-' and '_'")
    if spec["mark"] not in MARKS or any(c.mark not in MARKS for c in cells.values()):
        raise UsageError(f"{key}: a mark must be one of {', '.join(MARKS)}")
    if spec.get("better", "") not in ("", "lower", "higher"):
        raise UsageError(f"{key}: 'better' is lower or higher")
    return PaperTable(
        key=key,
        title=spec["title"],
        location=spec["location"],
        source=spec["source"],
        mark=spec["mark"],
        unit=spec.get("unit", ""),
        better=spec.get("better", ""),
        anchor=spec.get("anchor", ""),
        rows={name: r["title"] for name, r in spec["rows"].items()},
        columns={name: c["title"] for name, c in columns.items()},
        cells=cells,
        notes=tuple(spec.get("notes", ())),
    )


def _cell(key: str, raw, unit: str, mark: str, location: str) -> PaperCell:
    if raw is None:
        return PaperCell(key, None, "–", unit, mark, location)
    if isinstance(raw, bool):
        raise UsageError(f"{key}: YAML reads this entry as {raw}; put it in quotes")
    if isinstance(raw, int | float):
        text = getattr(raw, "text", str(raw))
        return PaperCell(key, float(raw), text.replace("-", "−", 1) if raw < 0 else text, unit, mark, location)
    if match := _BOUND.fullmatch(raw):
        return PaperCell(key, float(match[2]), raw, unit, mark, location, bound=match[1])
    if match := _SPREAD.fullmatch(raw):
        return PaperCell(key, float(match[1]), raw, unit, mark, location, spread=float(match[2]))
    return PaperCell(key, None, raw, unit, mark, location)


def _fields(spec: dict, required: set[str], optional: set[str], where: str) -> None:
    given = set(spec)
    if missing := required - given:
        raise UsageError(f"{where}: {', '.join(sorted(missing))} missing")
    if unknown := given - required - optional:
        raise UsageError(f"{where}: unknown field {', '.join(sorted(unknown))}")
    for name in required & {"title", "location", "source"}:
        if not str(spec[name]).strip():
            raise UsageError(f"{where}: {name} is empty")


def _known(key: str, known, what: str) -> str:
    if key not in known:
        close = difflib.get_close_matches(key, list(known), n=3) or list(known)[:8]
        raise UsageError(f"no {what} is called '{key}'; there is {', '.join(close)}")
    return key
