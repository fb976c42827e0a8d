"""A chapter shows the verdicts that the ledger gives now, not those of the day it was executed."""

import json
import re

import pytest

from codec_lib.experiments.ledger import load_claims
from codec_lib.paths import CHAPTERS

NOTEBOOKS = sorted(CHAPTERS.glob("*.ipynb"))
VERDICT = {claim.id: claim.verdict for claim in load_claims()}


def stale(html, verdict):
    """Rows of the tables in `html` that are a claim's and do not end with its verdict; and how many were a claim's."""
    wrong, seen = [], 0
    for row in re.findall(r"<tr>.*?</tr>", html, re.S):
        cells = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.S)]
        if cells[0] in verdict:
            seen += 1
            if cells[-1] != verdict[cells[0]]:
                wrong.append(f"{cells[0]}: shown as {cells[-1]!r}, the ledger says {verdict[cells[0]]!r}")
    return wrong, seen


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_verdicts_shown_are_the_ledgers(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = [(cell, "".join(output["data"].get("text/html", ""))) for cell in cells
             for output in cell.get("outputs", []) if "data" in output]
    asked = [html for cell, html in shown if "load_claims" in "".join(cell["source"])]
    found = [stale(html, VERDICT) for _, html in shown]
    assert sum((wrong for wrong, _ in found), []) == [], "run the chapter again: book/execute.py"
    assert not asked or sum(seen for _, seen in found), "the chapter reads the ledger and no row of a claim was found"


def test_a_stale_row_is_found():
    row = '<tr><th scope="row">a.b</th><td class="number">4</td>\n<td class="number">{}</td></tr>'
    assert stale(row.format("open"), {"a.b": "open"}) == ([], 1)
    wrong, seen = stale(row.format("open") + row.format("reproduced"), {"a.b": "reproduced"})
    assert seen == 2 and len(wrong) == 1 and "'open'" in wrong[0]
    assert stale("<tr><th>other</th><td>open</td></tr>", {"a.b": "open"}) == ([], 0)
