"""Table `qpp`: prompts that say what they are called, the same stream under all, rows that name their records."""

from dataclasses import replace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import tiny_diffvc

from codec_lib.checkpoint import checkpoint_path
from codec_lib.codecs.diffvc.picture import Gates
from codec_lib.experiments import qpp as table
from codec_lib.experiments.records import Record, Results
from codec_lib.metrics import metric
from codec_lib.video import write_video


class Stub:
    """Stands for a metric whose weights may not be there."""

    def __init__(self, there):
        self.there = there

    def available(self, reference):
        return None if self.there else "not here"

    def __call__(self, reference, decoded):
        return (reference.frames.float() - decoded.frames.float()).abs().mean().item() / 255


def test_prompts_say_what_they_are_called():
    codec = tiny_diffvc()
    told = table.prompts(codec)
    r = codec.ratio(3)
    right = told["right"](r)
    assert torch.equal(told["zero"](r), codec.generator.prompt(torch.ones(1)))
    assert torch.allclose(told["wrong"](r).mean(), codec.generator.prompt(codec.ratio(0) * codec.ratio(15) / r).mean(), atol=1e-5)
    assert torch.allclose(told["wrong"](codec.ratio(0)), told["right"](codec.ratio(15)), atol=1e-4)
    assert torch.equal(told["without"](r), codec.generator.denoiser.empty[None])
    assert not torch.equal(told["random"](r), told["random"](r)) and told["random"](r).shape == right.shape


def test_measured_resumed_and_shown(monkeypatch, tmp_path):
    for name, value in {"FRAMES": 3, "QUALITIES": (0, 5, 10, 15), "LEVELS": 3, "LEVEL_FRAMES": 2, "CHECK_QUALITY": 5,
                        "CHECK": str(tmp_path / "moving.y4m")}.items():
        monkeypatch.setattr(table, name, value)
    monkeypatch.setattr(table, "load_codec", lambda name, **options: codec)
    monkeypatch.setattr(table, "metric", lambda name: metric(name) if name == "psnr" else Stub(name == "lpips"))
    clip, out, codec = tmp_path / "moving.y4m", tmp_path / "qpp.json", tiny_diffvc()
    codec.generator.gates = Gates().eval()
    codec.generator.sampling = replace(codec.generator.sampling, detail=False)
    write_video(moving_video(3, 64, 64), clip)
    results = table.measure([str(clip)], out=out)
    labels = {r.label for r in results.records}
    assert labels == {table.named(p, b) for p in ("right", *table.INSTEAD) for b in (False, True)}
    for quality in table.QUALITIES:
        assert len({r.bytes for r in results.records if r.quality == quality}) == 1
    assert "dists" not in results.records[0].metrics
    lpips = {(r.label, r.quality): r.metrics["lpips"] for r in results.records}
    for way in (table.OTHERS, table.OTHERS_BLENDED):
        assert len({lpips[label, 5] for label in way if (label, 5) in lpips}) > 1
    assert all(lpips[table.RIGHT, q] != lpips[table.RIGHT_BLENDED, q] for q in table.QUALITIES)
    for prompt in ("right", "without"):
        [kept] = [r for r in results.records if (r.label, r.quality) == (table.named(prompt), 5)]
        found = {v.metric: v.value for v in results.values if v.codec == kept.label and v.metric.startswith("check")}
        assert found == {"check bpp": kept.bpp, "check psnr": kept.metrics["psnr"], "check lpips": kept.metrics["lpips"]}
    [share] = [v.value for v in results.values if v.metric == table.RISING and v.clip == "mean"]
    assert 0 <= share <= 1
    again = table.measure([str(clip)], out=out, resume=Results.load(out))
    assert [r.decode_s for r in again.records] == [r.decode_s for r in results.records]
    assert [v.value for v in again.values if v.metric == table.RISING] == [v.value for v in results.values if v.metric == table.RISING]


def test_savings_are_bd_rates_the_other_way_round():
    results, pixels = Results("qpp"), 64 * 64 * 4
    for name, factor in (("right", 0.9), ("without", 1.0), ("right+blended", 0.8), ("without+blended", 1.0)):
        for quality, size in ((0, 1000), (10, 2000), (20, 4000), (30, 8000)):
            bytes_ = round(factor * size)
            results.records.append(Record(f"diffvc:{name}", "lab", "clip", 4, 64, 64, quality, bytes_, 8 * bytes_ / pixels, 0.0, 0.0,
                                          {"psnr": 25.0 + quality / 10, "lpips": 0.4 - quality / 100}))
    table._compare(results, ["without"])
    rows = table.rows(results)
    ids = {v.id for v in results.values}
    assert all(set(r["ids"].values()) <= ids for r in rows)
    drawn, blended = (r for r in rows if r["metric"] == table.SAVING)
    assert drawn["without"] == pytest.approx(10, abs=0.1) and drawn["paper_without"] == 5.09
    assert blended["without"] == pytest.approx(20, abs=0.1) and blended["shown"] == "blended" and "paper_without" not in blended
    assert next(r for r in rows if r["metric"] == "psnr")["without"] == pytest.approx(-10, abs=0.1)


def test_the_model_without_prompts_is_its_own_checkpoint(monkeypatch):
    loaded = []
    monkeypatch.setattr(table, "load_codec", lambda name, **options: (loaded.append(options), tiny_diffvc())[1])
    monkeypatch.setattr(table, "find_clips", lambda name: [])
    monkeypatch.setattr(table, "_keep_check", lambda *args: None)
    table.measure()
    assert [o.get("generator") for o in loaded] == [None, checkpoint_path("diffvc-generator", "lab-none")]
