"""The neural codec from the command line: file to stream to file, and what is left of a damaged stream."""

import json

import pytest

from codec_lib.video import read_video


@pytest.fixture(scope="module")
def stream(tiny_file, tmp_path_factory):
    from codec_lib.cli import main

    path = tmp_path_factory.mktemp("streams") / "clip.gvc"
    assert main(["encode", str(tiny_file), str(path), "--codec", "intra", "--quality", "20"]) in (0, None)
    return path


def test_round_trip_keeps_size_and_length(cli, stream, tiny_clip, tmp_path):
    out = tmp_path / "rec.y4m"
    assert cli("decode", stream, out).status == 0
    video = read_video(out)
    assert (len(video), video.width, video.height, video.fps) == (4, 64, 48, 25)


def test_info_names_codec_quality_and_packets(cli, stream):
    shown = json.loads(cli("info", stream, "--json").out)
    text = json.dumps(shown)
    assert '"intra"' in text and "20" in text
    assert len(shown["packets"]) == 4


def test_truncated_stream_is_refused_and_its_first_frames_can_be_saved(cli, stream, tmp_path):
    cut = tmp_path / "cut.gvc"
    cut.write_bytes(stream.read_bytes()[:-20])
    refused = cli("decode", cut, tmp_path / "no.y4m")
    assert refused.status == 2 and len(refused.err.strip().splitlines()) == 1
    assert not (tmp_path / "no.y4m").exists()
    saved = cli("decode", cut, tmp_path / "some.y4m", "--salvage")
    assert saved.status == 0
    assert len(read_video(tmp_path / "some.y4m")) == 3


def test_quality_out_of_range_names_the_range(cli, tiny_file, tmp_path):
    result = cli("encode", tiny_file, tmp_path / "x.gvc", "--codec", "intra", "--quality", "64")
    assert result.status == 2 and "0 to 63" in result.err
    assert list(tmp_path.iterdir()) == []
