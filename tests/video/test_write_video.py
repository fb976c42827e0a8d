"""Writing: what is written comes back, whole or not at all."""

import subprocess
from dataclasses import replace
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from codec_lib.errors import CodecLibError, UsageError
from codec_lib.video import Video, read_video, rgb_to_yuv, write_video, yuv_to_rgb
from codec_lib.video import io as io_module


def clip(width=64, height=48, frames=5, fps=Fraction(30000, 1001), **planes):
    """Drifting smooth colours; with planes of their own when a format is given."""
    t, c = torch.arange(frames).view(-1, 1, 1, 1), torch.arange(3).view(1, -1, 1, 1)
    y, x = torch.arange(height).view(1, 1, -1, 1), torch.arange(width).view(1, 1, 1, -1)
    frames = (128 + 50 * torch.sin((x + t) / 6 + c) + 50 * torch.cos(y / 8 - c)).round().to(torch.uint8)
    if not planes:
        return Video(frames, fps, "clip")
    yuv = rgb_to_yuv(frames, **planes)
    return Video(yuv_to_rgb(yuv), fps, "clip", yuv=yuv)


def psnr(a, b):
    error = (a.double() - b.double()).square().mean().item()
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


def equal(a, b):
    return all((getattr(a, n) == getattr(b, n)).all() for n in "yuv") and (a.bit_depth, a.matrix, a.full_range) == (
        b.bit_depth, b.matrix, b.full_range,
    )  # fmt: skip


FORMATS = [
    {"subsampling": s, "bit_depth": b, "matrix": m, "full_range": f}
    for s, b, m, f in (
        ("420", 8, "bt709", False), ("420", 10, "bt709", False), ("444", 8, "bt709", False), ("444", 10, "bt601",
        False), ("420", 8, "bt601", True), ("420", 8, "bt2020", False),
    )
]  # fmt: skip


@pytest.mark.parametrize("suffix", [".mkv", ".y4m"])
@pytest.mark.parametrize("how", FORMATS)
@pytest.mark.parametrize("size", [(64, 48), (33, 17)])
def test_planes_are_kept(tmp_path, suffix, how, size):
    video = clip(*size, **how)
    path = tmp_path / f"a{suffix}"
    write_video(video, path)
    back = read_video(path)
    assert equal(back.yuv, video.yuv) and (back.frames == video.frames).all() and back.fps == video.fps


@pytest.mark.parametrize("how", FORMATS)
def test_raw_planes_are_kept(tmp_path, how):
    video = clip(33, 17, **how)
    path = tmp_path / f"a_33x17_29.97fps_{how['subsampling']}_{how['bit_depth']}bit.yuv"
    write_video(video, path)
    back = read_video(path, matrix=how["matrix"], full_range=how["full_range"])
    assert equal(back.yuv, video.yuv) and back.fps == video.fps


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (1, 1)])
def test_rgb_is_kept_by_mkv_and_png(tmp_path, size):
    video = clip(*size)
    for path in (tmp_path / "a.mkv", tmp_path / "a"):
        write_video(video, path)
        assert (read_video(path).frames == video.frames).all()
    assert [p.name for p in sorted((tmp_path / "a").iterdir())][:2] == ["frame_00000.png", "frame_00001.png"]


@pytest.mark.parametrize("name", ["a.y4m", "a_64x48.yuv"])
def test_rgb_becomes_420_in_raw_files(tmp_path, name):
    video = clip()
    write_video(video, tmp_path / name)
    back = read_video(tmp_path / name)
    assert equal(back.yuv, rgb_to_yuv(video.frames))


@pytest.mark.parametrize("size", [(64, 48), (33, 17), (64, 47)])
@pytest.mark.parametrize("how", [{}, *FORMATS])
def test_mp4_is_visually_lossless(tmp_path, size, how):
    video = clip(*size, **how)
    write_video(video, tmp_path / "a.mp4")
    back = read_video(tmp_path / "a.mp4")
    assert psnr(back.frames, video.frames) > 45 and back.fps == video.fps and len(back) == len(video)
    assert back.frames.shape == video.frames.shape
    native = how.get("bit_depth") == 8 and how["subsampling"] == ("444" if size[0] % 2 or size[1] % 2 else "420")
    assert (back.yuv.matrix, back.yuv.full_range) == (
        (how["matrix"], how["full_range"]) if native else ("bt709", False)
    )


