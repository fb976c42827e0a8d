"""Table `bd-anchors`: its numbers are those of `compare` on the saved rate points, and say what they rest on."""

import pytest

from codec_lib.errors import MissingData
from codec_lib.experiments import bd_anchors
from codec_lib.experiments.compare import compare
from codec_lib.experiments.records import Record, Results, all_values
from codec_lib.experiments.tables import table


def rate_points(codec: str, clip: str, factor: float) -> list[Record]:
    """Six points with 3 dB for each doubling of the rate, ``factor`` times the bytes of the anchor."""
    width, height, frames = 64, 48, 4
    pixels = width * height * frames
    points = []
    for q in range(6):
        size = round(1000 * factor * 2**q)
        points.append(Record(codec, "system", clip, frames, width, height, q, size, 8 * size / pixels, 1.0, 0.1,
                             {"psnr": 30.0 + 3 * q, "lpips": 0.4 * 0.7**q}))
    return points


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path))
    anchors = Results("anchors", {"date": "today"})
    for clip, more in (("one", 1.0), ("two", 1.2)):
        for codec, factor in (("x265:ld", 1.0), ("x264:ld", 2.0), ("vvenc:ld", 0.5 * more), ("x265:ra", 0.8), ("vvenc:ra", 0.4)):
            anchors.records += rate_points(codec, clip, factor)
    anchors.save()
    return anchors


def test_numbers_are_those_of_compare_and_have_ids(saved):
    made = table("bd-anchors", recompute=True)
    known = all_values()
    for metric in ("psnr", "lpips"):
        found = compare(saved.records, "x265:ld", metric)["bd_rate"]["vvenc:ld"]
        assert known[bd_anchors.value_id("vvenc:ld", metric, "x265:ld")].value == found["percent"]
        assert known[bd_anchors.value_id("vvenc:ld", metric, "x265:ld", "clips")].value == 2
    row = next(r for r in made["rows"] if (r["codec"], r["against"]) == ("x264:ld", "x265:ld"))
    assert row["psnr"] == pytest.approx(100) and row["lpips"] == pytest.approx(100) and row["overlap"] == 1
    low, high = (known[bd_anchors.value_id("vvenc:ld", "psnr", "x265:ld", part)].value for part in ("low", "high"))
    assert low == pytest.approx(-50) and high == pytest.approx(-40)
    assert known[row["ids"]["psnr"]].value == row["psnr"]


def test_random_access_is_compared_with_low_delay_of_the_same_codec(saved):
    made = table("bd-anchors", recompute=True, clips=["sample:one"])
    row = next(r for r in made["rows"] if (r["codec"], r["against"]) == ("vvenc:ra", "vvenc:ld"))
    assert row["psnr"] == pytest.approx(-20) and row["clips"] == 1
    assert row["low"] is None  # one clip has no interval
    assert made["provenance"]["config"]["clips"] == ["one"]


def test_a_metric_or_codec_that_was_not_measured_is_left_out(saved):
    made = table("bd-anchors", recompute=True)
    assert all(r["vmaf"] is None for r in made["rows"])
    assert not any("libaom" in r["codec"] for r in made["rows"])


def test_unknown_clips_and_missing_anchors_are_reported(saved, tmp_path):
    with pytest.raises(MissingData, match="no rate point of three"):
        table("bd-anchors", recompute=True, clips=["three"])
    (tmp_path / "anchors.json").unlink()
    with pytest.raises(MissingData, match="table anchors --recompute"):
        table("bd-anchors", recompute=True)
