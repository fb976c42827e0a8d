import math

import bjontegaard
import pytest

from codec_lib.errors import UsageError
from codec_lib.experiments.compare import compare, text_table
from codec_lib.experiments.records import Record


def curve(codec: str, clip: str, points, metric="psnr", profile="system"):
    """Records of a codec on a clip: sizes in bytes and values; 1000 pixels a clip."""
    return [Record(codec, profile, clip, 1, 40, 25, q, size, 8 * size / 1000, 0.1, 0.1, {metric: value})
            for q, (size, value) in enumerate(points)]


ANCHOR = [(100, 28.0), (200, 31.5), (400, 34.6), (800, 37.2), (1600, 39.9)]
TEST = [(90, 28.3), (170, 31.4), (330, 34.5), (700, 37.4), (1500, 40.3)]


def test_equals_the_bjontegaard_package_on_each_clip_and_averages():
    records = [*curve("x265:ld", "a", ANCHOR), *curve("intra", "a", TEST, profile="lab"),
               *curve("x265:ld", "b", ANCHOR), *curve("intra", "b", [(r, v - 0.5) for r, v in TEST], profile="lab")]
    made = compare(records, "x265", "psnr")
    assert made["anchor"] == "x265:ld" and made["metric"] == "psnr"
    ours = made["bd_rate"]["intra@lab"]
    for clip, drop in (("a", 0.0), ("b", 0.5)):
        expected = bjontegaard.bd_rate([r for r, _ in ANCHOR], [v for _, v in ANCHOR], [r for r, _ in TEST],
                                       [v - drop for _, v in TEST], method="akima", require_matching_points=False)
        assert ours["clips"][clip]["percent"] == pytest.approx(expected, abs=0.01)
        assert 0.8 < ours["clips"][clip]["overlap"] < 1
    mean = (ours["clips"]["a"]["percent"] + ours["clips"]["b"]["percent"]) / 2
    assert ours["percent"] == pytest.approx(mean)
    assert ours["interval"][0] <= mean <= ours["interval"][1]
    assert "x265:ld" not in made["bd_rate"]


def test_lower_is_better_turns_the_curve():
    falling = [(size, math.exp(-v / 10)) for size, v in ANCHOR]
    cheaper = [(size // 2, v) for size, v in falling]
    made = compare([*curve("x264:ld", "a", falling, "lpips"), *curve("vvenc:ra", "a", cheaper, "lpips")], "x264", "lpips")
    assert made["bd_rate"]["vvenc:ra"]["percent"] == pytest.approx(-50, abs=0.01)


def test_curves_without_overlap_are_reported_and_not_hidden():
    apart = [(size, v + 40) for size, v in ANCHOR]
    made = compare([*curve("x264:ld", "a", ANCHOR), *curve("x265:ld", "a", apart)], "x264:ld", "psnr")
    found = made["bd_rate"]["x265:ld"]
    assert found["percent"] is None and found["clips"]["a"]["percent"] is None
    assert found["clips"]["a"]["overlap"] == 0
    assert "overlap" in found["clips"]["a"]["reason"]
    text = text_table(made)
    assert "x265:ld on a: the curves do not overlap" in text


def test_a_clip_that_one_codec_lacks_does_not_spoil_the_mean():
    records = [*curve("x264:ld", "a", ANCHOR), *curve("x264:ld", "b", ANCHOR), *curve("x265:ld", "a", TEST)]
    found = compare(records, "x264", "psnr")["bd_rate"]["x265:ld"]
    assert list(found["clips"]) == ["a"] and found["percent"] == found["clips"]["a"]["percent"]
    assert found["interval"] is None


@pytest.mark.parametrize("anchor, metric, says", [
    ("x266", "psnr", "not among the codecs measured: choose from x264:ld, x264:ra"),
    ("x264:ld", "lpips", "no record of x264:ld has lpips: measure it with eval --metrics lpips"),
    ("x264:ld", "beauty", "unknown metric 'beauty'"),
])
def test_what_the_records_do_not_have_is_said(anchor, metric, says):
    records = [*curve("x264:ld", "a", ANCHOR), *curve("x264:ra", "a", TEST)]
    with pytest.raises(UsageError, match=says):
        compare(records, anchor, metric)


def test_a_short_name_that_fits_two_codecs_is_refused():
    records = [*curve("x264:intra", "a", ANCHOR), *curve("x264:ra", "a", TEST)]
    with pytest.raises(UsageError, match="may be x264:intra or x264:ra"):
        compare(records, "x264")
