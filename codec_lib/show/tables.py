"""Tables whose every number says where it comes from: HTML for pages, plain text for terminals and for nbval.

    rate_table(results, clip="carphone")                         one row per rate point of a clip
    value_table(results, metrics=["bd_rate_lpips"])              one row per codec, from single values
    beside_paper("gnvc_vd.table3", {("gnvc-vd", "uvg-lpips"): "gnvc_rd/gnvc_vd@lab/-/-/bd_rate_lpips"})
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from codec_lib.errors import MissingData
from codec_lib.experiments import papers
from codec_lib.experiments.records import Results, Value, all_values, metric_unit
from codec_lib.show.numbers import Shown, measured
from codec_lib.show.numbers import paper as paper_number

# Digits by unit or metric: as many as mean something.
DIGITS = {"bpp": ".3f", "bytes": ",.0f", "dB": ".2f", "%": ".1f", "fps": ".1f", "s": ".2f", "ms": ".1f", "M": ".2f",
          "kMAC/px": ".1f", "ms-ssim": ".4f", "lpips": ".3f", "dists": ".3f", "clip-f": ".3f", "vmaf": ".1f"}


@dataclass(frozen=True)
class Column:
    """title, unit ("" for none), better: "lower", "higher" or "" where no value is best.

    group: a head over this column and its neighbours with the same one; it then carries the unit.
    """

    title: str
    unit: str = ""
    better: str = ""
    group: str = ""

    @property
    def head(self) -> str:
        return self.title if self.group or not self.unit else f"{self.title} [{self.unit}]"

    @property
    def over(self) -> str:
        return f"{self.group} [{self.unit}]" if self.group and self.unit else self.group


Cell = Shown | str | None


@dataclass
class Table:
    """Rows of labels and numbers. ``rows``: (labels, cells), with as many labels as ``labels`` and cells as ``columns``."""

    labels: Sequence[str]
    columns: Sequence[Column]
    rows: Sequence[tuple[Sequence[str], Sequence[Cell]]]
    caption: str = ""
    notes: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self):
        for labels, cells in self.rows:
            if len(labels) != len(self.labels) or len(cells) != len(self.columns):
                raise ValueError(f"row {labels}: {len(labels)} labels and {len(cells)} cells for "
                                 f"{len(self.labels)} and {len(self.columns)}")

    def column(self, title: str) -> list[float | None]:
        """Values of a column, top to bottom; None where a cell is empty or text."""
        at = [c.title for c in self.columns].index(title)
        return [cells[at].value if isinstance(cells[at], Shown) else None for _, cells in self.rows]

    def _best(self) -> set[tuple[int, int]]:
        """(row, column) of the best measured value of each column, if it has at least two."""
        best = set()
        for at, column in enumerate(self.columns):
            found = [(cells[at].value, row) for row, (_, cells) in enumerate(self.rows)
                     if isinstance(cells[at], Shown) and cells[at].value is not None]
            if column.better and len(found) > 1:
                edge = (min if column.better == "lower" else max)(value for value, _ in found)
                best |= {(row, at) for value, row in found if value == edge}
        return best

    def _repr_html_(self) -> str:
        best = self._best()
        over = [(text, len(list(run))) for text, run in groupby(c.over for c in self.columns)]
        head = ""
        if any(text for text, _ in over):
            spans = "".join(f'<th scope="colgroup" colspan="{n}" class="group">{html.escape(t)}</th>' for t, n in over)
            head = f'<tr>{"<th></th>" * len(self.labels)}{spans}</tr>'
        labels = "".join(f'<th scope="col">{html.escape(t)}</th>' for t in self.labels)
        titles = "".join(f'<th scope="col" class="number">{html.escape(c.head)}</th>' for c in self.columns)
        head += f"<tr>{labels}{titles}</tr>"
        body = []
        for i, (labels, cells) in enumerate(self.rows):
            row = "".join(f'<th scope="row">{html.escape(str(t))}</th>' for t in labels)
            row += "".join(_td(cell, (i, j) in best) for j, cell in enumerate(cells))
            body.append(f"<tr>{row}</tr>")
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        notes = "".join(f'<p class="table-note">{html.escape(n)}</p>' for n in self.notes)
        lines = "\n".join(body)
        return (f'<div class="results-box"><table class="results">{caption}\n<thead>{head}</thead>\n'
                f"<tbody>\n{lines}\n</tbody></table>{notes}</div>")

    def __repr__(self) -> str:
        lines = [[*self.labels, *(f"{c.over} {c.head}".strip() for c in self.columns)]]
        lines += [[*map(str, labels), *(_text(c) for c in cells)] for labels, cells in self.rows]
        widths = [max(_width(line[i]) for line in lines) for i in range(len(lines[0]))]
        text = ["  ".join(_pad(t, w, right=i >= len(self.labels)) for i, (t, w) in enumerate(zip(line, widths, strict=True)))
                for line in lines]
        text.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join(line.rstrip() for line in [*([self.caption] if self.caption else []), *text, *self.notes])


def rate_table(results: Results, *, clip: str, codecs: Sequence[str] | None = None,
               metrics: Sequence[str] | None = None, caption: str = "") -> Table:
    """One row per codec and quality of one clip: bpp and metrics, each cell tied to its record.

    codecs: labels such as "x265:ld" or "intra@lab", in this order; all by default. metrics: all found by default.
    Raises MissingData when the results hold nothing for the clip.
    """
    chosen = [r for r in results.records if r.clip == clip and (codecs is None or r.label in codecs)]
    if not chosen:
        raise MissingData(f"results of '{results.experiment}' hold no rate point of '{clip}'"
                          + (f" for {', '.join(codecs)}" if codecs else ""))
    order = list(codecs or dict.fromkeys(r.label for r in chosen))
    chosen.sort(key=lambda r: (order.index(r.label), r.bpp))
    names = list(metrics or dict.fromkeys(name for r in chosen for name in r.metrics))
    columns = [Column("bpp"), *(Column(title(n), metric_unit(n)) for n in names)]
    values = {v.id: v for v in results.flat()}
    rows = []
    for r in chosen:
        start = f"{results.experiment}/{r.label}/{r.clip}/q{r.quality}"
        cells = [_measured(values, f"{start}/{name}", name) for name in ("bpp", *names)]
        rows.append(((r.label, str(r.quality)), cells))
    return Table(("codec", "quality"), columns, rows, caption or f"Rate points of {clip}")


def value_table(results: Results, *, metrics: Sequence[str], by: str = "codec", titles: Mapping[str, str] | None = None,
                better: Mapping[str, str] | None = None, caption: str = "") -> Table:
    """One row per codec (``by="codec"``) or clip (``by="clip"``) from the single values of ``results``.

    titles: column heads by metric. better: "lower" or "higher" by metric, which marks the best of the column.
    Raises MissingData when no value has one of the metrics.
    """
    chosen = [v for v in results.values if v.metric in metrics]
    if not chosen:
        raise MissingData(f"results of '{results.experiment}' hold none of {', '.join(metrics)}")
    units = {v.metric: v.unit for v in chosen}
    columns = [Column((titles or {}).get(m, m), units.get(m, ""), (better or {}).get(m, "")) for m in metrics]
    rows = []
    for name in dict.fromkeys(getattr(v, by) for v in chosen):
        mine = {v.metric: v for v in chosen if getattr(v, by) == name}
        rows.append(((name or "all",), [_measured({}, mine.get(m), m) for m in metrics]))
    return Table((by,), columns, rows, caption)


def beside_paper(key: str, ours: Mapping[tuple[str, str], str], *, rows: Sequence[str] | None = None,
                 columns: Sequence[str] | None = None, spec: str | None = None, caption: str = "",
                 values: Mapping[str, Value] | None = None) -> Table:
    """A paper's table with our measured value beside each of the paper's.

    ours: (row, column) of the paper's table -> id of our record. Entries without one show a gap. rows, columns: a
    selection, all by default. The caption names the table's place in the paper, the notes its inconsistencies.
    """
    table = papers.table(key)
    rows, columns = list(rows or table.rows), list(columns or table.columns)
    known = all_values() if values is None else values
    heads = []
    for c in columns:
        unit = next((u for r in rows if (u := table.cell(r, c).unit)), "")
        heads += [Column(title, unit, group=table.columns[c]) for title in ("paper", "ours")]
    body = []
    for r in rows:
        cells: list[Cell] = []
        for c in columns:
            there = table.cells[r, c]
            record = ours.get((r, c))
            digits = spec or f".{len(there.text.partition('.')[2].rstrip('%')) if there.value is not None else 2}f"
            cells += [paper_number(there.key), measured(record, digits, values=known) if record else None]
        body.append(((table.rows[r],), cells))
    where = f"{table.location}" + (f"; BD-rates against {table.anchor}" if table.anchor else "")
    return Table(("",), heads, body, caption or f"{table.title} ({where})", table.notes)


def title(metric: str) -> str:
    """A metric as tables and axes name it: "psnr-yuv" -> "PSNR-YUV", "e-warp" -> "E_warp"."""
    return {"e-warp": "E_warp", "bpp": "bpp"}.get(metric, metric.upper())


def _measured(values: Mapping[str, Value], record: str | Value | None, metric: str) -> Shown | None:
    if isinstance(record, str):
        record = values.get(record)
    if record is None:
        return None
    spec = DIGITS.get(metric) or DIGITS.get(record.unit) or ".3g"
    return measured(record, spec)


def _td(cell: Cell, best: bool) -> str:
    if not isinstance(cell, Shown):
        return f'<td class="number">{html.escape(_text(cell))}</td>'
    return f'<td class="number{" best" if best else ""}" {cell.attributes}>{html.escape(cell.text)}</td>'


def _text(cell: Cell) -> str:
    return "–" if cell is None else str(cell)


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
