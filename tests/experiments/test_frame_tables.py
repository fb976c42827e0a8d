"""Tables that look into rate points: bits of packets, P frames against I frames, ablations, errors over many frames."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_conditional import moving_video, tiny_codec, tiny_context_codec
from tiny_intra import tiny_codec as tiny_intra_codec

from codec_lib.codecs.conditional.account import FRAME_BYTE, HYPER, INTRA, MOTION, STEPS, account, frame_parts, replay
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.coder import _ROUNDING_BITS as ROUNDING
from codec_lib.entropy.container import read_stream
from codec_lib.errors import MissingWeights, UsageError
from codec_lib.experiments import coding_ablation, equal_coding, frame_points, i_and_p, propagation
from codec_lib.experiments.frame_points import PointLog, code_clip
from codec_lib.experiments.golden import golden
from codec_lib.experiments.i_and_p import CONDITIONAL
from codec_lib.experiments.i_and_p import INTRA as INTRA_LABEL
from codec_lib.experiments.records import Results, load_results
from codec_lib.experiments.tables import table

FEW = (1, 4, 8, 11, 15)
HEIGHT, WIDTH = 48, 60


def film(frames, seed=0):
    """A small moving picture, one block of 64x64 when padded."""
    return moving_video(frames, HEIGHT, WIDTH, seed)


@pytest.fixture
def results_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def clips_of(*videos):
    """Stands for `find_clips`: the same videos whatever is asked for."""
    return lambda named: [SimpleNamespace(name=v.name, load=lambda frames, v=v: v.first(min(frames, len(v)))) for v in videos]


def few_qualities(codec):
    codec.default_qualities = FEW
    return codec


# ---- frames of a stream


def test_bits_of_frames_are_the_stream_less_its_header():
    codec, video = tiny_codec(), film(4)
    coded = code_clip(codec, video, 9)
    parts = account(codec, coded.stream)
    assert coded.bits.sum() == 8 * (len(coded.stream) - sum(parts.header.values()))
    assert coded.record.bytes == len(coded.stream) and len(coded.psnr) == 4
    assert coded.record.metrics["psnr"] == pytest.approx(coded.psnr.mean())
    bpp, psnr = coded.of_frames(1, HEIGHT * WIDTH)
    assert bpp == pytest.approx(coded.bits[1:].sum() / (3 * HEIGHT * WIDTH)) and psnr == pytest.approx(coded.psnr[1:].mean())
    with pytest.raises(UsageError, match="more than 4"):
        coded.of_frames(4, HEIGHT * WIDTH)


def test_the_account_of_a_stream_is_the_stream():
    codec, video = tiny_codec(), film(4)
    stream = codec.encode(video, 9)
    parts = account(codec, stream)
    assert sum(parts.bits().values()) == 8 * len(stream)
    assert set(parts.coded) == {FRAME_BYTE, INTRA, MOTION, HYPER, *STEPS} and all(b > 0 for b in parts.coded.values())
    assert 0 <= parts.ending < 9 * 3, "only P frames have an ending of their own"
    assert [INTRA in p for p in frame_parts(codec, stream)] == [True, False, False, False]


@pytest.mark.parametrize("stream", [g for g in golden() if g.codec == "conditional"], ids=lambda g: g.path.stem)
def test_golden_streams_are_accounted_for(stream):
    data = stream.path.read_bytes()
    codec = load_codec("conditional")
    parts = account(codec, data)
    assert sum(parts.bits().values()) == 8 * len(data)
    symbols = [s.size for frame in codec.decode_frames(data) if frame.state.motion is not None for s in frame.symbols]
    assert 0 <= parts.ending <= 8.01 * len(symbols) / 3 + ROUNDING * sum(symbols), "six P frames of three kinds of symbols"


@pytest.mark.parametrize("make", [tiny_codec, tiny_context_codec])
def test_a_decoders_replay_finds_the_encoders_classes(make):
    codec = make()
    for coded in list(codec.code(film(3), 9))[1:]:
        assert np.array_equal(replay(codec, coded.state.earlier.features, coded.symbols[-1]), coded.classes[-1])


# ---- the log


def points(log, codec, video, qualities):
    for q in qualities:
        if not log.has("intra@lab", video.name, q):
            log.add(code_clip(codec, video, q).record, {"extra": (q + 0.5, "")})
    return log


def test_a_log_goes_on_where_it_was_broken_off_and_forgets_what_changed(tmp_path):
    codec, video = tiny_intra_codec(), film(2)
    digest = {"intra@lab": "aa"}
    log = PointLog("try", {"frames": 2}, digest, tmp_path / "p.json")
    log.begin(video)
    points(log, codec, video, (3, 5))
    log.results.add_value("derived", 1.0, codec="intra@lab", clip="mean")
    log.finish()
    saved = Results.load(tmp_path / "p.json")
    again = PointLog("try", {"frames": 2}, digest, None, saved)
    again.begin(video)
    assert again.has("intra@lab", "moving", 3) and not again.has("intra@lab", "moving", 4)
    assert again.value("intra@lab", "moving", 5, "extra") == 5.5 and len(again.results.values) == 2
    assert again.curve("intra@lab", "moving", "bpp", "extra")[0][1] == 3.5 and len(again.results.earlier) == 1
    other_weights = PointLog("try", {"frames": 2}, {"intra@lab": "bb"}, None, saved)
    assert not other_weights.results.records and not other_weights.results.values
    again.begin(film(2, seed=5))
    assert not again.results.records and not again.results.values


# ---- i-and-p


@pytest.fixture
def small_i_and_p(monkeypatch, results_folder):
    codecs = {INTRA_LABEL: few_qualities(tiny_intra_codec()), CONDITIONAL: few_qualities(tiny_codec())}
    monkeypatch.setattr(i_and_p, "load_codec", codecs.__getitem__)
    for module in (i_and_p, frame_points):
        monkeypatch.setattr(module, "find_clips", clips_of(film(3)))
    return codecs


def test_i_and_p_from_records_alone(small_i_and_p, results_folder):
    made = table("i-and-p", recompute=True, clips=["any"])
    results = load_results("i-and-p")
    assert len(results.records) == 2 * len(FEW)
    costs = {row["codec"]: row for row in made["rows"] if "codec" in row}
    assert set(costs) == {INTRA_LABEL, CONDITIONAL}
    for row in costs.values():
        assert row["threads"] == torch.get_num_threads() and row["encode_fps"] > 0
        assert 0 < row["kmac_per_pixel decoding"] < row["kmac_per_pixel"]
    motion = next(row for row in made["rows"] if row.get("clip") == "moving")["motion"]
    assert 1.2 < motion < 3.5  # the picture moves by (2, 1)
    assert table("i-and-p")["rows"] == made["rows"]
    known = {v.id for v in results.flat()}
    assert all(i in known for row in made["rows"] for i in row["ids"].values())


def test_i_and_p_goes_on(small_i_and_p, results_folder):
    class Broken(Exception):
        pass

    def stop(done, total, what):
        if done == 7:
            raise Broken

    with pytest.raises(Broken):
        table("i-and-p", recompute=True, clips=["any"], progress=stop)
    partial = Results.load(results_folder / "i-and-p.partial.json")
    assert len(partial.records) == 7
    table("i-and-p", recompute=True, resume=True, clips=["any"])
    assert load_results("i-and-p").records[:7] == partial.records  # the same times: not measured again


def test_share_is_the_rate_at_equal_quality():
    log = PointLog("i-and-p", {}, {})
    for name, factor in ((INTRA_LABEL, 1.0), (CONDITIONAL, 0.3)):
        codec, profile = name.split("@")
        for q in range(5):
            record = code_clip(tiny_intra_codec(), film(1), 3).record
            made = type(record)(codec, profile, "c", 1, 8, 8, q, 100 * (q + 1), 100 * (q + 1) / 8, 1.0, 1.0, {"psnr": 30.0 + q})
            log.add(made, {"bpp of P": (factor * 2**q, "bit/pixel"), "psnr of P": (30.0 + q, "dB"), "motion": (1.0, "pixel/frame")})
    i_and_p._compare(log)
    found = {(v.clip, v.metric): v.value for v in log.results.values if v.quality is None}
    assert found["c", i_and_p.SHARE] == pytest.approx(30) and found["slow", i_and_p.SHARE] == pytest.approx(30)
    assert found["c", i_and_p.WHOLE] == pytest.approx(0, abs=1e-6) and found["mean", i_and_p.MOTION] == 1.0


# ---- coding-ablation


def test_the_ablation_says_what_it_needs(tmp_path):
    with pytest.raises(MissingWeights, match="--checkpoints DIR"):
        table("coding-ablation", recompute=True)
    (tmp_path / "conditional-lab-residual.safetensors").touch()
    with pytest.raises(MissingWeights, match="at least one more"):
        table("coding-ablation", recompute=True, checkpoints=tmp_path)
    with pytest.raises(UsageError, match="leave out --checkpoints"):
        table("i-and-p", recompute=True, checkpoints=tmp_path)


def test_the_ablation_compares_what_the_folder_holds(tmp_path, monkeypatch, results_folder):
    for profile in ("lab-residual", "lab-context"):
        (tmp_path / f"conditional-{profile}.safetensors").touch()
    made_of = {"lab-residual": tiny_codec(), "lab-context": tiny_context_codec()}
    made_of["lab-residual"].profile = "lab-residual"
    monkeypatch.setattr(coding_ablation, "load_codec", lambda name, profile, checkpoint: few_qualities(made_of[profile]))
    monkeypatch.setattr(frame_points, "find_clips", clips_of(film(3)))
    made = table("coding-ablation", recompute=True, checkpoints=tmp_path)
    parts = [row for row in made["rows"] if "quality" in row]
    assert [(r["codec"], r["quality"]) for r in parts] == [(f"conditional@{p}", q) for p in made_of for q in FEW]
    for row in parts:
        assert 0 < sum(row[p] for p in coding_ablation.PARTS) <= row["bpp of P"]
    assert next(r for r in made["rows"] if r.get("clip") == coding_ablation.CLIPS)["conditional@lab-context"] in (0, 1)
    again = table("coding-ablation", recompute=True, resume=True, checkpoints=tmp_path)
    assert again["rows"] == made["rows"]


def test_a_clip_is_won_by_fewer_bits():
    log = PointLog("coding-ablation", {}, {})
    for profile, factor in (("lab-residual", 1.0), ("wide-residual", 0.9), ("lab-conditional", 0.8),
                            ("lab-difference-context", 0.72)):
        for clip, more in (("a", 1.0), ("b", 1.5 if profile == "lab-conditional" else 1.0)):
            for q in range(5):
                record = code_clip(tiny_intra_codec(), film(1), 3).record
                made = type(record)("conditional", profile, clip, 1, 8, 8, q, 100, 12.5, 1.0, 1.0, {"psnr": 30.0 + q})
                log.add(made, {"bpp of P": (more * factor * 2**q, "bit/pixel"), "psnr of P": (30.0 + q, "dB"),
                               **{p: (0.1, "bit/pixel") for p in coding_ablation.PARTS}})
    coding_ablation._compare(log)
    first, second, mean, won, of = coding_ablation.rows(log.results)[:5]
    name = "conditional@lab-conditional"
    assert (first[name], second[name], mean[name]) == (pytest.approx(-20), pytest.approx(20), pytest.approx(0, abs=1e-6))
    assert (won[name], of[name]) == (1, 2) and first["conditional@lab"] is None
    assert first["conditional@lab-difference-context"] == pytest.approx(-28) and won["conditional@lab-difference-context"] == 2
    assert first["at equal network"] == second["at equal network"] == mean["at equal network"] == pytest.approx(-20)
    assert (won["at equal network"], of["at equal network"]) == (2, 2)


# ---- equal-coding


def test_seeds_are_compared_in_pairs(tmp_path, monkeypatch, results_folder):
    with pytest.raises(MissingWeights, match="--checkpoints DIR"):
        table("equal-coding", recompute=True)
    for seed, profiles in (("seed-0", equal_coding.EQUAL), ("seed-1", equal_coding.EQUAL), ("seed-2", equal_coding.EQUAL[:1])):
        (tmp_path / seed).mkdir()
        for profile in profiles:
            (tmp_path / seed / f"conditional-{profile}.safetensors").touch()
    with pytest.raises(MissingWeights, match="seed-0, seed-1"):
        table("equal-coding", recompute=True, checkpoints=tmp_path / "seed-2")

    def load(name, profile, checkpoint):
        codec = few_qualities(tiny_codec())
        codec.profile = profile
        return codec

    monkeypatch.setattr(equal_coding, "load_codec", load)
    monkeypatch.setattr(frame_points, "find_clips", clips_of(film(3)))
    made = table("equal-coding", recompute=True, checkpoints=tmp_path)
    won = next(r for r in made["rows"] if r["clip"] == equal_coding.WINS)
    assert set(won) - {"clip", "ids"} == {"seed-0", "seed-1", "mean of seeds"}
    points = {r.label for r in load_results("equal-coding").records}
    assert points == {f"conditional:seed-{n}@{p}" for n in (0, 1) for p in equal_coding.EQUAL}
    assert table("equal-coding", recompute=True, resume=True, checkpoints=tmp_path)["rows"] == made["rows"]


def test_a_clip_is_won_in_the_mean_of_seeds():
    log = PointLog("equal-coding", {}, {})
    factors = {("a", "seed-0"): 0.9, ("a", "seed-1"): 1.05, ("b", "seed-0"): 0.99, ("b", "seed-1"): 1.05}
    for (clip, seed), factor in factors.items():
        for profile, more in zip(equal_coding.EQUAL, (1.0, factor), strict=True):
            for q in range(5):
                record = code_clip(tiny_intra_codec(), film(1), 3).record
                made = type(record)(f"conditional:{seed}", profile, clip, 1, 8, 8, q, 100, 12.5, 1.0, 1.0, {"psnr": 30.0 + q})
                log.add(made, {"bpp of P": (more * 2**q, "bit/pixel"), "psnr of P": (30.0 + q, "dB")})
    equal_coding._compare(log)
    first, second, mean, won, of = equal_coding.rows(log.results)
    assert [first[k] for k in ("seed-0", "seed-1", "mean of seeds", "spread over seeds")] == pytest.approx([-10, 5, -2.5, 15])
    assert [second[k] for k in ("seed-0", "seed-1", "mean of seeds", "spread over seeds")] == pytest.approx([-1, 5, 2, 6])
    assert mean["mean of seeds"] == pytest.approx(-0.25)
    assert [won[k] for k in ("seed-0", "seed-1", "mean of seeds")] == [2, 0, 1] and of["mean of seeds"] == 2


# ---- propagation


def test_there_and_back():
    video = film(4)
    long = propagation.there_and_back(video, 9)
    order = (0, 1, 2, 3, 2, 1, 0, 1, 2)
    assert all(torch.equal(long.frames[t], video.frames[i]) for t, i in enumerate(order))
    assert torch.equal(propagation.there_and_back(video.first(1), 3).frames, video.frames[[0, 0, 0]])
    assert torch.equal(propagation.there_and_back(video, 3).frames, video.frames[:3])


def test_weights_become_offsets():
    config = tiny_codec().config
    offsets = propagation.hierarchy(config)
    lambdas = [config.lambdas(torch.tensor((8 + o) / (config.n_qualities - 1))).item() for o in offsets]
    base = config.lambdas(torch.tensor(8 / (config.n_qualities - 1))).item()
    assert np.allclose(np.log(np.array(lambdas) / base), np.log(propagation.FRAME_WEIGHTS), atol=0.25)


def test_the_nearest_rate_is_found():
    codec = propagation.with_structure(tiny_codec(), offsets=(0, -2, 1, -2))
    assert codec.structure.cut == float("inf") and tiny_codec().structure.offsets == Structure().offsets
    video = film(4)
    rates = {q: code_clip(codec, video, q).record.bpp for q in range(5, 12)}
    for start in (6, 10):
        found = propagation.nearest_rate(codec, video, start, 1.001 * rates[8], "conditional:hierarchical-0")
        assert found.record.quality == 8 and found.record.label == "conditional:hierarchical-0@lab"


def test_propagation_from_records_alone(monkeypatch, results_folder):
    monkeypatch.setattr(propagation, "load_codec", lambda name: tiny_codec())
    monkeypatch.setattr(propagation, "find_clips", clips_of(film(3)))
    monkeypatch.setattr(propagation, "FRAMES", 9)
    monkeypatch.setattr(propagation, "PERIODS", (0, 5))
    monkeypatch.setattr(propagation, "VARIANTS", {f"conditional:{k}-{p}@lab": (k, p) for p in (0, 5) for k in propagation.KINDS})
    made = table("propagation", recompute=True)
    results = load_results("propagation")
    assert [(r["codec"], r["clip"]) for r in made["rows"]] == [(n, c) for n in propagation.VARIANTS for c in ("moving", "mean")]
    assert all(row["rate over flat"] == 0 for row in made["rows"] if "flat" in row["codec"])
    for name in propagation.VARIANTS:
        frames = propagation.curve(results, name)
        assert len(frames) == 9 and frames == propagation.curve(results, name, "moving")
    by_period = [sum((b & 0x80) > 0 for b in kinds(p)) for p in (0, 5)]
    assert by_period == [1, 2]


def kinds(period):
    codec = propagation.with_structure(tiny_codec(), intra_period=period)
    return [p.payload[0] for p in read_stream(codec.encode(propagation.there_and_back(film(3), 9), 6))[1]]