def test_mp4_plays_in_browsers(tmp_path):
    """H.264 High profile, 8-bit 4:2:0, tagged, index in front of the pictures."""
    path = tmp_path / "a.mp4"
    write_video(clip(bit_depth=10), path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, stream.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")


def test_ffmpeg_reads_what_is_written(tmp_path):
    """The ffmpeg program decodes every format to the same planes."""
    video = clip(subsampling="420")
    expected = b"".join(p[t].numpy().tobytes() for t in range(5) for p in (video.yuv.y, video.yuv.u, video.yuv.v))
    for name in ("a.mkv", "a.y4m"):
        write_video(video, tmp_path / name)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / name), "-f", "rawvideo", "-"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == expected


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m", "a.yuv", "a"])
def test_overwriting_needs_force(tmp_path, name):
    path = tmp_path / name
    write_video(clip(), path)
    before = read_video(path, **({"size": (64, 48)} if name == "a.yuv" else {}))
    with pytest.raises(UsageError, match="exists: give --force"):
        write_video(clip(frames=2), path)
    write_video(clip(frames=2), path, force=True)
    after = read_video(path, **({"size": (64, 48)} if name == "a.yuv" else {}))
    assert (len(before), len(after)) == (5, 2)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m", "a.yuv", "a"])
def test_nothing_half_written_is_left(tmp_path, name, monkeypatch):
    """A failure in the middle of writing leaves the old file as it was and no new one."""
    path = tmp_path / name
    write_video(clip(frames=2), path)
    files = sorted(p.read_bytes() for p in ([path] if path.is_file() else path.iterdir()))

    def fails(video, target):
        (target / "half.png" if target.is_dir() else target).write_bytes(b"half")
        raise RuntimeError("disk on fire")

    monkeypatch.setattr(io_module, "_WRITERS", {s: fails for s in io_module._WRITERS})
    monkeypatch.setattr(io_module, "write_folder", fails)
    with pytest.raises(RuntimeError, match="disk on fire"):
        write_video(clip(), path, force=True)
    assert sorted(p.read_bytes() for p in ([path] if path.is_file() else path.iterdir())) == files
    with pytest.raises(RuntimeError, match="disk on fire"):
        write_video(clip(), tmp_path / f"b{path.suffix}")
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_unusable_outputs(tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "thesis.doc").write_text("two years of work")
    for name, message in (
        ("a.webm", "use .mp4, .mkv, .y4m, .yuv or a name without suffix"),
        ("nowhere/a.mp4", "does not exist"),
        ("file/a.mp4", "is not a folder"),
        ("folder.mp4", "it is a folder"),
        ("file", "it is a file"),
        ("mixed", "holds more than images"),
    ):
        with pytest.raises(UsageError, match=message) as error:
            write_video(clip(), tmp_path / name, force=True)
        assert "\n" not in str(error.value) and error.value.exit_status == 2
    assert (tmp_path / "mixed" / "thesis.doc").exists()


def test_what_an_encoder_refuses_is_one_line(tmp_path):
    wide = Video(torch.zeros(1, 3, 2, 20000, dtype=torch.uint8), Fraction(25), "wide")
    with pytest.raises(CodecLibError, match="FFmpeg could not write 20000x2") as error:
        write_video(wide, tmp_path / "a.mp4")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_altered_frames_without_planes(tmp_path):
    """A clip whose planes were dropped is written from its frames."""
    video = replace(clip(subsampling="444"), yuv=None)
    write_video(video, tmp_path / "a.mkv")
    assert (read_video(tmp_path / "a.mkv").frames == video.frames).all()
