"""Table `diffvc-complexity`: published sizes, calls as a codec makes them, and rows that add up."""

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import tiny_diffvc

from codec_lib.codecs.diffvc.config import PROFILES
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.entropy.container import read_stream
from codec_lib.experiments import diffvc_complexity as table
from codec_lib.experiments.records import label


@pytest.fixture(scope="module")
def results():
    codecs = {table.CONDITIONAL: tiny_diffvc(diffusion=False), table.LOOP: tiny_diffvc(loop=True)}
    codecs |= {table.QUICK: tiny_diffvc(), table.FREE: tiny_diffvc()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "load_codec", codecs.__getitem__)
        patch.setattr(table, "WIDTH", 192)
        patch.setattr(table, "HEIGHT", 128)
        return table.measure(["sample:carphone"])


def test_paper_sizes(results):
    found = {v.metric: v.value for v in results.values if v.codec == label("diffvc", "paper")}
    assert found["size"] == pytest.approx(865.9, abs=0.05)
    vae = found[f"parameters {table.ENCODE}"] + found[f"parameters {table.DECODE}"]
    assert vae / 1e6 == pytest.approx(83.65, abs=0.01)
    assert found[f"parameters {table.CODEC}"] / 1e6 == pytest.approx(18.77, abs=0.01)
    assert found[f"parameters {table.CONTROL}"] / 1e6 == pytest.approx(364.2, rel=0.005)  # less the stock stem, and ours


def test_rows_add_up(results):
    rows = table.rows(results)
    for profile in table.SIZES:
        of = {r["part"]: r for r in rows if r["codec"] == label("diffvc", profile)}
        for way in ("encoding", "decoding"):
            whole = sum(of[p]["kmac_per_pixel"] * of[p][f"{way}_calls"] for p in table.PARTS if p in of and p != table.CODEC)
            assert 0 < of[way]["kmac_per_pixel"] - whole <= of[table.CODEC]["kmac_per_pixel"]
        assert (table.GATES in of) == (profile == "lab")
    assert all(row["ids"] for row in rows)
    timed = [r for r in rows if r["part"] == "a P frame"]
    assert [r["codec"] for r in timed] == list(table.TIMED) and timed[-1]["paper_decoding_s"] == pytest.approx(1 / 0.29)


def test_calls_are_those_of_a_codec():
    """Counted on a real stream: what a second P frame adds, less what the pool of steps adds to the first."""
    codec, counted = tiny_diffvc(sampling=Sampling(steps=4, depth=2)), []
    vae = codec.context.space.autoencoder
    for name in ("encode", "decode"):
        plain = getattr(vae, name)
        setattr(vae, name, lambda x, name=name, plain=plain: (counted.append(name), plain(x))[1])
    codec.generator.denoiser.register_forward_hook(lambda *_: counted.append("denoiser"))

    def count(run):
        counted.clear()
        run()
        return {n: counted.count(n) for n in ("encode", "decode", "denoiser")}

    def decode(stream):
        with torch.inference_mode():
            for read in codec.read(*read_stream(stream), False):
                read.pictures()

    ways = {}
    for frames in (2, 3):
        video = moving_video(frames)
        stream = codec.encode(video, 9)
        ways[frames] = [count(lambda v=video: codec.encode(v, 9)), count(lambda s=stream: decode(s))]
    expected = table.calls(PROFILES["lab"])
    for i in (0, 1):
        more = {n: ways[3][i][n] - ways[2][i][n] for n in ways[2][i]}
        assert more["encode"] == expected[table.ENCODE][i] and more["decode"] == expected[table.DECODE][i]
        assert more["denoiser"] == (0, 2)[i]


def test_the_mean_of_a_period_has_one_first_frame():
    assert table.of_period([9.0, 31.0, 2.0, 2.0, 2.0]) == pytest.approx((31 + 30 * 2) / 31)
