"""Reading video files of every kind that `read_video` promises, each written here through PyAV."""

import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from codec_lib.errors import UsageError, VideoError
from codec_lib.video import YUVPlanes, read_video, yuv_to_rgb

W, H, T = 64, 48, 5
# container, encoder that is lossless in it, options
LOSSLESS = {
    "mp4": ("libx264", {"qp": "0"}),
    "mov": ("libx264", {"qp": "0"}),
    "mkv": ("ffv1", {}),
    "webm": ("libvpx-vp9", {"lossless": "1"}),
    "avi": ("libx264", {"qp": "0"}),
}
TAGS = {"bt709": (1, 1, 1), "bt601": (6, 6, 6), "bt2020": (9, 9, 14)}


def samples(pixels, width=W, height=H, frames=T, seed=0):
    """Random-walk planes [y, u, v] as numpy arrays for a planar format, within limited range."""
    rng = np.random.default_rng(seed)
    ten = "10" in pixels
    shape = (height, width) if "444" in pixels else ((height + 1) // 2, (width + 1) // 2)
    out = []
    for h, w in ((height, width), shape, shape):
        walk = np.cumsum(np.cumsum(rng.normal(0, 1, (frames, h, w)), 1), 2)
        walk = (walk - walk.min()) / (np.ptp(walk) or 1)
        out.append((walk * (800 if ten else 200) + (100 if ten else 25)).astype(np.uint16 if ten else np.uint8))
    return out


def encode(path, codec, pixels, planes, *, rate=Fraction(25), options=None, tags=None, full=None, rotate=None):
    """Write planes (or, for RGB formats, uint8 (T, H, W, 3)) to a file."""
    rgb = isinstance(planes, np.ndarray)
    height, width = planes.shape[1:3] if rgb else planes[0].shape[1:]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        if tags:
            context = stream.codec_context
            context.colorspace, context.color_primaries, context.color_trc = TAGS[tags]
        if full is not None:
            stream.codec_context.color_range = 2 if full else 1
        if rotate is not None:
            stream.set_display_rotation(rotate)
        for t in range(len(planes) if rgb else len(planes[0])):
            if rgb:
                frame = av.VideoFrame.from_ndarray(planes[t], format="rgb24").reformat(format=pixels)
            else:
                frame = av.VideoFrame(width, height, pixels)
                for plane, values in zip(frame.planes, planes, strict=True):
                    lines = np.frombuffer(plane, values.dtype).reshape(-1, plane.line_size // values.itemsize)
                    lines[: plane.height, : plane.width] = values[t]
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def same(video, planes):
    have = (video.yuv.y, video.yuv.u, video.yuv.v)
    return all((a.numpy() == b).all() for a, b in zip(have, planes, strict=True))


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_planes_come_back_exactly(tmp_path, suffix, pixels):
    codec, options = LOSSLESS[suffix]
    if codec == "libvpx-vp9" and "10" in pixels:
        codec, options, suffix = "ffv1", {}, "mkv"  # this build's VP9 encoder is 8 bit
    planes = samples(pixels)
    video = read_video(
        encode(tmp_path / f"a.{suffix}", codec, pixels, planes, options=options, tags="bt709", full=False)
    )
    assert same(video, planes)
    assert (video.yuv.bit_depth, video.yuv.subsampling) == (10 if "10" in pixels else 8, pixels[3:6])
    assert (video.yuv.matrix, video.yuv.full_range) == ("bt709", False)
    assert (video.frames == yuv_to_rgb(video.yuv)).all()
    assert (video.name, len(video), video.width, video.height) == ("a", T, W, H)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("matrix", TAGS)
@pytest.mark.parametrize("full", [False, True])
def test_tags_decide_the_colours(tmp_path, suffix, matrix, full):
    codec, options = LOSSLESS[suffix]
    planes = samples("yuv420p", frames=1)
    video = read_video(
        encode(tmp_path / f"a.{suffix}", codec, "yuv420p", planes, options=options, tags=matrix, full=full)
    )
    assert (video.yuv.matrix, video.yuv.full_range) == (matrix, full)
    expected = YUVPlanes(*(torch.from_numpy(p) for p in planes), 8, matrix, full)
    assert (video.frames == yuv_to_rgb(expected)).all()


def test_untagged_files_are_taken_as_players_do(tmp_path):
    small = read_video(encode(tmp_path / "s.mkv", "ffv1", "yuv420p", samples("yuv420p", frames=1)))
    assert (small.yuv.matrix, small.yuv.full_range) == ("bt601", False)
    large = read_video(encode(tmp_path / "l.mkv", "ffv1", "yuv420p", samples("yuv420p", 1280, 16, frames=1)))
    assert (large.yuv.matrix, large.yuv.full_range) == ("bt709", False)
    told = read_video(tmp_path / "s.mkv", matrix="bt709", full_range=True)
    assert (told.yuv.matrix, told.yuv.full_range) == ("bt709", True)
    assert (told.frames != small.frames).any()


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("rate", ["24", "25", "30000/1001", "60000/1001", "24000/1001", "25/2", "120"])
def test_frame_rate_is_exact(tmp_path, suffix, rate):
    codec, options = LOSSLESS[suffix]
    path = encode(
        tmp_path / f"a.{suffix}", codec, "yuv420p", samples("yuv420p", frames=3), rate=Fraction(rate), options=options
    )
    assert read_video(path).fps == Fraction(rate)
    assert read_video(path, fps="29.97").fps == Fraction(30000, 1001)


def test_one_frame(tmp_path):
    for suffix in ("mp4", "mkv"):
        codec, options = LOSSLESS[suffix]
        path = encode(
            tmp_path / f"a.{suffix}", codec, "yuv420p", samples("yuv420p", frames=1), rate=Fraction(30), options=options
        )
        assert (len(read_video(path)), read_video(path).fps) == (1, 30)


@pytest.mark.parametrize(
    ("suffix", "codec", "pixels"), [("mkv", "ffv1", "bgr0"), ("mp4", "libx264rgb", "rgb24"), ("avi", "utvideo", "gbrp")]
)
def test_rgb_files_are_exact(tmp_path, suffix, codec, pixels):
    pictures = np.random.default_rng(0).integers(0, 256, (3, H, W, 3), dtype=np.uint8)
    path = encode(tmp_path / f"a.{suffix}", codec, pixels, pictures, options={"qp": "0"} if "264" in codec else None)
    video = read_video(path)
    assert video.yuv is None
    assert (video.frames.numpy() == pictures.transpose(0, 3, 1, 2)).all()


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (1, 1), (33, 17)])
def test_odd_sizes(tmp_path, pixels, width, height):
    planes = samples(pixels, width, height, frames=2)
    video = read_video(encode(tmp_path / "a.mkv", "ffv1", pixels, planes))
    assert same(video, planes) and video.frames.shape == (2, 3, height, width)


