"""One stream, many arithmetics: the integer path agrees everywhere, its float twin does not."""

import pytest

from codec_lib.experiments.portability import SETTINGS, measure, rows
from codec_lib.video import write_video

HARD = tuple(s for s in SETTINGS if s.name in ("as encoded", "1 thread", "planar layout", "batch 1", "AVX2", "SSE4.1",
                                               "AVX2, planar, 1 thread", "SSE4.1, planar, batch 1"))


@pytest.mark.slow
@pytest.mark.parametrize("codec, qualities, frames", [("intra", (8, 22, 36, 50, 63), 4), ("conditional", (8, 50), 2)])
def test_integer_path_agrees_under_every_setting_and_the_float_twin_does_not(codec, qualities, frames, tmp_path):
    from codec_lib.video import clips

    bikes = clips("sample:bikes", frames=frames)[0]
    write_video(bikes, tmp_path / "bikes.y4m")
    results = measure([str(tmp_path / "bikes.y4m")], codec=codec, qualities=qualities, frames=frames, settings=HARD)
    wrong = {(v.codec, v.clip): v.value for v in results.values if v.metric == "mismatches"}
    assert len(HARD) >= 8
    assert all(wrong[f"{codec}:integer", s.name] == 0 for s in HARD)
    assert sum(wrong[f"{codec}:float", s.name] for s in HARD) > 0  # the same test can fail
    size = {v.codec: v.value for v in results.values if v.metric == "bytes"}
    assert size[f"{codec}:integer"] <= 1.01 * size[f"{codec}:float"]
    assert len(rows(results)) == len(HARD) + 2
