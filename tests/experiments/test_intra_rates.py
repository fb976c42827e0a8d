"""Table `intra-rates`: curves against curves, conditioning that can be held still, tables that add up."""

import numpy as np
import pytest

from codec_lib.codecs.intra.account import symbols_of
from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments import intra_rates
from codec_lib.experiments.intra_rates import ANCHORS, FROZEN, MIDDLE, THIRDS, excess, frozen, refitted, rows
from codec_lib.experiments.records import Results
from codec_lib.video import clips


def curve(cost=0.0, bend=0.0):
    """Rate points of 64 qualities: log rate rises with PSNR; qualities between anchors cost ``cost`` percent more."""
    points = {}
    for q in range(64):
        log_rate = 0.06 * q + bend * (q / 63) ** 2
        points[q] = float(np.exp(log_rate) * (1 + (q not in ANCHORS) * cost / 100)), 25 + q / 4
    return points


@pytest.mark.parametrize("cost", [0.0, 1.5, -0.7])
def test_a_cost_between_anchors_is_found_whatever_the_bend(cost):
    for bend in (0.0, 0.6):
        points = curve(cost, bend)
        found = (excess(points, ANCHORS, THIRDS) - excess(points, THIRDS, ANCHORS)) / 2
        assert found == pytest.approx(cost, abs=0.06)


def test_qualities_beyond_the_curve_do_not_count():
    points = curve(2.0)
    assert excess(points, ANCHORS[1:-1], (3, 30, 60)) == pytest.approx(2.0, abs=0.1)


def test_frozen_parts_change_nothing_at_the_middle_quality_and_something_elsewhere():
    video = clips("sample:carphone", frames=1)[0]
    shipped = load_codec("intra")
    whole = {q: shipped.encode(video, q) for q in (MIDDLE, 63)}
    for parts in FROZEN.values():
        codec = frozen(parts)
        assert abs(len(codec.encode(video, MIDDLE)) - len(whole[MIDDLE])) <= 0.002 * len(whole[MIDDLE])
        record, stream = intra_rates.rate_point(codec, video, 63)
        assert stream != whole[63] and record.metrics["psnr"] > 30


def test_tables_of_the_clip_itself_are_not_used_and_no_other_clip_changes_nothing():
    codec = load_codec("intra")
    streams = {name: codec.encode(clips(f"sample:{name}", frames=1)[0], 20) for name in ("carphone",)}
    symbols = {name: {20: symbols_of(codec, stream)} for name, stream in streams.items()}
    found = refitted(codec, symbols, 20)
    assert found["tables of this quality"]["carphone"] == pytest.approx(0, abs=0.01)
    twice = symbols | {"again": symbols["carphone"]}  # the same symbols under another name: now tables can fit
    assert refitted(codec, twice, 20)["tables of this quality"]["carphone"] < -0.05


def test_rows_are_the_means():
    results = Results("intra-rates")
    intra_rates.add(results, "frozen: all three", {"a": 10.0, "b": 20.0, "c": None})
    intra_rates.add(results, "tables of this quality", {"a": -1.0}, 9)
    intra_rates.add(results, "nothing", {"a": None})
    first, second = rows(results)
    assert (first["what"], first["percent"], first["quality"]) == ("frozen: all three", 15.0, None)
    assert second["ids"]["percent"] == "intra-rates/intra@lab/mean/q9/tables of this quality"
