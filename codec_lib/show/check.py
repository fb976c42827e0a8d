"""The check that fails when a page shows a result that no record holds.

The rule for authors is in book/authoring.md. In short: a result in a page carries ``data-record``, ``data-paper``,
``data-live`` or ``data-given`` (see `codec_lib.show.numbers`, whose helpers write them); outputs of a cell tagged ``live``
are computed when it runs, which nbval repeats on every test run. Everything else that looks measured is an error:

* a number with a unit of measurement (34.5 dB, 0.01 bpp, 47 %, 12 fps, 3 minutes), or one that follows a metric's name
  (an LPIPS of 0.123), in Markdown, in an output, or in a string of the code;
* a numeric table cell without a mark; a picture without caption and alternative text;
* a mark that does not hold: another number than the record or the paper's table has, an id that does not exist.

    python -m codec_lib.show.check chapters/*.ipynb book/*.md
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from codec_lib.errors import UsageError
from codec_lib.experiments import papers
from codec_lib.experiments.records import Value, all_values
from codec_lib.show.marks import METRICS, UNITS, Mark, Parsed, parse_html, parse_markdown, visible_text
from codec_lib.show.numbers import number

NUMBER = r"[-+−]?\d[\d,]*(?:\.\d+)?"
DECIMAL = r"[-+−]?\d[\d,]*\.\d+"
MEASURED = re.compile(
    rf"(?<![\w.]){NUMBER}(?:[\s\u00a0\u202f~]*\\?(?:{UNITS})(?!\w)|[\s\u00a0\u202f~]+[sh](?!\w))"
    rf"|(?<!\w)(?:{METRICS})(?!\w)[^\d\n|\ufffc]{{0,25}}?(?<![\w.]){DECIMAL}(?![\w.])")
_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")


def check_notebook(path: Path, values: Mapping[str, Value] | None = None) -> list[str]:
    """What is wrong with the numbers that a notebook shows, one line each. ``values``: records by id, the saved ones."""
    values = all_values() if values is None else values
    found = []
    for at, cell in enumerate(json.loads(Path(path).read_text(encoding="utf-8"))["cells"]):
        where = f"{Path(path).name}, cell {at}"
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            found += [f"{where}: {p}" for p in check_markdown(source, values)]
        elif cell["cell_type"] == "code":
            tags = cell["metadata"].get("tags", [])
            found += [f"{where}: {p}" for p in check_code(source)]
            for output in cell["outputs"]:
                found += [f"{where}, output: {p}" for p in _check_output(output, tags, values)]
    return found


def check_page(path: Path, values: Mapping[str, Value] | None = None) -> list[str]:
    """The same for a Markdown page."""
    text = re.sub(r"\A---\n.*?\n---\n", "", Path(path).read_text(encoding="utf-8"), flags=re.S)
    return [f"{Path(path).name}: {p}" for p in check_markdown(text, all_values() if values is None else values)]


def check_markdown(text: str, values: Mapping[str, Value]) -> list[str]:
    """Problems of a Markdown text."""
    parsed = parse_markdown(text)
    found = _check_parsed(parsed, values)
    if any(mark.kind == "live" for mark in parsed.marks):
        found.append("data-live in Markdown, where nothing is computed")
    return found


def check_code(source: str) -> list[str]:
    """Results typed by hand into strings of the code; a line that ends in ``# given: <what it is>`` is excused."""
    try:
        tree = ast.parse(re.sub(r"^\s*[%!].*$", "", source, flags=re.M))
    except SyntaxError:
        return []  # nbval runs the cell and says so
    lines = source.splitlines()
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            looks = parse_markdown(node.value) if "<" in node.value else Parsed(plain=node.value)
            typed = MEASURED.search(looks.plain)
            if typed and not any("# given:" in line for line in lines[node.lineno - 1 : node.end_lineno]):
                found.append(f"'{typed[0]}' is typed into the code: take it from a record, or say '# given: <what it is>'")
    return found


