"""Conventional codecs: each setting of the table took effect, read off the streams that came out."""

import re
import subprocess
import tempfile
from dataclasses import replace

import av
import pytest
from conventional_clips import ENCODERS, MIDDLE, NAMES

from codec_lib.codecs import conventional
from codec_lib.codecs.conventional import bitstream, codec, ffmpeg
from codec_lib.codecs.protocol import load_codec
from codec_lib.errors import CodecLibError


def headers(stream, kind):
    """Syntax elements of all headers, (name, value) in the order of the stream, as ffmpeg's parsers print them."""
    command = [ffmpeg.ffmpeg_exe(), "-hide_banner", "-f", kind, "-i", "-", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]
    log = subprocess.run(command, input=stream, capture_output=True, check=True).stderr.decode(errors="replace")
    # What is known before the first packet ("Extradata") would be counted twice.
    log = log[log.index("Packet:") :]
    return [(m[1], int(m[2])) for m in re.finditer(r"\] \d+ +([a-z_0-9\[\]]+) +[01]* = (-?\d+)", log)]


def shown_types(stream, kind):
    """I, P or B of each H.264 or HEVC frame in the order shown, and whether any is coded before one shown earlier."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(stream)
        file.flush()
        with av.open(file.name, format=kind) as container:
            video = container.streams.video[0]
            frames = list(container.decode(video))
            return [av.video.frame.PictureType(f.pict_type).name for f in frames], video.codec_context.has_b_frames


@pytest.mark.parametrize("encoder", ["x264", "x265"])
def test_frame_types(encoder, long_stream):
    kind = conventional.ENCODERS[encoder].stream
    types, reordering = shown_types(long_stream(f"{encoder}:ld"), kind)
    assert "".join(types) == "I" + "P" * 34 and not reordering
    types, reordering = shown_types(long_stream(f"{encoder}:ra"), kind)
    assert [t for t, type in enumerate(types) if type == "I"] == [0, 32]
    assert "B" in types and reordering
    types, reordering = shown_types(long_stream(f"{encoder}:intra"), kind)
    assert "".join(types) == "I" * 35 and not reordering


@pytest.mark.parametrize("encoder", ["svtav1", "libaom"])
def test_av1_frames(encoder, long_stream):
    def frames(variant):
        """(key frame, shown at once) for each coded frame, in coding order; frames shown again later are left out."""
        found = [(k, v) for k, v in headers(long_stream(f"{encoder}:{variant}"), "obu")
                 if k in ("show_existing_frame", "frame_type", "show_frame")]
        types = [v == 0 for k, v in found if k == "frame_type"]
        shown = [v == 1 for k, v in found if k == "show_frame"]
        return list(zip(types, shown, strict=True)), sum(v for k, v in found if k == "show_existing_frame")

    found, shown_later = frames("intra")
    assert found == [(True, True)] * 35 and not shown_later
    found, shown_later = frames("ra")
    assert sum(key for key, _ in found) == 2 and shown_later > 5
    found, _ = frames("ld")
    assert [key for key, _ in found] == [True] + [False] * (len(found) - 1)


@pytest.mark.parametrize("encoder", ["svtav1", "libaom"])
def test_av1_key_frames_stand_where_they_should(encoder, long_clip, long_stream):
    log = subprocess.run(
        [ffmpeg.ffmpeg_exe(), "-hide_banner", "-f", "obu", "-i", "-", "-vf", "showinfo", "-fps_mode", "passthrough", "-f", "null", "-"],
        input=long_stream(f"{encoder}:ra"), capture_output=True, check=True).stderr.decode()
    keys = [int(m[1]) for m in re.finditer(r" n: *(\d+) .*iskey:1", log)]
    assert keys == [0, 32] and log.count("iskey:") == len(long_clip)


def test_vvc_pictures(long_stream):
    def pictures(variant):
        """(starts afresh, place in the order shown) of each picture in coding order."""
        found, kind = [], 0
        for name, value in headers(long_stream(f"vvenc:{variant}"), "vvc"):
            if name == "nal_unit_type":
                kind = value
            elif name == "ph_pic_order_cnt_lsb":
                found.append((7 <= kind <= 10, value))
        return found

    orders = [n for _, n in pictures("ld")]
    assert orders == list(range(35)) and [i for i, _ in pictures("ld")] == [True] + [False] * 34
    found = pictures("ra")
    assert [n for i, n in found if i] == [0, 32]
    assert sorted(n for _, n in found) == list(range(35)) and [n for _, n in found] != list(range(35))
    assert all(i for i, _ in pictures("intra")) and len(pictures("intra")) == 35


@pytest.mark.parametrize("encoder", ENCODERS)
def test_low_delay_codes_each_frame_without_knowing_the_next(encoder, clip, coded):
    """The stream of the first frames begins the stream of all: nothing reordered, nothing looked ahead at."""
    c, whole, _ = coded(f"{encoder}:ld")
    end = bitstream.finished(b"", c.settings.stream)
    for frames in (1, 4):
        start = c.encode(clip.first(frames), c.default_qualities[MIDDLE])
        assert whole.startswith(start[: len(start) - len(end)])


@pytest.mark.parametrize("name", NAMES)
def test_book_shows_the_arguments_that_are_used(name, clip, monkeypatch):
    given = []

    def spy(arguments, folder, **how):
        given.extend(arguments)
        raise ffmpeg.FFmpegFailed("not today")

    monkeypatch.setattr(codec, "run", spy)
    c = load_codec(name)
    with pytest.raises(CodecLibError, match=re.escape(f"{name} could not code 'drifting' (64x48): not today")):
        c.encode(clip, c.qualities[-1])
    shown = [str(c.settings.best) if a == "QP" else a for a in conventional.settings(name)]
    at = given.index("-c:v")
    assert given[at : at + len(shown)] == shown
    assert "QP" in conventional.settings(name) and ["-threads", "1"] == shown[2:4]


def test_settings_are_tuned_for_psnr_and_pinned_to_one_thread():
    text = {e: " ".join(conventional.settings(f"{e}:ra")) for e in ENCODERS}
    for wanted in ("-preset veryslow -tune psnr", "lookahead-threads=1", "sliced-threads=0"):
        assert wanted in text["x264"]
    for wanted in ("-preset veryslow -tune psnr", "pools=none", "frame-threads=1", "wpp=0"):
        assert wanted in text["x265"]
    assert "tune=1" in text["svtav1"] and "lp=1" in text["svtav1"]
    assert "-tune psnr" in text["libaom"] and "-row-mt 0" in text["libaom"]
    assert "-qpa 0" in text["vvenc"]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_streams_hold_no_advertisement(encoder, long_stream):
    stream = long_stream(f"{encoder}:ra")
    for word in (b"x264", b"x265", b"SVT", b"libaom", b"VVenC", b"Lavc", b"options"):
        assert word not in stream


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_setting_is_ignored(encoder, clip, monkeypatch):
    """ffmpeg only warns of a parameter that an encoder does not know: no warning may come, and a wrong one must bring one."""
    logs = []
    real = codec.run
    monkeypatch.setattr(codec, "run", lambda *a, **k: logs.append(real(*a, **k)))
    complaint = re.compile(r"(?i)unknown|error parsing|invalid|not found|unrecogni|ignor|unused|failed to set")
    harmless = re.compile("thread priority")

    def complaints():
        lines = "".join(logs).splitlines()
        return [line for line in lines if complaint.search(line) and not harmless.search(line)]

    for variant in conventional.VARIANTS:
        c = load_codec(f"{encoder}:{variant}")
        c.encode(clip.first(2), c.default_qualities[0])
    assert complaints() == []
    c.settings = replace(c.settings, params=(*c.settings.params, "no-such-option=1"))
    try:
        c.encode(clip.first(2), c.default_qualities[0])
    except conventional.FFmpegFailed:
        return
    assert complaints() != []


def test_default_qualities_are_legal_and_enough():
    for name in NAMES:
        c = load_codec(name)
        assert len(c.default_qualities) >= 6 and list(c.default_qualities) == sorted(set(c.default_qualities))
        assert all(c.check_quality(q) == q for q in c.default_qualities)
