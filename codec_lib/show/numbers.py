"""Numbers that know where they come from.

Whatever a page shows as a result is one of four kinds, and its HTML says which:

    <span data-record="anchors/x265:ld/carphone/q3/psnr" data-format=".2f">34.51</span>   a saved record
    <span data-paper="gnvc_vd.table3/gnvc-vd/uvg-lpips">−86.5</span>                      an entry of a paper's table
    <span data-live>31.4</span>                                                           computed when the page's code ran
    <span data-given="frame rate of the clip">30</span>                                   chosen or defined, not measured

`codec_lib.show.check` compares the first two with the data they name, and refuses a result that is none of the four.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

from codec_lib.errors import MissingData
from codec_lib.experiments import papers
from codec_lib.experiments.records import Value, all_values


@dataclass(frozen=True)
class Shown:
    """A number as it is shown.

    text: what the reader sees. kind: "record", "paper", "live" or "given". key: record id, key of the paper's entry, or
    what a given number is. spec, scale: how ``text`` was made from a record: format(value * scale, spec).
    value: the number itself, for choosing the best of a column; None for a gap.
    """

    text: str
    kind: str
    key: str = ""
    spec: str = ""
    scale: float = 1.0
    value: float | None = None

    @property
    def attributes(self) -> str:
        """The HTML attributes that say where the number comes from."""
        key = f'="{html.escape(self.key)}"' if self.key else ""
        spec = f' data-format="{html.escape(self.spec)}"' if self.kind == "record" else ""
        scale = f' data-scale="{self.scale:g}"' if self.kind == "record" and self.scale != 1 else ""
        return f"data-{self.kind}{key}{spec}{scale}"

    def _repr_html_(self) -> str:
        return f"<span {self.attributes}>{html.escape(self.text)}</span>"

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def measured(record: str | Value, spec: str = ".2f", *, scale: float = 1.0,
             values: Mapping[str, Value] | None = None) -> Shown:
    """The number of a saved record, e.g. ``measured("anchors/x265:ld/carphone/q3/psnr")``.

    scale: factor before formatting, for showing bytes as kB (0.001). values: where to look ids up, the saved results
    unless given. Raises MissingData when no record has that id.
    """
    if isinstance(record, str):
        known = all_values() if values is None else values
        if record not in known:
            raise MissingData(f"no saved record is called '{record}': run the experiment that makes it, or mend the id")
        record = known[record]
    return Shown(number(record.value * scale, spec), "record", record.id, spec, scale, record.value * scale)


def paper(key: str) -> Shown:
    """An entry of a paper's table as it was printed, e.g. ``paper("givic.table1/vtm/uvg-psnr")``."""
    cell = papers.cell(key)
    return Shown(cell.text, "paper", key, value=cell.value)


def live(value: float, spec: str = ".2f") -> Shown:
    """A number that the page's own code has just computed; nbval computes it again on every test run.

    Print few digits: the last ones of a decibel are not the same on every CPU.
    """
    return Shown(number(value, spec), "live", spec=spec, value=value)


def given(value: float | str, what: str, spec: str = "g") -> Shown:
    """A number that was chosen or defined and not measured; ``what`` says what it is."""
    text = value if isinstance(value, str) else number(value, spec)
    return Shown(text, "given", what, spec, value=None if isinstance(value, str) else value)


def said(part: Shown | str) -> str:
    """HTML of a part of a note: a number with its origin, or text."""
    return part._repr_html_() if isinstance(part, Shown) else html.escape(part)


def number(value: float, spec: str = ".2f") -> str:
    """``value`` formatted with a true minus sign, without a minus before zero; "–" for a value that is not finite."""
    if not math.isfinite(value):
        return "–"
    text = format(value, spec)
    if text.startswith("-") and not any(c in "123456789" for c in text):
        text = text[1:]
    return text.replace("-", "−")
