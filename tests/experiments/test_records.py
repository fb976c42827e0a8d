import json
import subprocess

import pytest

from codec_lib.errors import MissingData, UsageError
from codec_lib.experiments import records
from codec_lib.experiments.provenance import digest, git_state, provenance, weights_of
from codec_lib.experiments.records import Record, Results, all_values, load_results, merge


def point(**changed) -> Record:
    fields = {"codec": "x265:ld", "profile": "system", "clip": "carphone", "frames": 4, "width": 64, "height": 48,
              "quality": 2, "bytes": 768, "bpp": 0.5, "encode_s": 0.1, "decode_s": 0.2, "metrics": {"psnr": 33.25},
              "symbols_sha256": None, "absent": {"fvd": "no weights"}}
    return Record(**fields | changed)


def test_saved_shape_is_the_one_that_programs_rely_on(tmp_path):
    results = Results("eval", provenance({"codecs": ["x265:ld"]}), [point()])
    path = results.save(tmp_path / "r.json")
    data = json.loads(path.read_text())
    assert set(data["records"][0]) >= {"codec", "profile", "clip", "frames", "width", "height", "quality", "bytes", "bpp",
                                       "encode_s", "decode_s", "metrics", "symbols_sha256"}
    assert data["records"][0]["metrics"] == {"psnr": 33.25}
    assert data["provenance"]["config"] == {"codecs": ["x265:ld"]}
    assert Results.load(path).records == results.records


def test_ids_are_unique_and_find_their_number(tmp_path):
    results = Results("anchors", {"date": "today"}, [point(), point(quality=3, bytes=1536, bpp=1.0)])
    results.add_value("encode_msym_s", 120.5, "Msym/s", codec="range-coder")
    results.save(tmp_path / "anchors.json")
    found = all_values(tmp_path)
    assert found["anchors/x265:ld/carphone/q2/psnr"].value == 33.25
    assert found["anchors/x265:ld/carphone/q2/psnr"].unit == "dB"
    assert found["anchors/x265:ld/carphone/q3/bpp"].value == 1.0
    assert found["anchors/range-coder/-/-/encode_msym_s"].value == 120.5
    assert found["anchors/range-coder/-/-/encode_msym_s"].provenance == {"date": "today"}
    assert len(found) == 2 * 5 + 1


def test_neural_codecs_carry_their_profile():
    assert point(codec="intra", profile="lab").label == "intra@lab"
    assert point().label == "x265:ld"


@pytest.mark.parametrize("changed, says", [
    ({"bpp": 0.51}, "8*bytes/pixels"),
    ({"bytes": 0}, "bytes must be"),
    ({"frames": 2.0}, "frames must be"),
    ({"metrics": {"psnr": float("inf")}}, "psnr must be a finite number"),
    ({"metrics": {"psnr": None}}, "psnr must be a finite number"),
    ({"metrics": {"psnr": True}}, "psnr must be a finite number"),
])
def test_a_record_that_cannot_be_is_refused(changed, says):
    with pytest.raises(UsageError, match=says.replace("*", r"\*")):
        point(**changed)


def test_two_records_of_one_name_are_refused(tmp_path):
    with pytest.raises(UsageError, match="2 records are called"):
        Results("eval", {}, [point(), point()]).save(tmp_path / "r.json")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UsageError, match="2 records are called"):
        merge([Results("a", {}, [point()]), Results("b", {}, [point()])])


@pytest.mark.parametrize("text, says", [
    ("", "cannot be read"), ("[1]", "does not hold results"), ('{"records": [3]}', "record 0: expected an object"),
    ('{"records": [{"codec": "x265:ld"}]}', "record 0: lacks .*bpp"), ('{"records": 7}', "does not hold results"),
])
def test_files_that_are_no_results_say_so(tmp_path, text, says):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        Results.load(path)
    assert str(path) in str(caught.value)


def test_missing_results_name_the_command_that_makes_them(tmp_path, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path))
    with pytest.raises(MissingData, match="table anchors --recompute"):
        load_results("anchors")


def test_one_record_a_line():
    text = records.dump({"provenance": {}, "records": [{"a": 1}, {"a": 2}]})
    assert text.splitlines() == ["{", '"provenance": {},', '"records": [', '  {"a": 1},', '  {"a": 2}', "]", "}"]
    assert json.loads(text) == {"provenance": {}, "records": [{"a": 1}, {"a": 2}]}


def test_provenance_says_all_and_gives_nobody_away():
    import getpass
    import socket
    from pathlib import Path

    made = provenance({"frames": 4}, checkpoints={"intra@lab": "ab12"}, seed=3, seconds=1.25)
    assert set(made) == {"commit", "dirty", "config", "config_digest", "checkpoint_digest", "seed", "hardware",
                         "libraries", "seconds", "date"}
    assert made["libraries"]["torch"] and made["libraries"]["python"].startswith("3.")
    assert "core" in made["hardware"]
    text = json.dumps(made)
    assert str(Path.home()) not in text and str(Path(__file__).parents[2]) not in text
    for name in (socket.gethostname(), getpass.getuser()):
        assert len(name) < 4 or name not in text


def test_weights_are_those_of_the_stream_and_of_what_draws():
    from tiny_diffvc import tiny_diffvc

    codec = tiny_diffvc()
    codec.generator.digest = "0a0b0c0d"
    assert weights_of(codec) == "01020305+0a0b0c0d"
    assert weights_of(tiny_diffvc(diffusion=False)) == "01020305"


def test_config_digest_does_not_depend_on_order():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


def test_code_makes_a_checkout_dirty_and_saved_results_do_not(tmp_path):
    files = {"code/a.py": tmp_path / "code" / "a.py", "result": tmp_path / "data" / "results" / "r.json", "weights": tmp_path / "data" / "w.bin"}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("as committed")

    def git(*words):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    folder = tmp_path / "code"
    commit, dirty = git_state(folder)
    assert len(commit) == 40 and dirty is False
    files["result"].write_text("measured further")
    assert git_state(folder) == (commit, False)
    for name in ("code/a.py", "weights"):
        files[name].write_text("changed")
        assert git_state(folder) == (commit, True), name
        files[name].write_text("as committed")
