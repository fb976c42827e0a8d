"""What a user can get wrong: each mistake gives one clear line, status 2 or 1, and leaves nothing behind."""

import os
import shutil
from pathlib import Path

import pytest

STREAM_CODEC = "x264:intra"
X264 = ("--codec", STREAM_CODEC)


@pytest.fixture
def folder(tmp_path, tiny_file, tiny_clip) -> Path:
    """Good and bad inputs in one folder; nothing may be added to it."""
    from codec_lib.codecs.protocol import load_codec

    shutil.copy(tiny_file, tmp_path / "good.y4m")
    stream = load_codec(STREAM_CODEC).encode(tiny_clip, 3)
    (tmp_path / "good.264").write_bytes(stream)
    (tmp_path / "text.mp4").write_text("this is no video\n" * 40)
    (tmp_path / "noise.gvc").write_bytes(bytes(range(7, 251)) * 9)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty.gvc").touch()
    (tmp_path / "cut.y4m").write_bytes(tiny_file.read_bytes()[:-100])
    (tmp_path / "noframes.y4m").write_bytes(tiny_file.read_bytes().split(b"\n")[0] + b"\n")
    (tmp_path / "unnamed.yuv").write_bytes(bytes(64 * 48 * 3 // 2))
    (tmp_path / "short_64x48_25fps_420_8bit_YUV.yuv").write_bytes(bytes(100))
    (tmp_path / "no_pictures").mkdir()
    (tmp_path / "taken.gvc").write_text("taken")
    (tmp_path / "r.json").write_text('{"records": []}')
    (tmp_path / "bad.json").write_text("{")
    return tmp_path


def check(result, folder: Path, before: set, status: int, *says: str):
    assert "Traceback" not in result.err
    assert result.err.count("\n") == 1 and result.err.endswith("\n"), result.err
    for words in says:
        assert words in result.err
    assert result.status == status, result.err
    assert set(folder.rglob("*")) == before


MISTAKES = {
    "missing input": (["encode", "no.mp4", "o.264", *X264], 2, ["no.mp4"]),
    "not a video": (["encode", "text.mp4", "o.264", *X264], 2, ["text.mp4"]),
    "empty file": (["encode", "empty.mp4", "o.264", *X264], 2, ["empty.mp4"]),
    "no frames in the file": (["encode", "noframes.y4m", "o.264", *X264], 2, ["noframes.y4m"]),
    "cut in a frame": (["encode", "cut.y4m", "o.264", *X264], 2, ["cut.y4m"]),
    "raw video of unknown size": (["encode", "unnamed.yuv", "o.264", *X264], 2, ["unnamed.yuv", "size"]),
    "raw video shorter than a frame": (["encode", "short_64x48_25fps_420_8bit_YUV.yuv", "o.264", *X264],
                                       2, ["short_64x48"]),
    "folder without pictures": (["encode", "no_pictures", "o.264", *X264], 2, ["no_pictures"]),
    "zero frames": (["encode", "good.y4m", "o.264", *X264, "--frames", "0"], 2, ["--frames", "1 or more"]),
    "frames that are no number": (["encode", "good.y4m", "o.264", *X264, "--frames", "many"], 2, ["--frames"]),
    "unknown codec": (["encode", "good.y4m", "o.gvc", "--codec", "x266"], 2, ["x266", "choose from", "x265"]),
    "unknown variant": (["encode", "good.y4m", "o.gvc", "--codec", "x265:fast"], 2, ["fast"]),
    "unknown profile": (["encode", "good.y4m", "o.gvc", "--codec", "intra@huge"], 2, ["huge"]),
    "quality too high": (["encode", "good.y4m", "o.264", *X264, "--quality", "10000"],
                         2, ["10000", "out of range", "from 0 to"]),
    "quality below zero": (["encode", "good.y4m", "o.264", *X264, "--quality", "-1"], 2, ["-1", "out of range"]),
    "quality that is no number": (["encode", "good.y4m", "o.264", *X264, "--quality", "best"], 2, ["--quality"]),
    "bad size": (["encode", "unnamed.yuv", "o.264", *X264, "--size", "64"], 2, ["WIDTHxHEIGHT"]),
    "bad frame rate": (["encode", "good.y4m", "o.264", *X264, "--fps", "0"], 2, ["--fps", "above 0"]),
    "output is there": (["encode", "good.y4m", "taken.gvc", *X264], 2, ["taken.gvc exists", "--force"]),
    "output in no folder": (["encode", "good.y4m", "nowhere/o.264", *X264], 2, ["nowhere", "does not exist"]),
    "output below a file": (["encode", "good.y4m", "taken.gvc/o.264", *X264], 2, ["taken.gvc", "is not a folder"]),
    "output is a folder": (["encode", "good.y4m", "no_pictures", "--force", *X264], 2, ["no_pictures", "folder"]),
    "output is the input": (["encode", "good.y4m", "good.y4m", "--force"], 2, ["same file"]),
    "decode a missing file": (["decode", "no.gvc", "o.mp4"], 2, ["no such file", "no.gvc"]),
    "decode a foreign file": (["decode", "noise.gvc", "o.mp4"], 2, ["noise.gvc"]),
    "decode an empty file": (["decode", "empty.gvc", "o.mp4"], 2, ["empty.gvc is empty"]),
    "decode a folder": (["decode", "no_pictures", "o.mp4"], 2, ["no_pictures is a folder"]),
    "decode text": (["decode", "text.mp4", "o.mp4"], 2, ["text.mp4"]),
    "decode to an unknown format": (["decode", "good.264", "o.xyz"], 2, [".xyz", ".mp4"]),
    "decode onto a file": (["decode", "good.264", "taken.gvc/frames"], 2, ["taken.gvc"]),
    "info on a foreign file": (["info", "noise.gvc"], 2, ["noise.gvc"]),
    "info on a missing file": (["info", "no.gvc"], 2, ["no such file"]),
    "eval an unknown codec": (["eval", "--codec", "x266", "--clips", "good.y4m"], 2, ["x266"]),
    "eval an unknown metric": (["eval", "--codec", "x264", "--clips", "good.y4m", "--metrics", "beauty"],
                               2, ["beauty"]),
    "eval a missing clip": (["eval", "--codec", "x264", "--clips", "no.mp4"], 2, ["no.mp4"]),
    "eval a quality out of range": (["eval", "--codec", "x264", "--clips", "good.y4m", "--qualities", "0,999"],
                                    2, ["999"]),
    "eval qualities that are no numbers": (["eval", "--codec", "x264", "--qualities", "a,b"], 2, ["--qualities"]),
    "eval onto a file": (["eval", "--codec", "x264", "--clips", "good.y4m", "--out", "r.json"], 2, ["r.json exists"]),
    "resume nothing": (["eval", "--codec", "x264", "--clips", "good.y4m", "--resume"], 2, ["--out"]),
    "resume from no results": (["eval", "--codec", "x264", "--clips", "good.y4m", "--resume", "--out", "bad.json"], 2,
                               ["bad.json cannot be read"]),
    "eval without a codec": (["eval"], 2, ["--codec"]),
    "data set that is not here": (["eval", "--codec", "x264", "--clips", "uvg"], 1, ["uvg"]),
    "compare a missing file": (["compare", "no.json", "--anchor", "x265"], 2, ["no such file"]),
    "compare what is no JSON": (["compare", "bad.json", "--anchor", "x265"], 2, ["bad.json cannot be read"]),
    "compare nothing": (["compare", "r.json", "--anchor", "x265"], 2, ["x265"]),
    "unknown table": (["table", "chairs"], 2, ["unknown table 'chairs'", "anchors"]),
    "unknown weights": (["weights", "get", "heavy"], 2, ["heavy", "choose from"]),
    "unknown data set": (["data", "get", "films"], 2, ["films"]),
    "unknown recipe": (["train", "bread", "--data", "no_pictures"], 2, ["bread", "intra"]),
    "option of training that does not exist": (["train", "conditional", "--data", "no_pictures", "--option", "colour=red"],
                                               2, ["colour=red", "coding"]),
    "option of training without a value": (["train", "conditional", "--data", "no_pictures", "--option", "coding"],
                                           2, ["NAME=VALUE"]),
    "option of training with a wrong value": (["train", "conditional", "--data", "no_pictures", "--option", "coding=none"],
                                              2, ["none", "residual"]),
    "options that do not go together": (["train", "conditional", "--data", "no_pictures", "--option", "motion=learned"],
                                        2, ["quadtree"]),
    "options where there are none": (["train", "intra", "--data", "no_pictures", "--option", "coding=residual"],
                                     2, ["intra has no options"]),
    "unknown profile to train": (["train", "conditional", "--data", "no_pictures", "--profile", "huge"], 2, ["huge", "lab"]),
    "no training data": (["train", "intra", "--data", "nowhere"], 2, ["nowhere"]),
    "unknown command": (["transmogrify"], 2, ["transmogrify"]),
    "no command": ([], 2, ["COMMAND"]),
    "unknown option": (["info", "good.264", "--loud"], 2, ["--loud"]),
}


@pytest.mark.parametrize("argv, status, says", MISTAKES.values(), ids=MISTAKES)
def test_mistake(cli, folder, monkeypatch, argv, status, says):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CODEC_LIB_DATA", str(folder / "nowhere"))
    before = set(folder.rglob("*"))
    check(cli(*argv), folder, before, status, *says)


def test_read_only_folder(cli, folder, monkeypatch):
    if os.geteuid() == 0:  # root may write anywhere: take the answer of the system for a user who may not
        monkeypatch.setattr("codec_lib.files.os.access", lambda path, mode: False)
    else:
        folder.chmod(0o555)
    result = cli("encode", folder / "good.y4m", folder / "o.264", *X264)
    folder.chmod(0o755)
    check(result, folder, set(folder.rglob("*")), 2, "no permission to write")
    assert not (folder / "o.264").exists()


def test_missing_checkpoint_is_status_1_and_says_how_to_get_it(cli, folder, monkeypatch):
    monkeypatch.setattr("codec_lib.checkpoint.CHECKPOINTS", folder / "nowhere")
    before = set(folder.rglob("*"))
    result = cli("encode", folder / "good.y4m", folder / "o.gvc", "--codec", "intra")
    check(result, folder, before, 1, "checkpoint", "train")


def test_missing_weights_make_a_metric_absent_with_the_reason(cli, folder, monkeypatch):
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(folder / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "nowhere"))
    result = cli("eval", *X264, "--clips", folder / "good.y4m", "--qualities", "2", "--frames", "1",
                 "--metrics", "psnr,lpips")
    assert result.status == 0 and result.err == ""
    assert "absent: lpips: weights 'lpips-squeeze' are not on this machine" in result.out
    assert "weights get lpips-squeeze" in result.out


def test_full_disk_leaves_nothing(cli, folder, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("codec_lib.files.os.fsync", full)
    before = set(folder.rglob("*"))
    result = cli("encode", folder / "good.y4m", folder / "o.264", *X264)
    check(result, folder, before, 1, "No space left on device")


def test_interrupt_leaves_nothing_and_is_status_130(cli, folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("codec_lib.files.os.fsync", stop)
    before = set(folder.rglob("*"))
    result = cli("encode", folder / "good.y4m", folder / "o.264", *X264)
    check(result, folder, before, 130, "interrupted")


def test_an_unexpected_error_is_one_line_that_names_the_switch(cli, folder, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("codec_lib.video.read_video", broken)
    before = set(folder.rglob("*"))
    result = cli("encode", folder / "good.y4m", folder / "o.264", *X264)
    check(result, folder, before, 1, "RuntimeError: two lines", "CODEC_LIB_TRACEBACK")


@pytest.mark.parametrize("damage, says", [
    (lambda s: s[:3], "cut short"), (lambda s: s[:20], "cut short"), (lambda s: s[:-1], "packet 2 of 3 is cut short"),
    (lambda s: s[:40] + bytes([s[40] ^ 1]) + s[41:], "checksum"), (lambda s: s + b"x", "1 bytes follow"),
    (lambda s: s[:4] + b"\xff" + s[5:], "version 255"),
], ids=["in the magic", "in the header", "in a packet", "one bit", "one byte too many", "from the future"])
@pytest.mark.parametrize("command", ["decode", "info"])
def test_damaged_stream(cli, folder, command, damage, says):
    from fractions import Fraction

    from codec_lib.entropy.container import Packet, StreamHeader, write_stream

    header = StreamHeader("intra", "lab", bytes(4), 64, 48, 3, Fraction(25), 3)
    stream = write_stream(header, [Packet(bytes(range(n)), n) for n in (30, 20, 10)])
    (folder / "damaged.gvc").write_bytes(damage(stream))
    before = set(folder.rglob("*"))
    argv = [command, folder / "damaged.gvc"] + [folder / "o.mp4"] * (command == "decode")
    check(cli(*argv), folder, before, 2, says)


def test_cut_conventional_stream(cli, folder):
    stream = (folder / "good.264").read_bytes()
    (folder / "cut.264").write_bytes(stream[: len(stream) // 50])
    before = set(folder.rglob("*"))
    check(cli("decode", folder / "cut.264", folder / "o.mp4"), folder, before, 2)


def test_force_replaces_and_refuses_nothing_else(cli, folder):
    result = cli("encode", folder / "good.y4m", folder / "taken.gvc", *X264, "--force")
    assert result.status == 0, result.err
    assert (folder / "taken.gvc").read_bytes() != b"taken"
