"""Long tables can be broken off and gone on with."""

import pytest

from codec_lib.errors import UsageError
from codec_lib.experiments import anchors
from codec_lib.experiments.records import Results
from codec_lib.experiments.tables import table


@pytest.fixture
def short(tmp_path, monkeypatch):
    """Anchors of one codec, one frame and PSNR only."""
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path))
    monkeypatch.setattr(anchors, "CODECS", ("x264:ld",))
    monkeypatch.setattr(anchors, "METRICS", ("psnr",))
    monkeypatch.setattr(anchors, "FRAMES", 1)
    return tmp_path


class Interrupted(Exception):
    pass


def interrupt_at(point):
    def progress(done, total, what):
        if done == point:
            raise Interrupted
    return progress


def test_a_long_table_keeps_what_it_has_and_goes_on(short):
    with pytest.raises(Interrupted):
        table("anchors", recompute=True, clips=["sample:carphone"], progress=interrupt_at(2))
    partial = short / "anchors.partial.json"
    before = Results.load(partial).records
    assert len(before) == 2 and not (short / "anchors.json").exists()

    done = table("anchors", recompute=True, resume=True, clips=["sample:carphone"])
    saved = Results.load(short / "anchors.json").records
    assert len(done["rows"]) == len(saved) == 6 and not partial.exists()
    assert saved[:2] == before  # the same times: they were not measured again


def test_clips_can_be_added_to_a_saved_table(short):
    table("anchors", recompute=True, clips=["sample:carphone"])
    made = table("anchors", recompute=True, resume=True, clips=["sample:pan"])
    assert {row["clip"] for row in made["rows"]} == {"carphone", "pan"}
    assert len(Results.load(short / "anchors.json").earlier) == 1


def test_measuring_anew_forgets_what_was_broken_off(short):
    with pytest.raises(Interrupted):
        table("anchors", recompute=True, clips=["sample:pan"], progress=interrupt_at(1))
    made = table("anchors", recompute=True, clips=["sample:carphone"])
    assert {row["clip"] for row in made["rows"]} == {"carphone"}


def test_short_tables_have_nothing_to_resume():
    with pytest.raises(UsageError, match="one go"):
        table("entropy", recompute=True, resume=True)
