"""What the pages tell a reader to type can be typed: in the environment of the lock the commands exist, and the assignment is made."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from codec_lib.paths import CHAPTERS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
BIN = Path(sys.executable).parent


def typed(page: Path) -> list[str]:
    """Commands of a page's bash blocks, continued lines joined, comments left out."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


JUPYTER = sorted({f"jupyter-{words[1]}" if words[0] == "jupyter" else words[0] for page in PAGES for line in typed(page)
                  if (words := shlex.split(line)) and words[0].startswith("jupyter")})


def test_pages_say_how_to_open_a_notebook():
    assert "jupyter-lab" in JUPYTER


@pytest.mark.parametrize("command", JUPYTER)
def test_jupyter_commands_of_the_pages_are_installed(command):
    assert (BIN / command).exists(), f"a page says '{command}', which the lock does not install"


def test_a_chapter_is_handed_out_without_its_solutions(tmp_path):
    lines = [line for line in typed(ROOT / "book/how_to_teach.md") if "nbconvert" in line]
    assert len(lines) == 1
    words = shlex.split(lines[0])[1:]
    chapter = ROOT / next(w for w in words if w.endswith(".ipynb") and "/" in w)
    assert chapter.parent == CHAPTERS
    words = [str(chapter) if w.endswith(chapter.name) else w for w in words]
    done = subprocess.run([sys.executable, "-m", *words, "--output-dir", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    before, after = (json.loads(p.read_text(encoding="utf-8"))["cells"] for p in (chapter, tmp_path / "assignment.ipynb"))
    solutions = [c for c in before if "solution" in c["metadata"].get("tags", [])]
    assert len(solutions) >= 5 and len(after) == len(before) - len(solutions)
    assert not any("solution" in c["metadata"].get("tags", []) for c in after)
