"""A page may show no result that no record holds; and the check that says so finds what it should."""

import json

import pytest

from codec_lib.experiments.records import Results, all_values
from codec_lib.paths import CHAPTERS, ROOT
from codec_lib.show import check, live, measured, pictures, value_table
from codec_lib.show.check import MEASURED, check_code, check_markdown, check_notebook, check_page

NOTEBOOKS = sorted(CHAPTERS.glob("*.ipynb"))
PAGES = sorted(p for p in (ROOT / "book").rglob("*.md") if "generated" not in p.parts and "vendor" not in p.parts)


@pytest.fixture(scope="module")
def saved():
    return all_values()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_every_result_of_the_chapter_has_its_origin(path, saved):
    assert check_notebook(path, saved) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.stem)
def test_every_result_of_the_page_has_its_origin(path, saved):
    assert check_page(path, saved) == []


# The check itself, on a notebook made here.


@pytest.fixture
def values():
    results = Results("demo", {"commit": "c"})
    results.add_value("psnr", 34.512, "dB", codec="x265:ld", clip="one", quality=3)
    results.add_value("size", 12345, "byte", codec="x265:ld", clip="one", quality=3)
    return {v.id: v for v in results.flat()}


PSNR = "demo/x265:ld/one/q3/psnr"
GOOD = f'It reaches <span data-record="{PSNR}" data-format=".1f">34.5</span> dB.'


def notebook(tmp_path, *cells):
    path = tmp_path / "chapter.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}))
    return path


def code(source="x", html=None, plain=None, stream=None, tags=(), png=False):
    outputs = []
    if html or plain or png:
        data = ({"text/html": html} if html else {}) | ({"text/plain": plain or ""})
        outputs.append({"output_type": "execute_result", "metadata": {}, "execution_count": 1,
                        "data": data | ({"image/png": "iVBOR"} if png else {})})
    if stream:
        outputs.append({"output_type": "stream", "name": "stdout", "text": stream})
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": outputs, "execution_count": 1}


@pytest.mark.parametrize("text", ["34.5 dB", "0.012 bpp", "saves 12 %", "12\u202f%", "−3.4%", "12.5 kB", "30 fps", "in 3 minutes", "2 s",
                                  "an LPIPS of 0.123", "MS-SSIM: 0.98", "$34.5$ dB", "1,024 kB", "7 kMAC/px"])
def test_what_looks_measured_needs_an_origin(text, values):
    assert check_markdown(f"We see {text} here.", values)


@pytest.mark.parametrize("text", ["Section 3.2", "8 bits", "64 channels", "1080p", "LPIPS 0.1.4", "`34.5 dB`", "x265", "in 2012",
                                  "```python\nx = '34.5 dB'\n```", "$\\bar\\alpha = 0.3$", "[link](a_30_fps.md)", "see [4]"])
def test_what_is_no_result_passes(text, values):
    assert check_markdown(text, values) == []


def test_a_record_in_markdown_must_say_what_the_record_says(values):
    assert check_markdown(GOOD, values) == []
    assert "holds 34.5" in check_markdown(GOOD.replace(">34.5", ">34.6"), values)[0]
    assert "does not exist" in check_markdown(GOOD.replace("q3/psnr", "q4/psnr"), values)[0]
    assert "without data-format" in check_markdown(GOOD.replace(' data-format=".1f"', ""), values)[0]
    kilo = '<span data-record="demo/x265:ld/one/q3/size" data-format=".1f" data-scale="0.001">12.3</span> kB'
    assert check_markdown(kilo, values) == []


def test_a_papers_number_must_be_the_papers(values):
    def said(text, key="gnvc_vd.table3/gnvc-vd/uvg-lpips"):
        return check_markdown(f'<span data-paper="{key}">{text}</span>', values)

    assert said("−86.5") == said("86.5 % less") == []
    assert "says −86.5" in said("85.6")[0] and "Table 3" in said("+86.5")[0]
    assert "no table" in said("1", "gnvc_vd.table9/a/b")[0]
    assert said("0.86", "diffvc.headline/similarity/value") == []


def test_given_needs_a_reason_and_live_has_no_place_in_markdown(values):
    assert check_markdown('<span data-given="frame rate of the clip">30</span> fps', values) == []
    assert "without saying" in check_markdown("<span data-given>30</span> fps", values)[0]
    assert "nothing is computed" in check_markdown("<span data-live>30</span> fps", values)[0]


