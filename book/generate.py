"""Write the pages that are made from data into book/generated/: ledger, papers' numbers, saved records, cards.

Git ignores the folder; nothing in it is typed by hand. The Sphinx extension of the book calls `write_all` before a build.

    python book/generate.py
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from codec_lib.experiments import papers
from codec_lib.experiments.ledger import VERDICTS, Claim, Interval, load_claims
from codec_lib.experiments.records import Results, all_values, results_dir
from codec_lib.paths import CHECKPOINTS
from codec_lib.show.numbers import Shown, measured

BOOK = Path(__file__).resolve().parent
GENERATED = BOOK / "generated"
THREE = ("diffvc", "gnvc_vd", "givic")
BADGE = {"open": "open", "reproduced": "yes", "trend reproduced": "trend", "not reproduced": "no", "not attempted": "none"}


def write_all(folder: Path = GENERATED) -> list[Path]:
    """Write all generated pages; a page whose text is the same is left alone. Returns the pages that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"ledger.md": ledger(), "paper_numbers.md": paper_numbers(), "records.md": records(), "cards.md": cards()}
    changed = []
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def ledger() -> str:
    """The ledger of claims, with counts of verdicts."""
    claims = load_claims()
    values = all_values()
    counts = Counter(c.verdict for c in claims)
    text = [
        "# The ledger of claims",
        f"Each paper makes claims. We wrote {len(claims)} of them down, decided what we would accept as a reproduction "
        "*before* measuring, and now measure. *Not reproduced* with an honest reason is a good entry; a tolerance that "
        "was widened after the run is not, and the tests would fail on it: every decision is sealed, and the seals are "
        "compared with every version of the ledger that was ever committed.",
        "Verdicts so far: " + ", ".join(f"**{counts[v]}** {v}" for v in VERDICTS) + ".",
        "The scale says where a claim is tested: *lab* with small models that this book trains, *paper* at the published "
        "sizes, for what needs no trained weights, *any* where scale makes no difference. Marks of certainty are "
        "explained with [the papers' numbers](paper_numbers.md).",
    ]
    for paper in THREE:
        mine = [c for c in claims if c.paper == paper]
        about = papers.papers()[paper]
        text.append(f"## {about.name}\n\n{{cite:t}}`{about.citation}`: {len(mine)} claims.")
        rows = [_claim_row(c, values) for c in mine]
        head = "| Claim | Paper says | Reproduced if | Trend if | Ours | Verdict |\n|:---|---:|---:|---:|---:|:---|"
        text.append(":::{table}\n:class: ledger\n\n" + "\n".join([head, *rows]) + "\n:::")
    revised = [(c, r) for c in claims for r in c.revisions]
    if revised:
        text.append("## Revisions before measuring")
        text.append("\n".join(f"* `{c.id}`, {r['on']}: {r['why']}" for c, r in revised))
    return "\n\n".join(text) + "\n"


def _claim_row(c: Claim, values: dict) -> str:
    unit = f" {c.unit}" if c.unit else ""
    said = f"{c.paper_value:g}".replace("-", "−") + unit if not isinstance(c.paper_value, str) else c.paper_value
    if c.cells and c.formula == "a":
        said = f'<span data-paper="{c.cells[0]}">{said.removesuffix(unit)}</span>{unit}'
    elif not isinstance(c.paper_value, str):
        said = f'<span data-given="combined from the paper\'s numbers">{said.removesuffix(unit)}</span>{unit}'
    ours = "–"
    if c.record in values:
        ours = measured(c.record, ".4g", values=values)._repr_html_() + unit
    about = f"measured as: {c.measure}; {c.location} [{c.mark}]; {c.scale} scale, chapter {c.chapter:02d}, `{c.experiment}`"
    reason = f"<br><small>{_cell(c.reason)}</small>" if c.reason else ""
    return (f"| <a id=\"{c.id}\"></a>{_cell(c.statement)}<br><small>{_cell(about)}</small> | {said} "
            f"| {_interval(c.reproduced)} | {_interval(c.trend)} | {ours} "
            f"| <span class=\"verdict {BADGE[c.verdict]}\">{c.verdict}</span>{reason} |")


def _interval(interval: Interval | None) -> str:
    return f'<span data-given="tolerance">{interval}</span>' if interval else "–"


