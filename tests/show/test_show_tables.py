"""Numbers, tables, figures and the player: what they show, where it comes from, and that it fits into a page."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
import torch

from codec_lib.errors import MissingData, UsageError
from codec_lib.experiments.records import Record, Results
from codec_lib.show import (
    Column,
    Table,
    bars,
    beside_paper,
    explore,
    figure,
    frame_curves,
    given,
    lines,
    live,
    measured,
    paper,
    pictures,
    rate_table,
    rd_curves,
    side_by_side,
    strip,
    style,
    value_table,
)
from codec_lib.show.check import MEASURED
from codec_lib.show.marks import parse_html
from codec_lib.show.numbers import number
from codec_lib.video.clip import Video


def point(codec, clip, quality, size, psnr):
    return Record(codec, "lab" if codec == "intra" else "system", clip, 8, 64, 48, quality, size, 8 * size / (8 * 64 * 48),
                  0.5, 0.1, {"psnr": psnr, "ms-ssim": 0.9 + quality / 100})


@pytest.fixture
def results():
    made = Results("demo", {"commit": "0123456789abcdef", "date": "2026-11-21", "hardware": "a CPU"})
    for codec, gain in (("x265:ld", 0.0), ("intra", 1.0)):
        for clip in ("one", "two"):
            made.records += [point(codec, clip, q, 300 * 2**q, 28 + 2 * q + gain) for q in (1, 2, 3)]
    made.add_value("bd_rate", -12.345, "%", codec="intra@lab")
    made.add_value("bd_rate", 0.0, "%", codec="x265:ld")
    return made


@pytest.fixture
def values(results):
    return {v.id: v for v in results.flat()}


def test_numbers_are_formatted_as_a_reader_expects():
    assert [number(v, ".1f") for v in (-3.25, -0.01, 0.0, float("nan"))] == ["−3.2", "0.0", "0.0", "–"]
    assert number(12345.6, ",.0f") == "12,346"


def test_each_kind_says_where_it_comes_from(values):
    shown = measured("demo/x265:ld/one/q1/psnr", ".1f", values=values)
    assert shown._repr_html_() == '<span data-record="demo/x265:ld/one/q1/psnr" data-format=".1f">30.0</span>'
    assert 'data-scale="0.001"' in measured("demo/x265:ld/one/q1/bytes", ".2f", scale=1e-3, values=values)._repr_html_()
    assert paper("givic.table1/vtm/uvg-psnr")._repr_html_() == '<span data-paper="givic.table1/vtm/uvg-psnr">−15.94</span>'
    assert live(3.14159, ".2f")._repr_html_() == "<span data-live>3.14</span>"
    assert given(30, 'rate of "one"')._repr_html_() == '<span data-given="rate of &quot;one&quot;">30</span>'
    with pytest.raises(MissingData, match="demo/none"):
        measured("demo/none", values=values)


def test_rate_table_ties_every_cell_to_its_record(results, values):
    table = rate_table(results, clip="one", metrics=["psnr"])
    marks = parse_html(table._repr_html_()).marks
    assert len(marks) == 12 and all(m.kind == "record" and m.key in values for m in marks)
    assert table.column("PSNR") == [30, 32, 34, 31, 33, 35]
    assert [m.text for m in marks[:2]] == ["0.195", "30.00"]
    assert parse_html(table._repr_html_()).bare == []  # the quality is a label, not a result
    with pytest.raises(MissingData, match="three"):
        rate_table(results, clip="three")


def test_plain_text_says_the_same_as_html(results):
    table = rate_table(results, clip="two", codecs=["intra@lab"], metrics=["psnr", "ms-ssim"])
    text = repr(table)
    assert text.splitlines()[0] == "Rate points of two"
    assert "intra@lab  2" in text and "33.00" in text and "0.9200" in text
    assert len({len(line) for line in text.splitlines()[1:]}) <= 2  # columns are aligned


def test_value_table_marks_the_best(results):
    table = value_table(results, metrics=["bd_rate"], titles={"bd_rate": "BD-rate"}, better={"bd_rate": "lower"})
    assert re.search(r'<td class="number best" data-record="demo/intra@lab/-/-/bd_rate"[^>]*>−12.3</td>', table._repr_html_())
    assert table._repr_html_().count("best") == 1
    with pytest.raises(MissingData, match="fvd"):
        value_table(results, metrics=["fvd"])


def test_beside_paper_sets_ours_next_to_theirs(values):
    ours = {("gnvc-vd", "uvg-lpips"): "demo/intra@lab/-/-/bd_rate"}
    table = beside_paper("gnvc_vd.table3", ours, rows=["dcvc-rt", "gnvc-vd"], columns=["uvg-lpips"], values=values)
    assert [c.text if c else None for c in table.rows[1][1]] == ["−86.5", "−12.3"]
    assert [c.text if c else None for c in table.rows[0][1]] == ["−30.7", None]
    assert "GNVC-VD, Table 3" in table.caption and "UVG LPIPS [%]" in table._repr_html_()
    with pytest.raises(UsageError):
        beside_paper("gnvc_vd.table3", {}, rows=["nobody"], columns=["uvg-lpips"], values={})


def test_table_escapes_and_refuses_ragged_rows():
    table = Table(("a<b",), [Column("x&y")], [(("<i>",), [None])])
    assert "&lt;i&gt;" in table._repr_html_() and "x&amp;y" in table._repr_html_()
    with pytest.raises(ValueError, match="0 cells for 1 and 1"):
        Table(("a",), [Column("x")], [(("row",), [])])


CAPTION = {"caption": "A caption of some words.", "alt": "An alternative text."}


def test_curves_show_the_records(results):
    fig = rd_curves(results, metric="psnr", clip="one", **CAPTION)
    assert fig.data["intra@lab"]["y"] == [31, 33, 35] and list(fig.data) == ["x265:ld", "intra@lab"]
    assert fig.data["x265:ld"]["x"] == pytest.approx([8 * 300 * 2**q / (8 * 64 * 48) for q in (1, 2, 3)])
    assert parse_html(fig._repr_html_()).sources == ["demo"]
    both = rd_curves(results, metric="psnr", codecs=["intra@lab"], **CAPTION)
    assert list(both.data) == ["intra@lab"] and both.data["intra@lab"]["y"] == [31, 33, 35]
    with pytest.raises(MissingData, match="vmaf"):
        rd_curves(results, metric="vmaf", **CAPTION)


def test_a_mean_over_clips_leaves_out_qualities_that_lack_a_clip(results):
    results.records = [r for r in results.records if r.key != ("x265:ld", "two", 3)]
    assert rd_curves(results, metric="psnr", **CAPTION).data["x265:ld"]["y"] == [30, 32]


def test_a_mean_over_other_clips_for_each_codec_is_refused(results):
    results.records = [r for r in results.records if (r.label, r.clip) != ("intra@lab", "two")]
    with pytest.raises(MissingData, match=r"intra@lab and x265:ld .* \(two\)"):
        rd_curves(results, metric="psnr", **CAPTION)
    assert rd_curves(results, metric="psnr", clip="two", **CAPTION).data["x265:ld"]


def test_figures_follow_the_page_and_are_the_same_each_time():
    def draw():
        return lines({"a": ([1, 2], [3, 4]), "b": ([1, 2], [4, 3])}, x="x", y="y", **CAPTION)

    fig = draw()
    assert "currentColor" in fig.svg and "#010203" not in fig.svg and "#000000" not in fig.svg
    assert fig.svg == draw().svg
    assert 'role="img" aria-label="An alternative text."' in fig._repr_html_()
    assert "<figcaption>A caption of some words.</figcaption>" in fig._repr_html_()
    assert 'id="axes_1"' not in fig.svg
    for reference in re.findall(r"url\(#(\w+)\)|href=\"#(\w+)\"", fig.svg):
        assert f'id="{"".join(reference)}"' in fig.svg  # what is referred to is still there
    assert repr(fig) == "Figure: A caption of some words."


def test_curves_can_be_told_apart_and_one_may_be_bold():
    fig = lines({f"curve {i}": ([1, 2], [i, i + 1]) for i in range(9)}, x="x", y="y", bold="curve 7", **CAPTION)
    colours = [re.search(r"stroke: (#\w+)", path).group(1) for path in re.findall(r'<path [^>]*clip-path="[^>]*>', fig.svg)
               if "stroke: #" in path]
    markers = re.findall(r'<use xlink:href="#(\w+)"[^>]*style="fill: (#\w+)', fig.svg)
    assert len(set(colours)) == 6 and len(set(markers)) == 9  # a colour that comes again has another marker
    assert fig.svg.count("stroke-width: 3") >= 1
    with pytest.raises(UsageError, match="'curve 9'.*curve 8"):
        lines({f"curve {i}": ([1], [i]) for i in range(9)}, x="x", y="y", bold="curve 9", **CAPTION)


def test_captions_and_alternative_texts_are_required():
    with style():
        from matplotlib.figure import Figure as Canvas

        canvas = Canvas()
    with pytest.raises(TypeError):
        figure(canvas)
    with pytest.raises(UsageError, match="alt"):
        figure(canvas, caption="A caption of some words.", alt="")
    with pytest.raises(UsageError, match="caption"):
        bars({"a": 1}, x="x", caption="Bars", alt="One bar at one.")


def test_bars_and_frame_curves_keep_their_data(tmp_path):
    assert bars({"a": -1, "b": 2}, x="BD-rate", intervals={"a": (-2, 0)}, **CAPTION).data == {"a": -1.0, "b": 2.0}
    fig = frame_curves({"psnr": [30.0, 31.5]}, y="PSNR", **CAPTION)
    assert fig.data["psnr"] == {"x": [0.0, 1.0], "y": [30.0, 31.5]}
    fig.save(tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_text().startswith("<svg")


def clip(seed, frames=3, size=(48, 64)):
    noise = torch.randint(0, 255, (frames, 3, *size), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Video(noise, Fraction(30), "noise")


def test_player_stands_alone_and_keeps_its_budget():
    player = side_by_side({"first": clip(0), "second <b>": clip(1)}, notes={"first": [live(1.5, ".1f"), " bpp"]}, **CAPTION)
    page = player.markup
    assert page.count("data:image/webp;base64,") == 6 and "lossless" in player.stored
    assert not re.search(r"https?://", page)
    assert "<b>" not in page.split("<script>")[0] and "second &lt;b&gt;" in page
    assert page.count('type="range"') == 2 and 'tabindex="0"' in page and "aria-label" in page
    assert "1000 / fps" in page and "fps = 30" in page
    small = side_by_side({"a": clip(0), "b": clip(1)}, max_bytes=player.bytes // 2, **CAPTION)
    assert "quality" in small.stored and small.bytes < player.bytes
    with pytest.raises(UsageError, match="do not fit"):
        side_by_side({"a": clip(0), "b": clip(1)}, max_bytes=2000, **CAPTION)


def test_player_frames_are_the_frames():
    import base64
    import io

    from PIL import Image

    video = clip(3)
    page = side_by_side({"a": video, "b": clip(4)}, **CAPTION).markup
    first = base64.b64decode(re.search(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", page)[1])
    shown = np.asarray(Image.open(io.BytesIO(first)).convert("RGB")).transpose(2, 0, 1)
    assert (shown == video.frames[0].numpy()).all()


def test_player_refuses_what_cannot_be_compared():
    with pytest.raises(UsageError, match="at least two"):
        side_by_side({"a": clip(0)}, **CAPTION)
    with pytest.raises(UsageError, match="one shape"):
        side_by_side({"a": clip(0), "b": clip(1, frames=2)}, **CAPTION)
    with pytest.raises(UsageError, match="caption"):
        side_by_side({"a": clip(0), "b": clip(1)}, caption="", alt="An alternative text.")


GREYS = {"D": (0, 10), "quality": (0, 24, 63), "frame": range(2)}
CURVES = {"D = 0": ([0.1, 0.2, 0.3], [20, 21, 22]), "D = 10": ([0.1, 0.2, 0.3], [24, 25, 26])}


def explored(**changes):
    settings = {"picture": lambda d, q, t: np.full((3, 4, 6), d + q + t, np.uint8), "note": lambda d, q, t: [live(d, "d"), f" < {q}"],
                "curves": lines(CURVES, x="x", y="y", **CAPTION), "point": lambda d, q, t: (f"D = {d}", (0, 24, 63).index(q))}
    return explore(**{"axes": GREYS, **settings, **CAPTION, **changes})


def test_explorer_has_a_picture_a_note_and_a_place_for_each_setting():
    page = explored()
    assert page.settings == 12 and "lossless" in page.stored and repr(page) == "Explorer: A caption of some words."
    stops, sources, notes, points = (json.JSONDecoder().raw_decode(page.markup.partition(f" {name} = ")[2])[0]
                                     for name in ("stops", "pictures", "notes", "points"))
    assert stops == [["0", "10"], ["0", "24", "63"], ["0", "1"]] and len(sources) == len(notes) == 12
    assert len(set(sources)) == 12 and f'src="{sources[0]}"' in page.markup  # without a script the first is there
    assert notes[6] == '<span data-live>10</span> &lt; 0' and points == [[k, i] for k in (0, 1) for i in (0, 1, 2) for _ in (0, 1)]
    assert page.markup.count('type="range"') == 3 and 'data-series="1"' in page.markup and not re.search(r"https?://(?!www.w3)", page.markup)


def test_explorer_refuses_what_cannot_be_explored():
    for changes, word in (({"axes": {}}, "1 to 4"), ({"axes": {"D": [1]}}, "two stops"), ({"max_bytes": 99}, "do not fit"), ({"alt": "x"}, "alt"),
                          ({"picture": lambda *_: np.zeros((3, 4, 6))}, "uint8"), ({"curves": None}, "go together"),
                          ({"picture": lambda d, q, t: np.zeros((3, 4, 6 + d), np.uint8)}, "one shape"),
                          ({"point": lambda *_: ("D = 5", 0)}, "no point 0 on a curve 'D = 5'"), ({"point": lambda *_: ("D = 0", 3)}, "no point 3")):
        with pytest.raises(UsageError, match=word):
            explored(**changes)


def test_pictures():
    shown = pictures({"grey": np.zeros((8, 8), np.uint8), "colour": clip(0).frames[0]}, **CAPTION)
    assert shown.markup.count("<img") == 2 and 'alt="grey"' in shown.markup
    with pytest.raises(UsageError, match="uint8"):
        pictures({"a": np.zeros((8, 8))}, **CAPTION)


def test_strip_shows_records_and_says_when_there_are_none(results, values):
    assert "not measured yet" in repr(strip("99_none", values={}))
    chapters = Results("chapters", {"hardware": "a CPU, 23 GB"})
    chapters.add_value("minutes", 1.26, "min", clip="01_x")
    chapters.add_value("memory", 0.84, "GB", clip="01_x")
    known = values | {v.id: v for v in chapters.flat()}
    shown = strip("01_x", shows=["demo", "other"], values=known)
    assert repr(shown) == ("scale lab · runs in 1.3 min · memory 0.8 GB · on a CPU, 23 GB · "
                           "records of demo 01234567, 2026-11-21, a CPU · records of other not saved yet")
    chapters.provenance["config"] = {"machines": {"01_x": "another CPU"}}  # measured before the others, elsewhere
    assert "on another CPU ·" in repr(strip("01_x", shows=["demo"], values=known))
    parsed = parse_html(shown._repr_html_())
    assert not MEASURED.search(parsed.plain)  # a machine's "23 GB" is said to be given, and no result
    assert [m.key for m in parsed.marks if m.kind == "record"] == ["chapters/-/01_x/-/minutes", "chapters/-/01_x/-/memory"]
