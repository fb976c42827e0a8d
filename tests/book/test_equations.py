"""Every numbered equation of the chapters on method is executed by a cell.

`equations/<chapter>.yaml` lists them: the equation's label, and the words of a code cell that run it. nbval runs the cells.
"""

import json
import re
from collections import Counter

import pytest
import yaml

from codec_lib.paths import CHAPTERS, ROOT

LISTS = {path.stem: path for path in sorted((ROOT / "tests" / "book" / "equations").glob("*.yaml"))}
LISTED_CHAPTERS = ("02", "03", "04")
"""Chapters that need a list as soon as they are there."""


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in found if c["cell_type"] == kind]


def labels(path):
    """Labels of a chapter's numbered equations, in order."""
    return [label for text in cells(path, "markdown") for label in re.findall(r"^\$\$ \((eq-[\w-]+)\)$", text, re.M)]


@pytest.mark.parametrize("chapter", LISTS)
def test_every_numbered_equation_is_run_by_a_cell(chapter):
    listed = yaml.safe_load(LISTS[chapter].read_text(encoding="utf-8"))
    path = CHAPTERS / f"{chapter}.ipynb"
    assert list(listed) == labels(path)
    code = cells(path, "code")
    for label, words in listed.items():
        assert any(words in text for text in code), f"{label}: no cell runs '{words}'"


def test_chapters_on_method_have_a_list():
    there = [p.stem for p in CHAPTERS.glob("*.ipynb") if p.stem.startswith(LISTED_CHAPTERS)]
    assert set(there) <= set(LISTS), "write tests/book/equations/<chapter>.yaml"


def test_references_and_labels_agree_over_the_whole_book():
    paths = sorted(CHAPTERS.glob("*.ipynb"))
    known = Counter(label for path in paths for label in labels(path))
    assert [label for label, times in known.items() if times > 1] == []
    for path in paths:
        wanted = {r for text in cells(path, "markdown") for r in re.findall(r"\{eq\}`([\w-]+)`", text)}
        assert wanted <= set(known), path.stem