@pytest.mark.parametrize("angle", [90, -90, 180])
def test_rotation_is_applied_as_ffmpeg_does(tmp_path, angle):
    planes = samples("yuv420p", frames=2)
    path = encode(
        tmp_path / "a.mp4", "libx264", "yuv420p", planes, options={"qp": "0"}, tags="bt709", full=False, rotate=angle
    )
    video = read_video(path)
    upright = yuv_to_rgb(YUVPlanes(*(torch.from_numpy(p) for p in planes)))
    assert video.yuv is None
    assert (video.width, video.height) == ((W, H) if angle == 180 else (H, W))
    assert (video.frames == torch.rot90(upright, angle // 90, (-2, -1))).all()
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(path),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    theirs = np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8)
    theirs = theirs.reshape(2, video.height, video.width, 3).transpose(0, 3, 1, 2).astype(float)
    right = np.abs(theirs - video.frames.numpy()).mean()  # not 0: swscale's defaults treat chroma otherwise
    assert right < 8 and right < 0.25 * np.abs(theirs - video.frames.flip((-2, -1)).numpy()).mean()


def test_grey_has_neutral_chroma(tmp_path):
    grey = samples("yuv420p", frames=2)[:1]
    video = read_video(encode(tmp_path / "a.mkv", "ffv1", "gray", grey))
    assert (video.yuv.y.numpy() == grey[0]).all() and (video.yuv.u == 128).all() and video.yuv.full_range
    assert (video.frames == video.yuv.y[:, None]).all()
    ten = read_video(encode(tmp_path / "b.mkv", "ffv1", "gray10le", samples("yuv420p10le", frames=1)[:1], full=False))
    assert (ten.yuv.bit_depth, ten.yuv.full_range) == (10, False) and (ten.yuv.v == 512).all()


def test_other_layouts_come_through_444(tmp_path):
    """4:2:2: Y untouched, chroma interpolated; compared with a constant colour, where nothing can differ."""
    y, u, v = (np.full((2, H, w), c, np.uint8) for w, c in ((W, 150), (W // 2, 90), (W // 2, 170)))
    video = read_video(encode(tmp_path / "a.mkv", "ffv1", "yuv422p", [y, u, v], tags="bt601", full=True))
    expected = yuv_to_rgb(
        YUVPlanes(*(torch.full((2, H, W), c, dtype=torch.uint8) for c in (150, 90, 170)), 8, "bt601", True)
    )
    assert video.yuv is None and (video.frames.int() - expected.int()).abs().max() <= 1


def test_repacked_layouts_keep_their_planes(tmp_path):
    planes = samples("yuv420p", frames=2)
    mixed = np.stack(planes[1:], -1).reshape(2, H // 2, W)
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, "nv12"
        for t in range(2):
            frame = av.VideoFrame.from_ndarray(np.concatenate((planes[0][t], mixed[t])), format="nv12")
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert same(read_video(path), planes)


def test_first_frames_only(tmp_path, monkeypatch):
    planes = samples("yuv420p", frames=20)
    path = encode(tmp_path / "a.mkv", "ffv1", "yuv420p", planes)
    video = read_video(path, frames=3)
    assert len(video) == 3 and same(video, [p[:3] for p in planes])
    assert len(read_video(path, frames=99)) == 20
    from codec_lib.video import reading

    read = []
    real = reading.plane_samples
    monkeypatch.setattr(reading, "plane_samples", lambda *a: read.append(1) or real(*a))
    read_video(path, frames=3)
    assert len(read) == 9  # three planes of three frames: nothing beyond was taken into memory


@pytest.mark.parametrize("suffix", LOSSLESS)
@pytest.mark.parametrize("part", [0.02, 0.5, 0.97])
def test_truncated_files_are_refused(tmp_path, suffix, part):
    codec, options = LOSSLESS[suffix]
    data = encode(
        tmp_path / f"a.{suffix}", codec, "yuv420p", samples("yuv420p", frames=20), options=options
    ).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(VideoError, match="cut short|cannot be read") as error:
        read_video(cut)
    assert "\n" not in str(error.value) and str(cut) in str(error.value)


def test_fast_start_file_cut_in_its_pictures_is_refused(tmp_path):
    """The index is in front and whole, so FFmpeg itself opens the file without complaint."""
    path = tmp_path / "a.mp4"
    from codec_lib.video import write_video

    source = read_video(encode(tmp_path / "a.mkv", "ffv1", "yuv420p", samples("yuv420p", frames=20)))
    write_video(source, path)
    data = path.read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")
    path.write_bytes(data[: len(data) // 2])
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 20
    with pytest.raises(VideoError, match="cut short"):
        read_video(path)


def test_damaged_pictures_are_refused(tmp_path):
    path = encode(
        tmp_path / "a.mkv", "ffv1", "yuv420p", samples("yuv420p", frames=10), options={"level": "3", "slicecrc": "1"}
    )
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 3 * 2, 40):
        data[at] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(VideoError) as error:
        read_video(path)
    assert "\n" not in str(error.value)


def test_sound_only_text_and_rubbish(tmp_path):
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no pictures, only audio"):
        read_video(sound)
    for name, data, message in (
        ("a.mp4", b"", "is empty"),
        ("b.mp4", b"these are no pictures\n" * 40, "cannot be read as video"),
        ("c.txt", b"these are no pictures\n" * 40, "text file|cannot be read"),
        ("d.mkv", np.random.default_rng(0).bytes(5000), "cannot be read as video"),
        ("e.avi", b"RIFF\x10\x00\x00\x00AVI LIST" + bytes(12), "cannot be read|no pictures|no frames"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(VideoError, match=message) as error:
            read_video(tmp_path / name)
        assert "\n" not in str(error.value) and error.value.exit_status == 2


def test_no_frames(tmp_path):
    path = tmp_path / "none.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, "yuv420p"
        container.start_encoding()
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="holds no frames"):
        read_video(path)


def test_size_change_is_refused(tmp_path):
    """Two H.264 streams of different sizes one after the other are a valid stream, but no clip."""
    parts = []
    for i, (w, h) in enumerate(((64, 48), (96, 64))):
        path = encode(tmp_path / f"{i}.h264", "libx264", "yuv420p", samples("yuv420p", w, h, 2))
        parts.append(path.read_bytes())
    both = tmp_path / "both.h264"
    both.write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match="96x64 .* after frames of 64x48"):
        read_video(both)


def test_wrong_use(tmp_path):
    path = encode(tmp_path / "a.mkv", "ffv1", "yuv420p", samples("yuv420p", frames=1))
    with pytest.raises(VideoError, match="no such file"):
        read_video(tmp_path / "nowhere.mp4")
    with pytest.raises(UsageError, match="first 0 frames"):
        read_video(path, frames=0)
    with pytest.raises(UsageError, match="is 64x48, not 32x32"):
        read_video(path, size=(32, 32))
    with pytest.raises(UsageError, match="frame rate abc"):
        read_video(path, fps="abc")
    with pytest.raises(UsageError, match="has 8 bits, not 10"):
        read_video(path, bit_depth=10)
    with pytest.raises(UsageError, match="unknown colour matrix"):
        read_video(path, matrix="xyz")
    assert read_video(str(path), size=(64, 48)).width == 64


def test_names_with_special_characters(tmp_path):
    folder = tmp_path / "a: b%03d é"
    folder.mkdir()
    planes = samples("yuv420p", frames=1)
    encode(tmp_path / "x.mkv", "ffv1", "yuv420p", planes).rename(folder / "clip: 1.mkv")
    assert same(read_video(folder / "clip: 1.mkv"), planes)
