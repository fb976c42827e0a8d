"""The speed experiment: every coder gives its symbols back, and ours is the small and fast one."""

import pytest

from codec_lib.experiments import entropy_speed
from codec_lib.experiments.records import Results


@pytest.fixture(scope="module")
def measured():
    return entropy_speed.measure_rows(100_000, repeats=4)


def test_rows_hold_what_they_say(measured):
    assert [(r["mix"], r["coder"]) for r in measured] == [
        (mix, coder) for mix in ("picture", "uniform") for coder in ("range-coder", "per-symbol", "compressai")]
    for r in measured:
        assert r["bytes"] == pytest.approx(100_000 * r["bits"] / 8 * (1 + r["excess"] / 100), rel=1e-9)
        assert all(r[what] > 0 for what in ("encode", "encode_core", "decode", "decode_core"))


def test_the_grouped_coder_is_smallest_and_fastest(measured):
    for mix in ("picture", "uniform"):
        ours, per_symbol, other = (r for r in measured if r["mix"] == mix)
        assert ours["excess"] < 0.05 and ours["bytes"] <= min(per_symbol["bytes"], other["bytes"])
        for what in ("encode", "decode"):
            assert ours[what] > max(other[what], per_symbol[what])  # by a factor of 3 to 20 with a million symbols


def test_a_coder_that_decodes_something_else_is_not_timed():
    class Wrong(entropy_speed.Grouped):
        def decode(self):
            return super().decode()[::-1]

    with pytest.raises(AssertionError, match="decoded other symbols"):
        entropy_speed.measure_rows(1000, repeats=1, mixes=("uniform",), coders=(Wrong,))


def test_records_become_the_table(monkeypatch, measured):
    monkeypatch.setattr(entropy_speed, "measure_rows", lambda progress: measured)
    results = Results.from_dict(entropy_speed.measure().to_dict())
    table = entropy_speed.rows(results)
    assert len(table) == 6
    for made, row in zip(table, measured, strict=True):
        assert made["ids"]["encode"] == f"entropy/{row['coder']}/-/-/{row['mix']} encode"
        assert all(made[k] == row[k] for k in ("mix", "coder", "encode", "decode_core", "bytes", "excess"))


@pytest.mark.parametrize("mix", entropy_speed.MIXES)
def test_drawn_symbols_follow_their_classes(mix):
    symbols, classes = entropy_speed.draw(mix, 50_000)
    assert symbols.shape == classes.shape == (50_000,)
    for k in (12, 24):
        assert symbols[classes == k].std() == pytest.approx(entropy_speed.SIGMAS[k], rel=0.3)
