"""Conventional codecs: the settings took effect, the bytes are reproducible, every size comes back, mistakes are one line."""

import os
import re
import subprocess
import tempfile
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from codec_lib.codecs import conventional
from codec_lib.codecs.conventional import bitstream, codec, ffmpeg
from codec_lib.codecs.protocol import CODECS, load_codec
from codec_lib.entropy.stream_errors import CorruptStream, ForeignStream, TruncatedStream
from codec_lib.errors import BitstreamError, CodecLibError, UsageError
from codec_lib.video import Video, rgb_to_yuv

ENCODERS = list(conventional.ENCODERS)
NAMES = [f"{e}:{v}" for e in ENCODERS for v in conventional.VARIANTS]
MIDDLE = 3  # index among the default qualities


@pytest.fixture(scope="module")
def clip(clip_maker):
    return with_planes(clip_maker(width=64, height=48, frames=6, name="drifting"))


@pytest.fixture(scope="module")
def coded(clip):
    """name -> (codec, stream, decoded) of the clip at a middle quality; each coded once."""
    done = {}

    def get(name):
        if name not in done:
            c = load_codec(name)
            stream = c.encode(clip, c.default_qualities[MIDDLE])
            done[name] = c, stream, c.decode(stream)
        return done[name]

    return get


def with_planes(video, **how):
    return Video(video.frames, video.fps, video.name, yuv=rgb_to_yuv(video.frames, **how))


def psnr(a, b, peak=255):
    error = (a.double() - b.double()).square().mean().item()
    return 99.0 if error == 0 else 10 * np.log10(peak**2 / error)


