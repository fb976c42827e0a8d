"""The shell of the book: locked scripts, generated pages, chapters that keep the rules of the house."""

import base64
import hashlib
import io
import json
import re
import sys
import tarfile

import pytest
import yaml

from codec_lib.experiments.ledger import load_claims
from codec_lib.experiments.papers import papers
from codec_lib.paths import CHAPTERS, ROOT
from codec_lib.show.marks import parse_markdown
from codec_lib.show.page import structure_problems

sys.path.insert(0, str(ROOT / "book"))
import assets  # noqa: E402
import generate  # noqa: E402

WRITTEN = [p for p in sorted(CHAPTERS.glob("*.ipynb")) if "This chapter is being written." not in p.read_text(encoding="utf-8")]


@pytest.mark.skipif(not WRITTEN, reason="no chapter is written yet")
@pytest.mark.parametrize("path", WRITTEN, ids=lambda p: p.stem)
def test_chapter_keeps_the_rules(path):
    assert structure_problems(path) == []


def test_the_rules_notice_what_is_missing(tmp_path):
    path = tmp_path / "c.ipynb"
    cells = [{"cell_type": "markdown", "source": "# Title\n## What you will learn\n- one\n- two", "metadata": {}},
             {"cell_type": "code", "source": "\n".join(["x = 1"] * 31), "metadata": {"tags": ["solution"]}, "outputs": []},
             {"cell_type": "code", "source": "class A:\n" + "    x = 1\n" * 12, "metadata": {}, "outputs": []},
             {"cell_type": "code", "source": "%time\nshow.lines({})\nassert True", "metadata": {}, "outputs": []},
             {"cell_type": "code", "source": "assert True\nTable([])", "metadata": {}, "outputs": []},
             {"cell_type": "code", "source": "old()", "metadata": {}, "outputs": [{"output_type": "stream", "name": "stderr", "text": "old"}]}]
    path.write_text(json.dumps({"cells": cells}))
    found = " ".join(structure_problems(path))
    for word in ("3 to 5", "Further reading", "strip", "five list items", "at least 5", "31 lines", "not folded", "machinery",
                 "cell 3 makes something with lines(...) that nobody sees", "cell 5 shows a warning"):
        assert word in found, word
    assert "cell 4" not in found


def test_pages_of_the_table_of_contents_exist_or_are_generated():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    for entry in [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]:
        name = entry.removeprefix("book/generated/")
        assert name != entry or any((ROOT / f"{entry}{s}").exists() for s in (".md", ".ipynb")), entry
        assert name == entry or f"{name}.md" in {"ledger.md", "paper_numbers.md", "records.md", "cards.md"}


def test_generated_pages_hold_everything(tmp_path):
    changed = generate.write_all(tmp_path)
    assert {p.name for p in changed} == {"ledger.md", "paper_numbers.md", "records.md", "cards.md"}
    assert generate.write_all(tmp_path) == []  # the same text is not written again
    ledger = (tmp_path / "ledger.md").read_text()
    for claim in load_claims():
        assert f'<a id="{claim.id}"></a>' in ledger
    numbers = (tmp_path / "paper_numbers.md").read_text()
    for paper in papers().values():
        for table in paper.tables.values():
            assert f"Key: `{table.key}`" in numbers
            assert all(f'data-paper="{c.key}"' in numbers for c in table.cells.values())


def test_generated_tables_have_equal_rows(tmp_path):
    generate.write_all(tmp_path)
    for page in tmp_path.glob("*.md"):
        for block in re.findall(r"(?:^\|.*\n)+", page.read_text(), re.M):
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(widths) == 1, (page.name, block[:200])


def test_ledger_page_shows_the_papers_own_numbers(tmp_path):
    from codec_lib.experiments.records import all_values
    from codec_lib.show.check import check_mark

    generate.write_all(tmp_path)
    marks = parse_markdown((tmp_path / "ledger.md").read_text()).marks
    assert sum(m.kind == "paper" for m in marks) > 30
    values = all_values()
    assert [p for m in marks if (p := check_mark(m, values))] == []


