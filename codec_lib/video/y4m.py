"""YUV4MPEG2 (.y4m): raw planes with one header line, the format that video tools pass to each other.

``YUV4MPEG2 W448 H256 F24:1 Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED``, then for each frame a line ``FRAME`` and the
planes. The header has no field for the colour matrix: BT.709 is assumed, and a clip in another one is written with
``XMATRIX=BT601``, which other programs skip. The chroma siting in the C tag is not acted on: FFmpeg writes ``420jpeg``
for whatever does not say, so it tells nothing.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from codec_lib.errors import VideoError
from codec_lib.video.clip import Video, YUVPlanes
from codec_lib.video.colour import LUMA_WEIGHTS, yuv_to_rgb
from codec_lib.video.raw import RawLayout, empty_planes, frame_bytes, planes_to_write, read_frame

_LAYOUTS = {
    "420": ("420", 8),
    "420jpeg": ("420", 8),
    "420mpeg2": ("420", 8),
    "420paldv": ("420", 8),
    "420p10": ("420", 10),
    "444": ("444", 8),
    "444p10": ("444", 10),
}
_HEADER_LIMIT = 1024


def read_y4m(
    path: Path,
    *,
    frames: int | None = None,
    fps: Fraction | None = None,
    matrix: str | None = None,
    full_range: bool | None = None,
) -> Video:
    """Frames of a .y4m file, 4:2:0 or 4:4:4 of 8 or 10 bits.

    fps, matrix, full_range: instead of what the header says.
    """
    with open(path, "rb") as file:
        words = _line(file, path).split(" ")
        if words[0] != "YUV4MPEG2":
            raise VideoError(f"{path}: is not a YUV4MPEG2 file")
        tags = {w[0]: w[1:] for w in words[1:] if w and w[0] != "X"}
        extra = dict(w[1:].upper().split("=", 1) for w in words[1:] if w[:1] == "X" and "=" in w)
        layout = _layout(tags, path)
        header = file.tell()
        most = (path.stat().st_size - header) // layout.frame_bytes  # never more memory than the file can fill
        count = most if frames is None else min(frames, most)
        samples, done = empty_planes(count, layout), 0
        while frames is None or done < frames:
            line = _line(file, path)
            if not line:
                break
            where = f"{path}: frame {done}"
            if line.split(" ")[0] != "FRAME":
                raise VideoError(f"{where} does not start with FRAME: the file is damaged")
            if done == count:
                raise VideoError(f"{where} is cut short")
            read_frame(file, layout, [plane[done] for plane in samples], where)
            done += 1
    if done == 0:
        raise VideoError(f"{path}: holds no frames")
    matrix = matrix or extra.get("MATRIX", "bt709").lower()
    if matrix not in LUMA_WEIGHTS:
        raise VideoError(f"{path}: colour matrix {matrix} is not supported")
    full = extra.get("COLORRANGE") == "FULL" if full_range is None else full_range
    planes = YUVPlanes(*(p[:done] for p in samples), layout.bit_depth, matrix, full)
    return Video(yuv_to_rgb(planes), fps or layout.fps, path.stem, yuv=planes)


def _line(file: BinaryIO, path: Path) -> str:
    line = file.readline(_HEADER_LIMIT)
    if line and not line.endswith(b"\n"):
        raise VideoError(f"{path}: a header line does not end: the file is damaged or cut short")
    return line.decode("latin-1").strip()


def _layout(tags: dict[str, str], path: Path) -> RawLayout:
    try:
        size = (int(tags["W"]), int(tags["H"]))
        above, below = (int(n) for n in tags.get("F", "25:1").split(":"))
    except (KeyError, ValueError):
        raise VideoError(f"{path}: the header gives no size or an impossible frame rate") from None
    colour = tags.get("C", "420")
    if colour not in _LAYOUTS:
        raise VideoError(f"{path}: Y4M format C{colour} is not supported: use 4:2:0 or 4:4:4, 8 or 10 bits")
    if min(size) < 1 or above < 0 or below < 0:
        raise VideoError(f"{path}: the header gives a size of {size[0]}x{size[1]} at {above}:{below} frames a second")
    return RawLayout(size, Fraction(above, below) if above and below else Fraction(25), *_LAYOUTS[colour])


def write_y4m(video: Video, path: Path) -> None:
    """The source's planes where there are any, else 8-bit BT.709 4:2:0; nothing is lost but that conversion."""
    with open(path, "wb") as file:
        for t in range(len(video)):
            planes = planes_to_write(video, t)
            if t == 0:
                file.write(_header(video, planes))
            file.write(b"FRAME\n" + frame_bytes(planes))


def _header(video: Video, planes: YUVPlanes) -> bytes:
    colour = planes.subsampling + ("p10" if planes.bit_depth == 10 else "mpeg2" if planes.subsampling == "420" else "")
    words = ["YUV4MPEG2", f"W{video.width}", f"H{video.height}", f"F{video.fps.numerator}:{video.fps.denominator}"]
    words += ["Ip", "A1:1", f"C{colour}", f"XCOLORRANGE={'FULL' if planes.full_range else 'LIMITED'}"]
    if planes.matrix != "bt709":
        words.append(f"XMATRIX={planes.matrix.upper()}")
    return " ".join(words).encode() + b"\n"
