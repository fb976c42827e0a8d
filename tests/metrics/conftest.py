"""Clips, and weights folders that hold only what a test puts there."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from metric_clips import noisy, panning

from codec_lib import weights
from codec_lib.metrics import clip_f, dists, fvd, lpips_metric
from codec_lib.video.clip import Video


@pytest.fixture(scope="session")
def clip() -> Video:
    return panning()


@pytest.fixture(scope="session")
def worse(clip) -> Video:
    return noisy(clip, 12.0)


def forget_models():
    for load in (lpips_metric.load_lpips, dists.load_dists, clip_f.load_clip, fvd.load_i3d):
        load.cache_clear()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The only folder in which weights are looked for, empty."""
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()
    forget_models()
    yield tmp_path / "weights"
    forget_models()


@pytest.fixture
def install(folder, monkeypatch):
    """install(entry, index, save) has save(path) write a file and lets the table expect its digest."""

    def put(entry: str, index: int, save) -> Path:
        old = weights.TABLE[entry]
        path = folder / old.files[index].name
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path)
        file = replace(old.files[index], sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        files = old.files[:index] + (file,) + old.files[index + 1 :]
        monkeypatch.setitem(weights.TABLE, entry, replace(old, files=files))
        return path

    return put
