"""Conventional codecs: the bytes are reproducible, every size and format comes back, mistakes are one line."""

import os
import subprocess
import tempfile
from fractions import Fraction

import numpy as np
import pytest
import torch
from conventional_clips import ENCODERS, MIDDLE, NAMES, psnr, with_planes

from codec_lib.codecs import conventional
from codec_lib.codecs.conventional import bitstream, ffmpeg
from codec_lib.codecs.protocol import CODECS, load_codec
from codec_lib.entropy.stream_errors import CorruptStream, ForeignStream, TruncatedStream
from codec_lib.errors import BitstreamError, CodecLibError, UsageError
from codec_lib.video import Video

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