def test_tables_in_markdown(values):
    assert check_markdown("| codec | PSNR [dB] |\n|---|---|\n| x265 | 34.5 |", values) == ["'34.5' in a table has no origin"]
    assert check_markdown(f"| codec | PSNR [dB] |\n|---|---|\n| x265 | {GOOD[12:-4]} |", values) == []
    assert check_markdown("| layer | channels |\n|---|---|\n| first | 64 |", values) == []


def test_a_directive_hides_nothing(values):
    assert check_markdown("```{note}\nIt reaches 34.5 dB.\n```", values)
    assert check_markdown(":::{note}\nIt reaches 34.5 dB.\n:::", values)
    assert check_markdown("<!-- 34.5 dB -->", values) == []


def test_results_typed_into_code_are_found():
    assert "34.5 dB" in check_code('print("it reaches 34.5 dB")')[0]
    assert check_code("figure(c, caption='saves 12 %')") and check_code("f'{x} saves 12 % of {y}'")
    assert check_code('x = f"{psnr:.1f} dB"') == [] and check_code('"""A docstring: 34.5 dB."""\nx = 1') == []
    assert check_code('rate = "300 kbit/s"  # given: bit rate that is asked for') == []
    assert check_code("%time x\n!ls") == []
    assert check_code("""HTML('<td data-record="a" data-format=".1f">34.5</td> dB')""") == []


def test_outputs(tmp_path, values):
    def found(*cells):
        return check_notebook(notebook(tmp_path, *cells), values)

    assert found(code(stream="34.5 dB\n")) and found(code(plain="'34.5 dB'"))
    assert found(code(stream="34.5 dB\n", tags=["live"])) == []
    assert found(code(stream="encoded 3 files\n")) == []
    assert found(code(html="<td>34.5</td>")) and found(code(html="<p>34.5 dB</p>"))
    assert found(code(html="<td>34.5</td>", tags=["live"])) == []
    assert found(code(html="<td>x265</td><td>–</td>")) == []
    assert "caption" in found(code(png=True))[0]
    assert "failed" in found({**code(), "outputs": [{"output_type": "error", "ename": "ValueError"}]})[0]
    assert found({"cell_type": "markdown", "source": ["It reaches ", "34.5 dB."], "metadata": {}})


def test_a_live_cell_cannot_misquote_a_record(tmp_path, values):
    wrong = f'<td data-record="{PSNR}" data-format=".2f">35.51</td>'
    assert check_notebook(notebook(tmp_path, code(html=wrong, tags=["live"])), values)


def test_changing_a_digit_of_a_saved_table_is_found(tmp_path, values):
    results = Results("demo")
    results.values = [v for v in values.values() if v.metric == "psnr"]
    table = value_table(results, metrics=["psnr"])
    cell = code(html=table._repr_html_(), plain=repr(table))
    assert check_notebook(notebook(tmp_path, cell), values) == []
    for kind in ("text/html", "text/plain"):
        changed = json.loads(json.dumps(cell))
        data = changed["outputs"][0]["data"]
        data[kind] = data[kind].replace("34.51", "35.51")
        assert check_notebook(notebook(tmp_path, changed), values), kind


def test_figures_name_their_records(tmp_path, values):
    def figure(attributes, caption="Curves."):
        return code(html=f"<figure {attributes}><svg><text>34.5 dB</text></svg><figcaption>{caption}</figcaption></figure>")

    def found(*cells):
        return check_notebook(notebook(tmp_path, *cells), values)

    assert found(figure('data-records="demo"')) == []
    assert "nothing is saved" in found(figure('data-records="other"'))[0]
    assert found(figure('data-records="demo"', "It saves 12 %."))
    assert found(figure("data-live", "It saves 12 %.")) == []


def test_what_show_makes_passes(tmp_path, values):
    import numpy as np

    row = pictures({"a": np.zeros((8, 8), np.uint8)}, caption="A black picture, 12 dB.", alt="Nothing but black")
    parts = [row._repr_html_(), measured(PSNR, ".2f", values=values)._repr_html_(), live(3.0)._repr_html_()]
    for part in parts:
        assert check_notebook(notebook(tmp_path, code(html=part)), values) == []


def test_command_line(tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("---\ntitle: 34.5 dB\n---\nNothing is measured here.\n")
    assert check.main([str(page)]) == 0 and "every result has its origin" in capsys.readouterr().out
    page.write_text("It takes 12 seconds.\n")
    assert check.main([str(page)]) == 1 and "12 seconds" in capsys.readouterr().out


def test_units_do_not_start_words():
    assert not MEASURED.search("3 minors") and not MEASURED.search("5 sizes") and not MEASURED.search("4 bppx")