def headers(stream, kind):
    """Syntax elements of all headers, (name, value) in the order of the stream, as ffmpeg's parsers print them."""
    command = [ffmpeg.ffmpeg_exe(), "-hide_banner", "-f", kind, "-i", "-", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"]
    log = subprocess.run(command, input=stream, capture_output=True, check=True).stderr.decode(errors="replace")
    # What is known before the first packet ("Extradata") would be counted twice.
    log = log[log.index("Packet:") :]
    return [(m[1], int(m[2])) for m in re.finditer(r"\] \d+ +([a-z_0-9\[\]]+) +[01]* = (-?\d+)", log)]


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_roundtrip(name, clip, coded):
    c, stream, decoded = coded(name)
    assert c.name == name and c.profile == "system"
    assert bitstream.kind_of(stream) == c.settings.stream
    assert decoded.frames.shape == clip.frames.shape and decoded.fps == clip.fps
    assert decoded.yuv.y.shape == clip.yuv.y.shape and decoded.yuv.u.shape == clip.yuv.u.shape
    assert decoded.yuv.bit_depth == (10 if name.startswith("vvenc") else 8)
    assert (decoded.yuv.matrix, decoded.yuv.full_range) == ("bt709", False)
    shift = decoded.yuv.bit_depth - 8
    assert psnr(clip.yuv.y, decoded.yuv.y.double() / 2**shift) > 33
    assert psnr(clip.frames, decoded.frames) > 29
    assert len(stream) < 0.3 * clip.frames.numel() / 2


@pytest.mark.parametrize("name", [f"{e}:ra" for e in ENCODERS])
def test_same_bytes_again(name, clip, coded):
    c, stream, _ = coded(name)
    assert c.encode(clip, c.default_qualities[MIDDLE]) == stream


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a core")
@pytest.mark.parametrize("encoder", ENCODERS)
def test_same_bytes_on_one_core(encoder, clip, coded, monkeypatch):
    """x264's, x265's and libaom's bytes depend on the number of threads; the machine's cores must not choose it."""
    c, stream, _ = coded(f"{encoder}:ld")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert c.encode(clip, c.default_qualities[MIDDLE]) == stream
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.parametrize("name", [f"{e}:ra" for e in ENCODERS])
def test_decoding_is_ffmpegs_decoding(name, coded, tmp_path):
    _, stream, decoded = coded(name)
    kind = bitstream.kind_of(stream)
    (tmp_path / "a").write_bytes(stream)
    subprocess.run([ffmpeg.ffmpeg_exe(), "-v", "error", "-f", kind, "-i", tmp_path / "a", "-fps_mode", "passthrough",
                    "-f", "rawvideo", tmp_path / "b"], check=True)
    raw = np.fromfile(tmp_path / "b", np.uint8 if decoded.yuv.bit_depth == 8 else "<i2").reshape(len(decoded), -1)
    ours = torch.cat([p.flatten(1) for p in (decoded.yuv.y, decoded.yuv.u, decoded.yuv.v)], 1).numpy()
    assert np.array_equal(raw, ours)


@pytest.mark.parametrize("name", [f"{e}:ld" for e in ENCODERS])
def test_larger_quality_is_bigger_and_better(name, clip, coded):
    c, stream, decoded = coded(name)
    points = [(len(stream), psnr(clip.frames, decoded.frames))]
    for quality in (c.default_qualities[0], c.default_qualities[-1]):
        stream = c.encode(clip, quality)
        points.append((len(stream), psnr(clip.frames, c.decode(stream).frames)))
    middle, low, high = points
    assert low[0] < middle[0] < high[0] and low[1] < middle[1] < high[1]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_both_ends_of_the_quality_range(encoder, clip):
    c = load_codec(f"{encoder}:intra")
    one = clip.first(1)
    worst, best = (c.decode(c.encode(one, q)) for q in (c.qualities[0], c.qualities[-1]))
    assert psnr(one.frames, worst.frames) < 32 < 38 < psnr(one.frames, best.frames)


SIZES = [(17, 15, 2), (64, 48, 1), (16, 16, 2), (2, 2, 1), (1, 1, 1), (70, 33, 2)]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("size", SIZES, ids=lambda s: "x".join(map(str, s)))
def test_every_size_comes_back(encoder, size, clip_maker):
    width, height, frames = size
    clip = with_planes(clip_maker(width=width, height=height, frames=frames))
    c = load_codec(f"{encoder}:ld")
    decoded = c.decode(c.encode(clip, c.default_qualities[-1]))
    assert decoded.frames.shape == clip.frames.shape
    # Also in chroma, up to its last row and column.
    for a, b in ((clip.yuv.y, decoded.yuv.y), (clip.yuv.u, decoded.yuv.u), (clip.yuv.v, decoded.yuv.v)):
        assert a.shape == b.shape
        assert (a.double() - b.double() / 2 ** (decoded.yuv.bit_depth - 8)).abs().max() < 16


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(120), Fraction(7, 3)])
def test_frame_rate_is_in_the_stream(encoder, rate, clip_maker):
    clip = clip_maker(width=32, height=32, frames=2)
    c = load_codec(f"{encoder}:ld")
    assert c.decode(c.encode(Video(clip.frames, rate, "rate"), c.default_qualities[0])).fps == rate


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("how", [{"bit_depth": 10}, {"matrix": "bt601"}, {"full_range": True}], ids=lambda h: str(*h))
def test_samples_are_coded_as_they_are(encoder, how, clip_maker):
    clip = with_planes(clip_maker(width=32, height=32, frames=2), **how)
    c = load_codec(f"{encoder}:ld")
    decoded = c.decode(c.encode(clip, c.default_qualities[MIDDLE]))
    assert (decoded.yuv.matrix, decoded.yuv.full_range) == (clip.yuv.matrix, clip.yuv.full_range)
    assert decoded.yuv.bit_depth == max(clip.yuv.bit_depth, c.settings.depth or 8)
    assert psnr(clip.frames, decoded.frames) > 29


def test_444_and_rgb_sources_are_converted_alike(clip_maker):
    rgb = clip_maker(width=32, height=32, frames=2)
    c = load_codec("x264:ld")
    streams = {c.encode(v, 25) for v in (rgb, with_planes(rgb), with_planes(rgb, subsampling="444"))}
    assert len(streams) == 1


# --- the settings took effect ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_clip(clip_maker):
    """One intra period and three frames more; longer than a second, which some encoders take for a period."""
    return clip_maker(width=48, height=32, frames=35)


