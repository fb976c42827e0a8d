"""Raw .yuv and .y4m files, and folders of images."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from codec_lib.errors import UsageError, VideoError
from codec_lib.video import YUVPlanes, read_video, yuv_to_rgb
from codec_lib.video.images import natural_key
from codec_lib.video.raw import layout_from_name

NAMES = {
    "Beauty_1920x1080_120fps_420_8bit_YUV": ((1920, 1080), "120", "420", 8),
    "Bosphorus_3840x2160_120fps_420_10bit_YUV": ((3840, 2160), "120", "420", 10),
    "name_1920x1080_50_10bit": ((1920, 1080), "50", None, 10),
    "videoSRC01_1920x1080_30": ((1920, 1080), "30", None, None),
    "Traffic_2560x1600_30_crop": ((2560, 1600), "30", None, None),
    "Tango2_3840x2160_60fps_10bit_420": ((3840, 2160), "60", "420", 10),
    "FoodMarket4_3840x2160_5994fps_10bit_420": ((3840, 2160), "60000/1001", "420", 10),
    "clip_352x288_29.97fps": ((352, 288), "30000/1001", None, None),
    "clip_352x288_23.976": ((352, 288), "24000/1001", None, None),
    "clip-640x360p30": ((640, 360), "30", None, None),
    "clip_64x48_yuv444p10le": ((64, 48), None, "444", 10),
    "clip_64x48_25fps_444": ((64, 48), "25", "444", None),
    "clip 64x48 12.5hz": ((64, 48), "12.5", None, None),
    "foreman_qcif": ((176, 144), None, None, None),
    "akiyo_cif": ((352, 288), None, None, None),
    "nothing_to_see_2024": (None, None, None, None),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_test_sequences(name):
    size, fps, subsampling, bits = NAMES[name]
    expected = {"size": size, "fps": fps and Fraction(fps), "subsampling": subsampling, "bit_depth": bits}
    assert layout_from_name(name) == {k: v for k, v in expected.items() if v is not None}


def planes(width, height, subsampling="420", bit_depth=8, frames=3, **how):
    rng = np.random.default_rng(0)
    half = (height, width) if subsampling == "444" else ((height + 1) // 2, (width + 1) // 2)
    dtype = torch.uint8 if bit_depth == 8 else torch.int16
    made = (
        torch.from_numpy(rng.integers(0, 2**bit_depth, (frames, *s))).to(dtype) for s in ((height, width), half, half)
    )
    return YUVPlanes(*made, bit_depth, **how)


def raw_bytes(yuv, t):
    dtype = np.uint8 if yuv.bit_depth == 8 else "<u2"
    return b"".join(p[t].numpy().astype(dtype).tobytes() for p in (yuv.y, yuv.u, yuv.v))


def equal(a, b):
    same = all((getattr(a, n) == getattr(b, n)).all() and getattr(a, n).dtype == getattr(b, n).dtype for n in "yuv")
    return same and (a.bit_depth, a.matrix, a.full_range) == (b.bit_depth, b.matrix, b.full_range)


@pytest.mark.parametrize(("width", "height"), [(32, 24), (33, 17)])
@pytest.mark.parametrize("subsampling", ["420", "444"])
@pytest.mark.parametrize("bit_depth", [8, 10])
def test_raw_by_name_and_by_argument(tmp_path, width, height, subsampling, bit_depth):
    yuv = planes(width, height, subsampling, bit_depth)
    named = tmp_path / f"a_{width}x{height}_50fps_{subsampling}_{bit_depth}bit.yuv"
    plain = tmp_path / "a.yuv"
    for path in (named, plain):
        path.write_bytes(b"".join(raw_bytes(yuv, t) for t in range(3)))
    video = read_video(named)
    assert equal(video.yuv, yuv) and video.fps == 50 and (video.frames == yuv_to_rgb(yuv)).all()
    told = read_video(plain, size=(width, height), fps=50, subsampling=subsampling, bit_depth=bit_depth)
    assert equal(told.yuv, yuv) and told.fps == 50
    assert len(read_video(named, frames=2)) == 2 and len(read_video(named, frames=9)) == 3
    assert read_video(named, matrix="bt601", full_range=True).yuv.matrix == "bt601"


def test_raw_mistakes(tmp_path):
    path = tmp_path / "a_32x24.yuv"
    data = raw_bytes(planes(32, 24, frames=1), 0)
    path.write_bytes(data + b"\0" * 10)
    with pytest.raises(VideoError, match="1162 bytes are not a whole number of 32x24 4:2:0 8-bit frames of 1152 bytes"):
        read_video(path)
    path.write_bytes(b"")
    with pytest.raises(VideoError, match="is empty"):
        read_video(path)
    plain = tmp_path / "a.yuv"
    plain.write_bytes(data)
    with pytest.raises(VideoError, match="size is not in the name"):
        read_video(plain)
    with pytest.raises(UsageError, match="0x24 is not possible"):
        read_video(plain, size=(0, 24))
    for name in ("a_32x24_422.yuv", "a_32x24_12bit.yuv"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match="is not supported"):
            read_video(tmp_path / name)
    eight = tmp_path / "a_32x24_10bit.yuv"
    eight.write_bytes(data * 2)
    with pytest.raises(VideoError, match="values above 1023"):
        read_video(eight)


def y4m(yuv, tag, extra="", rate="30000:1001"):
    count, height, width = yuv.y.shape
    head = f"YUV4MPEG2 W{width} H{height} F{rate} Ip A0:0{tag}{extra}\n".encode()
    return head + b"".join(b"FRAME\n" + raw_bytes(yuv, t) for t in range(count))


@pytest.mark.parametrize(
    ("tag", "subsampling", "bit_depth"),
    [("", "420", 8), (" C420", "420", 8), (" C420jpeg", "420", 8), (" C420mpeg2", "420", 8), (" C420paldv", "420", 8),
     (" C420p10 XYSCSS=420P10", "420", 10), (" C444", "444", 8), (" C444p10", "444", 10)],
)  # fmt: skip
def test_y4m(tmp_path, tag, subsampling, bit_depth):
    yuv = planes(33, 17, subsampling, bit_depth)
    path = tmp_path / "a.y4m"
    path.write_bytes(y4m(yuv, tag))
    video = read_video(path)
    assert equal(video.yuv, yuv) and video.fps == Fraction(30000, 1001)
    assert len(read_video(path, frames=2)) == 2


def test_y4m_header_extras(tmp_path):
    yuv = planes(8, 8, matrix="bt601", full_range=True)
    path = tmp_path / "a.y4m"
    path.write_bytes(y4m(yuv, " C420mpeg2", " XCOLORRANGE=FULL XMATRIX=BT601", rate="0:0"))
    video = read_video(path)
    assert equal(video.yuv, yuv) and video.fps == 25
    assert read_video(path, matrix="bt709", full_range=False).yuv.full_range is False


def test_y4m_frame_lines_may_carry_parameters(tmp_path):
    yuv = planes(8, 8, frames=1)
    path = tmp_path / "a.y4m"
    path.write_bytes(y4m(yuv, " C420").replace(b"FRAME\n", b"FRAME Ip\n"))
    assert equal(read_video(path).yuv, yuv)


def test_y4m_mistakes(tmp_path):
    path = tmp_path / "a.y4m"
    whole = y4m(planes(16, 16), " C420")
    for data, message in (
        (b"YUV4MPEG", "does not end"),
        (b"MPEG4\n", "is not a YUV4MPEG2 file"),
        (b"YUV4MPEG2 H16 F25:1\n", "no size or an impossible frame rate"),
        (b"YUV4MPEG2 W16 H16 F25\n", "no size or an impossible frame rate"),
        (b"YUV4MPEG2 W16 H16 F25:1 C422\n", "C422 is not supported"),
        (b"YUV4MPEG2 W-4 H16 F25:1\n", "size of -4x16"),
        (b"YUV4MPEG2 W16 H16 F25:1\n", "holds no frames"),
        (b"YUV4MPEG2 W99999999 H99999999 F25:1\nFRAME\n", "frame 0 is cut short"),
        (whole[:-1], "frame 2 is cut short"),
        (whole[:-400], "frame 1 is cut short|frame 2 is cut short|does not end"),
        (whole + b"JUNK\n", "frame 3 does not start with FRAME"),
        (b"", "is not a YUV4MPEG2 file"),
    ):
        path.write_bytes(data)
        with pytest.raises(VideoError, match=message) as error:
            read_video(path)
        assert "\n" not in str(error.value)


def save(folder, pictures, names):
    folder.mkdir(exist_ok=True)
    for picture, name in zip(pictures, names, strict=True):
        Image.fromarray(picture).save(folder / name)


def test_folder_of_images_in_the_order_people_count(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 10, 12, 3), dtype=np.uint8)
    save(tmp_path / "clip", pictures, ["f10.png", "f2.PNG", "f1.bmp"])
    (tmp_path / "clip" / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "clip" / "notes.txt").write_text("not a frame")
    video = read_video(tmp_path / "clip", fps=24)
    assert (video.frames.numpy() == pictures[[2, 1, 0]].transpose(0, 3, 1, 2)).all()
    assert (video.fps, video.name, video.yuv) == (24, "clip", None)
    assert len(read_video(tmp_path / "clip", frames=2)) == 2
    order = sorted([tmp_path / n for n in ("b1", "a10", "a9", "a", "a09b", "10", "9")], key=natural_key)
    assert [p.name for p in order] == ["9", "10", "a", "a9", "a09b", "a10", "b1"]


def test_kinds_of_images(tmp_path):
    grey16 = (np.arange(120, dtype=np.uint16).reshape(10, 12) * 500).astype(np.uint16)
    Image.fromarray(grey16).save(tmp_path / "deep.png")
    assert (read_video(tmp_path / "deep.png").frames[0, 1].numpy() == grey16 >> 8).all()
    rgba = np.random.default_rng(0).integers(0, 256, (10, 12, 4), dtype=np.uint8)
    Image.fromarray(rgba).save(tmp_path / "alpha.png")
    assert (read_video(tmp_path / "alpha.png").frames[0].numpy() == rgba[..., :3].transpose(2, 0, 1)).all()
    turned = Image.fromarray(rgba[..., :3])
    exif = turned.getexif()
    exif[0x0112] = 6  # lying on its side
    turned.save(tmp_path / "side.png", exif=exif)
    assert read_video(tmp_path / "side.png").frames.shape == (1, 3, 12, 10)


def test_image_mistakes(tmp_path):
    pictures = [np.zeros((10, 12, 3), np.uint8), np.zeros((10, 14, 3), np.uint8)]
    save(tmp_path / "sizes", pictures, ["0.png", "1.png"])
    with pytest.raises(VideoError, match="1.png: is 14x10, but 0.png is 12x10"):
        read_video(tmp_path / "sizes")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match="folder without images"):
        read_video(tmp_path / "empty")
    save(tmp_path / "cut", pictures[:1], ["0.png"])
    data = (tmp_path / "cut" / "0.png").read_bytes()
    for broken in (data[: len(data) // 2], b"", b"no image at all"):
        (tmp_path / "cut" / "0.png").write_bytes(broken)
        with pytest.raises(VideoError, match="cannot be read as an image") as error:
            read_video(tmp_path / "cut")
        assert "\n" not in str(error.value)
