"""`evaluate`: real files, another process, failures that stay where they happened."""

from pathlib import Path

import pytest
from raw_codec import RawCodec

from codec_lib.codecs.protocol import CODECS
from codec_lib.errors import UsageError
from codec_lib.experiments.decode_worker import DecodeFailed, DecodeWorker
from codec_lib.experiments.evaluate import evaluate
from codec_lib.experiments.records import Results


@pytest.fixture(autouse=True)
def raw_codec(monkeypatch, tmp_path):
    """Make RawCodec known here and, through a module that Python loads at its start, in the decoding process."""
    monkeypatch.setitem(CODECS, "raw", "raw_codec:load")
    here = str(Path(__file__).parent)
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        f"import sys; sys.path.append({here!r})\n"
        "from codec_lib.codecs.protocol import CODECS\n"
        "CODECS['raw'] = 'raw_codec:load'\n")
    monkeypatch.setenv("PYTHONPATH", str(hook))


def test_rate_points_are_measured_on_files_decoded_elsewhere(tiny_file, tmp_path):
    out = tmp_path / "r.json"
    results = evaluate(["raw"], [str(tiny_file)], metrics=["psnr"], out=out, keep=tmp_path / "kept")
    assert results.failures == []
    assert [r.quality for r in results.records] == [0, 1, 2, 3, 4]
    psnr = [r.metrics["psnr"] for r in results.records]
    assert psnr == sorted(psnr) and psnr[0] < 35 and psnr[-1] == 100
    for r in results.records:
        assert r.bytes == 20 + 4 * 3 * 48 * 64 == (tmp_path / "kept" / f"drifting-raw@lab-q{r.quality}.gvc").stat().st_size
        assert r.bpp == pytest.approx(8 * r.bytes / (4 * 48 * 64)) and len(r.symbols_sha256) == 64
    assert results.provenance["checkpoint_digest"] == {"raw@lab": "01020304"}
    assert Results.load(out).records == results.records
    assert str(tmp_path) not in out.read_text(), "results must not give paths away"


def test_qualities_can_be_said_for_one_codec(tiny_file):
    results = evaluate(["raw", "raw:talks"], [str(tiny_file)], metrics=["psnr"], qualities={"raw@lab": [3, 1]})
    found = {label: [r.quality for r in results.records if r.label == label] for label in ("raw@lab", "raw:talks@lab")}
    assert found == {"raw@lab": [3, 1], "raw:talks@lab": [0, 1, 2, 3, 4]}
    assert results.provenance["config"]["codecs"] == found


@pytest.mark.parametrize("name, says", [
    ("raw:dies", "the decoding process ended with status 7"),
    ("raw:drops", "decoded frames have shape"),
    ("raw:drifts", "read other symbols than the encoder wrote"),
])
def test_one_codec_that_fails_does_not_cost_the_others(tiny_file, name, says):
    # The good codec prints to its stdout as it decodes: that must not be taken for an answer either.
    results = evaluate([name, "raw:talks"], [str(tiny_file)], metrics=["psnr"], qualities=[3])
    assert [(r.codec, r.quality) for r in results.records] == [("raw:talks", 3)]
    assert [(f["codec"], f["quality"]) for f in results.failures] == [(f"{name}@lab", 3)]
    assert says in results.failures[0]["error"] and results.failures[0]["clip"] == "drifting"


def test_one_point_that_fails_is_named(tiny_file):
    results = evaluate(["raw:refuses"], [str(tiny_file)], metrics=["psnr"])
    assert [r.quality for r in results.records] == [0, 1, 3, 4]
    assert results.failures == [{"codec": "raw:refuses@lab", "clip": "drifting", "quality": 2,
                                 "error": "RuntimeError: quality 2 is broken"}]


def test_a_clip_that_cannot_be_read_is_a_failure_of_that_clip(tiny_file, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    results = evaluate(["raw"], [str(bad), str(tiny_file)], metrics=["psnr"], qualities=[1])
    assert len(results.records) == 1
    assert [f["clip"] for f in results.failures] == ["bad"]


def test_nothing_begins_before_names_and_qualities_are_right(tiny_file, tmp_path):
    out = tmp_path / "r.json"
    for wrong in ({"qualities": [1, 99]}, {"qualities": {"raw@lab": [99]}}, {"qualities": {"x265:ld": [1]}}, {"metrics": ["beauty"]}):
        with pytest.raises(UsageError):
            evaluate(["raw"], [str(tiny_file)], out=out, **wrong)
    assert not out.exists()


def test_resume_measures_again_what_changed(tiny_file, tmp_path, monkeypatch):
    first = evaluate(["raw"], [str(tiny_file)], metrics=["psnr"], qualities=[1, 2])
    kept = evaluate(["raw"], [str(tiny_file)], metrics=["psnr"], qualities=[2, 3], resume=first)
    assert [r.quality for r in kept.records] == [1, 2, 3]
    assert kept.records[:2] == first.records, "measured again although nothing had changed"
    fewer = evaluate(["raw"], [str(tiny_file)], metrics=["psnr"], qualities=[2], frames=2, resume=kept)
    assert [(r.quality, r.frames) for r in fewer.records] == [(2, 2)], "records of other frames must not stay"
    monkeypatch.setattr(RawCodec, "checkpoint", b"\x05\x06\x07\x08")
    retrained = evaluate(["raw"], [str(tiny_file)], metrics=["psnr"], qualities=[2], resume=first)
    assert [r.quality for r in retrained.records] == [2], "records of other weights must not stay"


@pytest.mark.parametrize("names, times", [(["raw:viewed here", "raw:viewed there"], 1), (["raw", "raw:talks"], 2)])
def test_codecs_that_differ_in_what_a_viewer_sees_are_encoded_once(tiny_file, monkeypatch, names, times):
    asked, encode = [], RawCodec.encode
    monkeypatch.setattr(RawCodec, "encode", lambda codec, video, quality: asked.append(quality) or encode(codec, video, quality))
    results = evaluate(names, [str(tiny_file)], metrics=["psnr"], qualities=[1, 3])
    assert sorted(asked) == sorted([1, 3] * times) and len(results.records) == 4 and not results.failures
    both = [[(r.bytes, r.symbols_sha256, r.metrics) for r in results.records if r.codec == name] for name in names]
    assert both[0] == both[1]
    if times == 1:
        here, there = [[r.encode_s for r in results.records if r.codec == name] for name in names]
        assert here == there, "the seconds are those of the one encoding"


def test_worker_lives_through_a_bad_stream(tiny_clip, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(RawCodec("raw").encode(tiny_clip, 4))
    bad.write_bytes(b"short")
    with DecodeWorker(tmp_path / "decoded") as worker:
        with pytest.raises(DecodeFailed):
            worker.decode("raw", None, bad)
        with pytest.raises(DecodeFailed, match="unknown codec 'no-such'"):
            worker.decode("no-such", None, good)
        assert (worker.decode("raw", None, good).video.frames == tiny_clip.frames).all()
        with pytest.raises(DecodeFailed, match="status 7"):
            worker.decode("raw:dies", None, good)
        assert (worker.decode("raw", None, good).video.frames == tiny_clip.frames).all()
