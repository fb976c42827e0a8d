"""Make a notebook of a chapter's draft: python book/drafts/build.py DRAFT.txt chapters/NN_name.ipynb.

A draft is text; a line '=== md' or '=== code', with tags after it as in '=== code solution,hide-cell', begins a cell. Lines that
begin with TODO-RESULT say what has to be decided once the records are there, and may not be left in a chapter.
"""

import sys
from pathlib import Path

import nbformat.v4 as nb
from nbformat import validate, write


def cells(text: str) -> list:
    """The cells of a draft, in order."""
    made = []
    for part in ("\n" + text).split("\n=== ")[1:]:
        head, _, source = part.partition("\n")
        kind, _, tags = head.strip().partition(" ")
        cell = (nb.new_markdown_cell if kind == "md" else nb.new_code_cell)(source.strip("\n"), id=f"cell-{len(made):03d}")
        if tags:
            cell["metadata"]["tags"] = tags.split(",")
        made.append(cell)
    return made


if __name__ == "__main__":
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    notebook = nb.new_notebook(cells=cells(Path(sys.argv[1]).read_text()), metadata=metadata)
    validate(notebook)
    write(notebook, sys.argv[2])
