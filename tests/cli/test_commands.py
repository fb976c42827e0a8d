"""The commands doing what they are for, on clips of a few frames."""

import json
import os
import re
import subprocess
import sys

import pytest

from codec_lib.cli import COMMANDS, parser

CODEC = "x264:intra"


def test_encode_decode_info(cli, tiny_file, tiny_clip, tmp_path):
    made = cli("encode", tiny_file, tmp_path / "o.264", "--codec", CODEC, "--frames", "3", "--json")
    assert made.status == 0 and made.err == ""
    said = json.loads(made.out)
    size = (tmp_path / "o.264").stat().st_size
    assert said["bytes"] == size and said["frames"] == 3 and said["codec"] == CODEC
    assert said["bpp"] == pytest.approx(8 * size / (3 * 64 * 48))

    about = json.loads(cli("info", tmp_path / "o.264", "--json").out)
    assert about["bytes"] == size and len(about["packets"]) == 3
    assert sum(p["bytes"] for p in about["packets"]) <= size
    assert (about["header"]["width"], about["header"]["height"]) == (64, 48)
    assert "64" in cli("info", tmp_path / "o.264").out

    from codec_lib.video import read_video

    for name in ("rec.mkv", "rec.mp4", "rec.y4m", "rec_64x48_25fps_420_8bit.yuv", "pictures"):
        decoded = cli("decode", tmp_path / "o.264", tmp_path / name)
        assert decoded.status == 0 and decoded.err == "", decoded.err
        back = read_video(tmp_path / name)
        assert tuple(back.frames.shape) == (3, 3, 48, 64)
        error = (back.frames.float() - tiny_clip.frames[:3].float()).abs().mean()
        assert error < 12, f"{name}: {error}"
    assert {p.name for p in tmp_path.iterdir()} == {"o.264", "rec.mkv", "rec.mp4", "rec.y4m",
                                                    "rec_64x48_25fps_420_8bit.yuv", "pictures"}


@pytest.mark.parametrize("width, height, frames", [(64, 48, 1), (50, 38, 2)])
def test_one_frame_and_sizes_that_are_no_multiple_of_anything(cli, clip_maker, tmp_path, width, height, frames):
    from codec_lib.video import read_video, write_video

    write_video(clip_maker(width, height, frames), tmp_path / "in.y4m")
    assert cli("encode", tmp_path / "in.y4m", tmp_path / "o.264", "--codec", CODEC).status == 0
    assert cli("decode", tmp_path / "o.264", tmp_path / "rec.y4m").status == 0
    assert tuple(read_video(tmp_path / "rec.y4m").frames.shape) == (frames, 3, height, width)


def test_raw_video_with_its_size_given(cli, tiny_file, tmp_path):
    cli("encode", tiny_file, tmp_path / "a.264", "--codec", CODEC)
    assert cli("decode", tmp_path / "a.264", tmp_path / "raw.yuv").status == 0
    again = cli("encode", tmp_path / "raw.yuv", tmp_path / "b.264", "--codec", CODEC, "--size", "64x48", "--fps", "25")
    assert again.status == 0, again.err


def test_eval_compare_resume(cli, tiny_file, tmp_path):
    out = tmp_path / "r.json"
    argv = ["eval", "--codec", "x264:intra,x265:intra", "--clips", tiny_file, "--metrics", "psnr,ms-ssim", "--out", out]
    made = cli(*argv, "--keep", tmp_path / "kept")
    assert made.status == 0, made.err
    data = json.loads(out.read_text())
    assert len(data["records"]) >= 10
    for record in data["records"]:
        suffix = {"x264:intra": "264", "x265:intra": "265"}[record["codec"]]
        kept = tmp_path / "kept" / f"drifting-{record['codec'].replace(':', '-')}-q{record['quality']}.{suffix}"
        assert record["bytes"] == kept.stat().st_size
        assert kept.with_suffix(".mkv").exists()
        assert record["bpp"] == pytest.approx(8 * record["bytes"] / (4 * 64 * 48))
        assert 15 < record["metrics"]["psnr"] < 70
        # 64x48 is too small for five scales: the metric says so and gives no number
        assert "ms-ssim" in record["absent"] and "ms-ssim" not in record["metrics"]
        assert record["encode_s"] > 0 and record["decode_s"] > 0

    compared = cli("compare", out, "--anchor", "x264:intra", "--json")
    assert compared.status == 0, compared.err
    found = json.loads(compared.out)
    assert found["anchor"] == "x264:intra" and found["metric"] == "psnr"
    assert set(found["bd_rate"]["x265:intra"]) >= {"percent", "overlap", "clips"}
    assert "BD-rate against x264:intra" in cli("compare", out, "--anchor", "x264:intra").out

    again = cli(*argv, "--resume")
    assert again.status == 0, again.err
    after = json.loads(out.read_text())
    assert after["records"] == data["records"], "times differ: measured again although everything was there"
    assert after["earlier"] == [data["provenance"]]
    quality = data["records"][0]["quality"]
    more = cli("eval", "--codec", "x264:intra", "--qualities", quality, "--clips", tiny_file, "--metrics", "psnr-yuv",
               "--out", out, "--resume")
    assert more.status == 0, more.err
    metrics = {(r["codec"], r["quality"]): set(r["metrics"]) for r in json.loads(out.read_text())["records"]}
    assert len(metrics) == len(data["records"])
    assert metrics.pop(("x264:intra", quality)) == {"psnr", "psnr-yuv"}
    assert set(map(frozenset, metrics.values())) == {frozenset({"psnr"})}