@pytest.fixture(scope="module")
def long_stream(long_clip):
    done = {}

    def get(name):
        if name not in done:
            c = load_codec(name)
            done[name] = c.encode(long_clip, c.default_qualities[1])
        return done[name]

    return get


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
def test_streams_hold_no_advertisement(encoder, coded):
    stream = coded(f"{encoder}:ra")[1]
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


# --- mistakes --------------------------------------------------------------------------------------------------------


def test_names():
    assert load_codec("x265").name == "x265:ld"
    assert load_codec("x265:ra@system").name == "x265:ra"
    assert set(ENCODERS) == {n for n, where in CODECS.items() if "conventional" in where}
    for bad in ("x265:fast", "x265:ld:ra"):
        with pytest.raises(UsageError, match="choose from"):
            load_codec(bad)
    with pytest.raises(UsageError, match="profile"):
        load_codec("x265@paper")


@pytest.mark.parametrize("quality", [-1, 64, 1000])
def test_quality_out_of_range(quality, clip):
    for encoder in ENCODERS:
        with pytest.raises(UsageError, match="out of range"):
            load_codec(encoder).encode(clip, quality)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_stream_cut_short_is_told(encoder, coded):
    c, stream, _ = coded(f"{encoder}:ld")
    for cut in (len(stream) // 2, len(stream) - 1):
        with pytest.raises(TruncatedStream) as told:
            c.decode(stream[:cut])
        assert "\n" not in str(told.value) and told.value.exit_status == 2


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_damaged_header_is_told(encoder, coded):
    c, stream, _ = coded(f"{encoder}:ld")
    damaged = bytearray(stream)
    for at in range(12, 24):
        damaged[at] ^= 0x5A
    with pytest.raises(BitstreamError) as told:
        c.decode(bytes(damaged))
    assert "\n" not in str(told.value) and "0x" not in str(told.value).split(":")[0]


def test_a_damaged_picture_is_told(coded):
    c, stream, _ = coded("x264:ld")
    at = stream.rindex(b"\0\0\1\x65") + 40
    with pytest.raises(CorruptStream, match="the H.264 stream is damaged"):
        c.decode(stream[:at] + bytes(255 - b for b in stream[at : at + 200]) + stream[at + 200 :])


@pytest.mark.parametrize("data", [b"", b"GVC1 not this", bytes(1000)])
def test_foreign_data(data):
    with pytest.raises(ForeignStream):
        load_codec("x264").decode(data)


def test_any_of_them_decodes_all_kinds(coded):
    for encoder in ENCODERS:
        _, stream, decoded = coded(f"{encoder}:ra")
        assert torch.equal(load_codec(conventional.sniff(stream)).decode(stream).frames, decoded.frames)


def test_padding_larger_than_the_picture_is_refused(clip_maker):
    c = load_codec("x264:ld")
    stream = c.encode(clip_maker(width=16, height=16, frames=1), 20)
    bare = stream[: -len(bitstream.finished(b"", "h264"))]
    with pytest.raises(CorruptStream, match="padding"):
        c.decode(bitstream.finished(bare, "h264", 16, 0))


def test_too_slow_is_one_line_and_leaves_nothing(clip_maker, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slow = conventional.load("x265:ld", timeout=0.05)
    with pytest.raises(conventional.FFmpegFailed, match="did not finish within 0 s") as told:
        slow.encode(clip_maker(width=256, height=256, frames=8), 40)
    assert "\n" not in str(told.value) and told.value.exit_status == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_said_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(conventional, "encoders", lambda: frozenset({"libx264"}))
    assert conventional.available()["x264"] == "ready" and "libvvenc" in conventional.available()["vvenc"]
    with pytest.raises(CodecLibError, match="has no libvvenc"):
        load_codec("vvenc")


def test_progress_counts_frames(clip):
    told = []
    c = load_codec("x264:ld")
    stream = c.encode(clip, 20, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6) and told == sorted(told)
    c.decode(stream, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
