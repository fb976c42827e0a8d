"""Table `tdir`: counts are the schedule's, a run that is resumed measures nothing twice, rows name their records."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import tiny_diffvc

from codec_lib.diffusion.reuse import calls_per_period
from codec_lib.experiments import tdir as table
from codec_lib.experiments.records import Results, Value, label
from codec_lib.metrics import metric
from codec_lib.video import write_video

FRAMES, LONG = 6, 8


class Stub:
    """Stands for LPIPS, whose weights may not be there."""

    def per_frame(self, reference, decoded):
        return [(a.float() - b.float()).abs().mean().item() / 255 for a, b in zip(reference.frames, decoded.frames, strict=True)]


@pytest.fixture
def small(monkeypatch):
    for name, value in {"FRAMES": FRAMES, "LONG": LONG, "QUALITIES": (2, 5, 8, 12), "MIDDLE": 5}.items():
        monkeypatch.setattr(table, name, value)
    monkeypatch.setattr(table, "load_codec", lambda name, **options: tiny_diffvc())
    monkeypatch.setattr(table, "metric", lambda name: Stub() if name == "lpips" else metric(name))


def test_measured_resumed_and_shown(small, tmp_path, monkeypatch):
    clip, out = tmp_path / "moving.y4m", tmp_path / "tdir.json"
    write_video(moving_video(FRAMES, 64, 64), clip)
    monkeypatch.setattr(table, "CHECK", str(clip))
    results = table.measure([str(clip)], out=out)
    calls = {v.codec: v.value for v in results.values if v.metric == "calls" and v.clip == "moving" and v.quality == 5}
    for depth in table.DEPTHS:
        assert calls[label(table.named(depth), "lab")] == calls_per_period(FRAMES - 1, table.STEPS, depth)
    found = {(v.codec, v.metric): v.value for v in results.values if v.clip == "mean"}
    assert found[table.FULL, table.SAVED] == found[table.FULL, table.DECODING] == found[table.FULL, table.LOSS] == 0
    blended = label(table.named(table.STEPS, blended=True), "lab")
    assert found[blended, table.LOSS] == 0 and calls[blended] == calls[table.FULL] and "detail" not in blended
    assert found[blended, "denoising_s"] == found[table.FULL, "denoising_s"], "drawn once, shown in two ways"
    seconds = {r.label: r.decode_s for r in results.records if (r.clip, r.quality) == ("moving", 5)}
    none = label(table.named(0), "lab")
    assert found[none, table.DECODING] == pytest.approx(100 * (1 - seconds[none] / seconds[table.FULL]))
    assert [v.value for v in results.values if v.metric == "check calls"] == [table.STEPS]
    assert found[label(table.named(0), "lab"), table.CALLS] == pytest.approx(100 * (1 - 1 / (FRAMES - 1)))
    uncut = [v.value for v in results.values if v.clip == table.UNCUT]
    assert uncut == [pytest.approx(found[table.FULL, table.LOWEST])] and -1 <= uncut[0] <= 1
    rows = table.rows(results)
    assert [r["codec"] for r in rows[:4]] == [label(table.named(d), "lab") for d in table.DEPTHS]
    ids = {v.id for v in results.values}
    assert all(set(r["ids"].values()) <= ids for r in rows)
    resumed = table.measure([str(clip)], out=out, resume=Results.load(out))
    assert [r.decode_s for r in resumed.records] == [r.decode_s for r in results.records]
    half = Results.load(out)  # of another clip one point only was measured
    half.records.append(replace(next(r for r in half.records if r.quality == 2), clip="half"))
    went_on = table.measure([str(clip)], out=out, resume=half)
    assert "half" in {r.clip for r in went_on.records} and "half" not in {v.clip for v in went_on.values}
    assert {(v.codec, v.metric): v.value for v in went_on.values if v.clip == "mean"} == found


def test_similarity_compares_frames_of_one_period():
    watch = table.Likeness()
    same = {1: torch.ones(1, 2, 2, 2), 2: torch.ones(1, 2, 2, 2)}
    watch(1, same)
    watch(2, same)
    watch(5, {n: -y for n, y in same.items()})  # after an I frame
    watch(6, same)
    assert watch.units() == {table.likeness_name(1, 1): (0.0, ""), table.likeness_name(1, 2): (0.0, "")}
    assert watch.found[1, 1] == [pytest.approx(1), pytest.approx(-1)]


def test_the_least_alike_step_is_that_of_clips_without_a_cut():
    alike = {"one": [0.9, 0.7], "two": [0.5, 0.8], "cut": [0.1, 0.1]}
    at = {(table.FULL, clip, table.likeness_name(1, n)): v for clip, found in alike.items() for n, v in enumerate(found, 1)}
    at |= {(table.FULL, clip, "p frames"): FRAMES - 1 - (clip == "cut") for clip in alike}
    assert table.least_alike(at, dict.fromkeys(alike, FRAMES)) == pytest.approx(0.7)  # of steps, after the mean over clips
    assert table.least_alike(at, {"cut": FRAMES}) is None


def test_growth_leaves_out_the_i_frame():
    assert table.growth([100.0, 1, 1, 2, 2, 2, 2, 3, 3]) == 3


@pytest.mark.parametrize(("p_frames", "cut"), [(FRAMES - 1, False), (FRAMES - 2, True)])
def test_a_cut_is_known_from_what_was_measured(small, p_frames, cut):
    clip = moving_video(FRAMES, 64, 64)
    value = Value("tdir", "p frames", p_frames, "", codec=table.FULL, clip=clip.name, quality=table.MIDDLE)
    assert table._has_cut(SimpleNamespace(results=SimpleNamespace(values=[value])), clip) is cut
    assert not table._has_cut(SimpleNamespace(results=SimpleNamespace(values=[])), clip)