def test_eval_prints_json_and_works_without_a_file(cli, tiny_file):
    made = cli("eval", "--codec", CODEC, "--clips", tiny_file, "--qualities", "1", "--frames", "2", "--json")
    assert made.status == 0, made.err
    records = json.loads(made.out)["records"]
    assert len(records) == 1 and records[0]["frames"] == 2 and records[0]["symbols_sha256"] is None


def test_table_lists_and_reads_saved_records(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_RESULTS", str(tmp_path))
    assert "anchors" in cli("table").out
    missing = cli("table", "anchors")
    assert missing.status == 1 and "--recompute" in missing.err
    from codec_lib.experiments.records import Record, Results

    record = Record("x265:ld", "system", "clip", 2, 64, 48, 3, 768, 1.0, 0.1, 0.1, {"psnr": 33.333333})
    Results("anchors", {"commit": "0123456789ab", "date": "2026-01-01", "hardware": "here"}, [record]).save()
    made = json.loads(cli("table", "anchors", "--json").out)
    assert set(made) == {"name", "paper", "rows", "provenance"}
    assert made["rows"][0]["psnr"] == 33.333333
    assert made["rows"][0]["ids"]["psnr"] == "anchors/x265:ld/clip/q3/psnr"
    text = cli("table", "anchors").out
    assert "33.33" in text and "0123456789" in text


def test_doctor(cli):
    made = cli("doctor", "--json")
    found = json.loads(made.out)
    assert found["problems"] == [], found["problems"]
    assert made.status == 0
    assert found["findings"]["versions"]["torch"]
    assert found["findings"]["metrics"]["psnr"] == "ready"
    assert {"x264", "x265", "svtav1", "libaom", "vvenc"} <= set(found["findings"]["ffmpeg"])


def test_weights_and_data_say_what_is_here(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    listed = json.loads(cli("weights", "list", "--json").out)
    assert {row["here"] for row in listed} == {"no"}
    (tmp_path / "alexnet-owt-7be5be79.pth").write_bytes(b"not these weights")
    assert cli("weights", "verify").status == 1
    assert "wrong digest" in cli("weights", "verify", "lpips-alex").out
    assert cli("weights", "verify", "fvd").status == 1
    assert "sample" in cli("data", "list").out


# As a process: speed of the start, streams, signals.

def test_help_is_quick_and_loads_no_torch(program):
    best = min(_seconds(program) for _ in range(3))
    assert best < 0.3, f"--help took {best:.2f} s"
    ran = subprocess.run([sys.executable, "-X", "importtime", "-m", "codec_lib", "encode", "--help"], capture_output=True,
                         text=True)
    assert ran.returncode == 0
    assert not re.search(r"\b(torch|numpy|av|compressai)\b", ran.stderr), "a heavy package is imported for --help"


def _seconds(program) -> float:
    """Processor seconds of `--help`, which another program on the same cores does not lengthen."""
    before = os.times()
    ran = program("--help")
    after = os.times()
    assert ran.returncode == 0 and "encode" in ran.stdout
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_an_example_that_parses(cli, name):
    import importlib

    shown = cli(name, "--help")
    assert shown.status == 0
    examples = importlib.import_module(f"codec_lib.commands.{name}").EXAMPLES
    assert examples
    for example in examples:
        assert example in shown.out
        words = example.split(" python -m codec_lib ")[-1].removeprefix("python -m codec_lib ").split()
        assert parser().parse_args(words).command == name


def test_help_of_encode_names_every_codec(cli):
    from codec_lib.codecs.protocol import CODECS

    shown = cli("encode", "--help").out
    assert [name for name in CODECS if not re.search(rf"\b{name}\b", shown)] == []


def test_closed_pipe_is_quiet():
    ran = subprocess.run(f"{sys.executable} -m codec_lib table | true", shell=True, capture_output=True, text=True)
    assert ran.stderr == ""


def test_user_mistake_as_a_process(program, tmp_path):
    ran = program("info", "no.gvc", cwd=tmp_path)
    assert ran.returncode == 2 and ran.stdout == ""
    assert ran.stderr == "codec_lib: no such file: no.gvc\n"


def test_ended_from_outside_it_takes_its_files_along(tmp_path):
    script = ("import os, signal\n"
              "from codec_lib.cli import main\n"
              "import codec_lib.commands.info as command\n"
              "from codec_lib.files import written_aside\n"
              "def run(args):\n"
              f"    with written_aside({str(tmp_path / 'o.bin')!r}) as aside:\n"
              "        aside.write_bytes(b'half')\n"
              "        os.kill(os.getpid(), signal.SIGTERM)\n"
              "command.run = run\n"
              "raise SystemExit(main())\n")
    ran = subprocess.run([sys.executable, "-c", script, "info", "x"], capture_output=True, text=True)
    assert ran.returncode == 143 and "Traceback" not in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_drawn_where_there_is_no_terminal(program, tiny_file, tmp_path):
    ran = program("eval", "--codec", CODEC, "--clips", tiny_file, "--qualities", "1", "--frames", "1",
                  "--out", tmp_path / "r")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
