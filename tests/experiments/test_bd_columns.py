"""BD-rates against several anchors, as columns of a table."""

import pytest

from codec_lib.experiments import intra_rd, low_delay_rd
from codec_lib.experiments.bd_columns import add_bd_rates, add_gaps, bd_name, bd_rows, gap_name
from codec_lib.experiments.records import Record, Results
from codec_lib.experiments.tables import TABLES


def curve(codec, clip, factor):
    profile = "lab" if codec in ("conditional", "intra") else "system"
    return [Record(codec, profile, clip, 1, 80, 10, q, int(factor * 1000 * 2**q), int(factor * 1000 * 2**q) / 100, 1.0, 1.0,
                   {"psnr": 30.0 + 2 * q}) for q in range(5)]


@pytest.mark.parametrize("module", [intra_rd, low_delay_rd])
def test_a_row_for_each_clip_and_the_mean(module):
    name = module.CODEC.split("@")[0]
    results = Results("demo")
    for clip, factor in (("a", 0.9), ("b", 1.3)):
        results.records += curve(name, clip, factor)
        for anchor in module.ANCHORS:
            results.records += curve(anchor, clip, 1.0)
    add_bd_rates(results, module.CODEC, module.ANCHORS, ("psnr",))
    a, b, mean = module.rows(results)
    for anchor in module.ANCHORS:
        assert (a[anchor], b[anchor], mean[anchor]) == (pytest.approx(-10), pytest.approx(30), pytest.approx(10))
        assert a["ids"][anchor] == f"demo/{module.CODEC}/a/-/{bd_name('psnr', anchor)}"


def test_a_clip_without_a_number_has_a_gap():
    results = Results("demo")
    results.records = curve("conditional", "a", 0.5) + curve("x264:ld", "a", 1.0) + curve("conditional", "b", 0.5)[:2]
    results.records += curve("x264:ld", "b", 1.0)
    add_bd_rates(results, "conditional@lab", ("x264:ld",), ("psnr",))
    found = {row["clip"]: row["x264:ld"] for row in bd_rows(results, ("x264:ld",))}
    assert found == {"a": pytest.approx(-50), "mean": pytest.approx(-50)}


def test_both_tables_are_there():
    assert {"intra-rd", "low-delay-rd"} <= set(TABLES)


def test_a_difference_at_equal_rate():
    """Twice the rate is worth 2 dB on these curves, so half of it at equal quality is 2 dB at equal rate; what lies below the anchor's
    lowest rate does not count."""
    results = Results("demo")
    results.records = curve("conditional", "a", 0.5) + curve("x264:ld", "a", 1.0) + curve("conditional", "b", 2.0) + curve("x264:ld", "b", 1.0)
    add_gaps(results, "conditional@lab", "x264:ld", "psnr", "dB")
    found = {v.clip: v.value for v in results.values if v.metric == gap_name("psnr", "x264:ld")}
    assert found == {"a": pytest.approx(2), "b": pytest.approx(-2), "mean": pytest.approx(0)}


def test_no_difference_where_rates_do_not_meet():
    results = Results("demo")
    results.records = curve("conditional", "a", 0.001) + curve("x264:ld", "a", 1.0)
    add_gaps(results, "conditional@lab", "x264:ld", "psnr")
    assert not results.values