def check_mark(mark: Mark, values: Mapping[str, Value]) -> str | None:
    """What is wrong with one mark, None when it holds."""
    text = mark.text.strip()
    if mark.kind == "record":
        if mark.key not in values:
            return f"'{text}' is said to be record '{mark.key}', which does not exist"
        if not mark.spec:
            return f"record '{mark.key}' is shown without data-format"
        held = number(values[mark.key].value * float(mark.scale), mark.spec)
        return None if text == held else f"'{text}' is shown, but record '{mark.key}' holds {held}"
    if mark.kind == "paper":
        try:
            cell = papers.cell(mark.key)
        except UsageError as error:
            return str(error)
        return None if _says(text, cell) else f"'{text}' is shown, but {mark.key} ({cell.location}) says {cell.text}"
    if mark.kind == "given" and not mark.key.strip():
        return f"'{text}' is given without saying what it is: data-given=\"...\""
    return None


def _check_output(output: dict, tags: list[str], values: Mapping[str, Value]) -> list[str]:
    live = "live" in tags
    if output["output_type"] == "error":
        return [] if "raises-exception" in tags else [f"the cell failed with {output['ename']}"]
    if output["output_type"] == "stream":
        return [] if live else _typed(_joined(output["text"]), "tag the cell 'live' if its code computes this")
    data = {kind: _joined(content) if isinstance(content, str | list) else "" for kind, content in output["data"].items()}
    if "text/html" in data:
        found = _check_parsed(parse_html(data["text/html"]), values, live=live)
        extra = _numbers(data.get("text/plain", "")) - _numbers(visible_text(data["text/html"]))
        return found + [f"the plain text says {n}, which the HTML does not" for n in extra]
    if any(kind in data for kind in _PICTURES):
        return ["a picture without caption and alternative text: use codec_lib.show.plots or codec_lib.show.images"]
    if live or any("widget" in kind for kind in data):
        return []
    found = []
    for kind in ("text/markdown", "text/latex"):
        found += check_markdown(data[kind], values) if kind in data else []
    return found + _typed(data.get("text/plain", ""), "tag the cell 'live' if its code computes this")


def _check_parsed(parsed: Parsed, values: Mapping[str, Value], *, live: bool = False) -> list[str]:
    found = [problem for mark in parsed.marks if (problem := check_mark(mark, values))]
    known = {value.experiment for value in values.values()}
    found += [f"a figure is said to show experiment '{s}', of which nothing is saved" for s in parsed.sources if s not in known]
    if not live:
        found += [f"'{text}' in a table has no origin" for text in parsed.bare]
        found += _typed(parsed.plain, "mark it with data-record, data-paper or data-given")
    return found


def _typed(text: str, advice: str) -> list[str]:
    return [f"'{' '.join(match[0].split())}' looks measured and has no origin: {advice}" for match in MEASURED.finditer(text)]


def _says(text: str, cell: papers.PaperCell) -> bool:
    """Whether ``text`` gives the paper's number, rounded to the digits that it shows; the sign may be left to the words."""
    match = re.search(NUMBER, text)
    if cell.value is None or not match:
        return text == cell.text
    shown = match[0].replace(",", "").replace("−", "-")
    digits = len(shown.partition(".")[2])
    stated = cell.value if shown[0] in "+-" else abs(cell.value)
    return abs(float(shown) - stated) <= 0.5 * 10.0**-digits + 1e-12


def _numbers(text: str) -> Counter:
    return Counter(re.findall(r"\d[\d,]*(?:\.\d+)?", text))


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def main(arguments: list[str]) -> int:
    """Check the files named; print what is wrong; 1 if anything is."""
    values = all_values()
    found = []
    for path in map(Path, arguments):
        found += check_notebook(path, values) if path.suffix == ".ipynb" else check_page(path, values)
    print("\n".join(found) or f"{len(arguments)} pages: every result has its origin")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