def test_cards_are_taken_up_with_lower_headings(tmp_path, monkeypatch):
    (tmp_path / "intra.md").write_text("---\nx: 1\n---\n# Intra\n\n## Recipe\n\nText.\n")
    monkeypatch.setattr(generate, "CHECKPOINTS", tmp_path)
    text = generate.cards()
    assert "\n## Intra\n" in text and "\n### Recipe\n" in text and "x: 1" not in text
    monkeypatch.setattr(generate, "CHECKPOINTS", tmp_path / "none")
    assert "no checkpoint yet" in generate.cards()


def test_citations_and_bibliography_agree():
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(encoding="utf-8"), re.M))
    assert len(keys) > 40
    texts = [p.read_text(encoding="utf-8") for p in [*(ROOT / "book").rglob("*.md"), *CHAPTERS.glob("*.ipynb")]
             if "vendor" not in p.parts]
    cited = {k.strip() for t in texts for group in re.findall(r"\{cite[:a-z]*\}`([^`]+)`", t) for k in group.split(",")}
    cited |= {p.citation for p in papers().values() if p.citation}
    assert cited <= keys


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_locked_scripts_are_pinned():
    for entry in json.loads(assets.LOCK.read_text()).values():
        assert re.fullmatch(r"(@[\w-]+/)?[\w-]+@\d+\.\d+\.\d+", entry["package"])
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"])
    assert assets.VENDOR.name != "_static"


def test_a_package_other_than_the_locked_one_is_refused(tmp_path):
    path = tmp_path / "a.tgz"
    integrity = archive(path, {"require.js": b"1"})
    assets.check(path, integrity, "a@1.0.0")
    archive(path, {"require.js": b"2"})
    with pytest.raises(ValueError, match="another file"):
        assets.check(path, integrity, "a@1.0.0")


def test_unpacking_takes_files_and_folders(tmp_path):
    archive(tmp_path / "a.tgz", {"x/one.js": b"1", "x/deep/two.js": b"2", "LICENSE": b"3", "other": b"4"})
    assets.unpack(tmp_path / "a.tgz", {"x/": "lib/", "LICENSE": "lib/LICENSE"}, tmp_path / "out")
    found = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == {"lib/one.js", "lib/deep/two.js", "lib/LICENSE"}
    with pytest.raises(ValueError, match="holds no y/"):
        assets.unpack(tmp_path / "a.tgz", {"y/": "y/"}, tmp_path / "out")


def test_fetching_uses_the_client_once_and_leaves_nothing_half_made(tmp_path):
    source = tmp_path / "source.tgz"
    integrity = archive(source, {"require.js": b"1"})
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"r": {"package": "r@1.0.0", "integrity": integrity, "take": {"require.js": "r/r.js"}}}))
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncp {source} "$5/r-1.0.0.tgz"\n')
    npm.chmod(0o755)
    vendor = tmp_path / "vendor"
    for _ in range(2):
        assert assets.ensure(vendor, lock, str(npm)) == vendor and (vendor / "r/r.js").read_text() == "1"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 1 and calls[0].startswith("pack r@1.0.0 --silent --pack-destination ")
    lock.write_text(lock.read_text().replace(integrity[10:20], "AAAAAAAAAA"))
    with pytest.raises(ValueError, match="another file"):
        assets.ensure(vendor, lock, str(npm))
    assert (vendor / "r/r.js").exists() and not list(tmp_path.glob(".vendor-*"))


def test_without_npm_the_reason_is_given(tmp_path, monkeypatch, capsys):
    with pytest.raises(assets.Unavailable, match="could not fetch"):
        assets.ensure(tmp_path / "v", npm=str(tmp_path / "no-npm"))
    monkeypatch.setattr(assets.shutil, "which", lambda name: None)
    monkeypatch.setattr(assets, "ensure", lambda f=assets.ensure: f(tmp_path / "v"))
    assert assets.main() == 0
    assert "npm is not installed" in capsys.readouterr().out


def test_nbval_leaves_out_pixels_and_keeps_numbers():
    from configparser import ConfigParser

    config = ConfigParser(interpolation=None)
    config.read(ROOT / "book" / "nbval.cfg")
    text = '<td data-record="a">34.5</td><svg id="x">\n<path d="M1 2"/></svg><img src="data:image/png;base64,AAAA+/=">'
    for name in config.sections():
        text = re.sub(config[name]["regex"], config[name]["replace"], text)
    assert text == '<td data-record="a">34.5</td>DRAWING<img src="FRAME">'