def paper_numbers() -> str:
    """Every table of data/papers, with location, source, marks and notes."""
    text = [
        "# The papers' numbers",
        "Everything that the three papers print and that is known to us, as the book uses it. Each entry has a mark: "
        + "; ".join(f"**{mark}** {meaning}" for mark, meaning in papers.MARKS.items())
        + ". A dash means that nothing was printed, or that it is not known to us.",
    ]
    for key in (*THREE, "building_blocks"):
        paper = papers.papers()[key]
        cite = f" ({{cite:t}}`{paper.citation}`)" if paper.citation else ""
        text.append(f"## {paper.name}\n\n*{paper.title}*{cite}.")
        for table in paper.tables.values():
            text += [f"### {table.title}", _table(table)]
    return "\n\n".join(text) + "\n"


def _table(table: papers.PaperTable) -> str:
    units = {c.unit for c in table.cells.values()}
    shared = units.pop() if len(units) == 1 else None
    in_head = {column: _one_unit(table.cells[row, column] for row in table.rows) for column in table.columns} if shared is None else {}
    facts = [f"{table.location}; {table.source}", f"mark {table.mark}"]
    facts += [f"unit {shared}"] if shared else []
    facts += [f"anchor: {table.anchor}"] if table.anchor else []
    heads = [f"{_cell(t)} [{in_head[key]}]" if in_head.get(key) else _cell(t) for key, t in table.columns.items()]
    lines = ["| | " + " | ".join(heads) + " |", "|:---|" + "---:|" * len(table.columns)]
    for row, title in table.rows.items():
        cells = []
        for column in table.columns:
            c = table.cells[row, column]
            unit = f" {c.unit}" if shared is None and c.unit and c.value is not None and not in_head.get(column) else ""
            mark = f" <sup>{c.mark}</sup>" if c.mark != table.mark else ""
            cells.append(f'<span data-paper="{c.key}">{_cell(c.text)}</span>{unit}{mark}')
        lines.append(f"| {_cell(title)} | " + " | ".join(cells) + " |")
    notes = "\n".join(f"* {_cell(n)}" for n in table.notes)
    caption = _cell("; ".join(facts))
    return ":::{table}\n:class: paper-table\n\n" + "\n".join(lines) + f"\n:::\n\n<small>{caption}. Key: `{table.key}`.</small>" + (
        f"\n\n{notes}" if notes else "")


def _one_unit(cells: Iterable[papers.PaperCell]) -> str:
    """The unit of a column, for its head: the one that all its numbers have, if there are two of them or more."""
    units = [c.unit for c in cells if c.value is not None]
    return units[0] if len(units) > 1 and len(set(units)) == 1 else ""


def records() -> str:
    """Files of data/results with their provenance."""
    text = ["# Saved records",
            "What was measured, by which commit, on which machine. A number in this book that carries a record's id can be "
            "found in one of these files."]
    files = sorted(results_dir().glob("*.json"))
    if not files:
        text.append("Nothing is saved yet.")
        return "\n\n".join(text) + "\n"
    lines = ["| File | Numbers | Commit | Date | Machine |", "|:---|---:|:---|:---|:---|"]
    for path in files:
        results = Results.load(path)
        origin = results.provenance
        count = sum(1 for _ in results.flat())
        lines.append(f"| `data/results/{path.name}` | {count} | `{str(origin.get('commit', '–'))[:8]}` "
                     f"| <span style=\"white-space:nowrap\">{origin.get('date', '–')}</span> | {_cell(str(origin.get('hardware', '–')))} |")
    text.append(":::{table}\n:class: paper-table\n\n" + "\n".join(lines) + "\n:::")
    return "\n\n".join(text) + "\n"


def cards() -> str:
    """The model and data cards beside the checkpoints."""
    text = ["# Model and data cards",
            "One card for each checkpoint: what it is, how it was trained, on what, and what it is bad at."]
    found = sorted(CHECKPOINTS.glob("*.md"))
    if not found:
        text.append("There is no checkpoint yet.")
    for path in found:
        card = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.S).strip()
        if not card.startswith("#"):
            card = f"# {path.stem}\n\n{card}"
        text.append(re.sub(r"^(#+) ", r"#\1 ", card, flags=re.M))
    return "\n\n".join(text) + "\n"


def _cell(text: str | Shown) -> str:
    """Text that stands safely in a cell of a Markdown table."""
    text = re.sub(r"([|_*<\[\]$])", r"\\\1", str(text))
    return re.sub(r"\\_(?=[^`]*`)", "_", text) if "`" in text else text


if __name__ == "__main__":
    sys.path.insert(0, str(BOOK.parent))
    print("\n".join(f"written: {p.name}" for p in write_all()) or "all pages are as they were")
