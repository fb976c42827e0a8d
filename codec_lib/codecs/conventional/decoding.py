"""Elementary stream to frames: one decoder for all four standards."""

from __future__ import annotations

import re
import tempfile
from fractions import Fraction
from pathlib import Path

from codec_lib.codecs.conventional import bitstream
from codec_lib.codecs.conventional.ffmpeg import FFmpegFailed, complaint, run
from codec_lib.entropy.stream_errors import CorruptStream, ForeignStream, TruncatedStream
from codec_lib.video import Video, YUVPlanes, yuv_to_rgb
from codec_lib.video.padding import crop
from codec_lib.video.raw import RawLayout, read_raw

_STRICT = ("-err_detect", "explode", "-xerror", "-max_pixels", str(8192 * 4352))
# ffmpeg's names of the matrices that `YUVPlanes` knows; streams without a tag are taken as BT.709.
_MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt470bg": "bt601", "bt2020nc": "bt2020", "unknown": "bt709"}
_FORMATS = {"yuv420p": ("420", 8), "yuv420p10le": ("420", 10), "yuv444p": ("444", 8), "yuv444p10le": ("444", 10)}

_RATE = re.compile(r"config in .*frame_rate: (\d+)/(\d+)")
_FRAME = re.compile(r" n: *\d+ .* fmt:(\w+) .* s:(\d+)x(\d+) .*")
_TAGS = re.compile(r"color_range:(\w+) color_space:(\w+)")


def decode(stream: bytes, name: str, limit_s: float | None = None) -> Video:
    """Decode a whole stream of any of the four kinds; ``yuv`` of the result holds the samples as decoded.

    limit_s: seconds that ffmpeg is given, by default 10 minutes and 10 ms for each byte.
    Raises ForeignStream for other data, TruncatedStream for a stream that is cut short, CorruptStream for a stream that ffmpeg's decoder complains about in any way.
    """
    kind = bitstream.kind_of(stream)
    if kind is None:
        raise ForeignStream("this is no bare H.264, HEVC, AV1 or VVC stream: its first sequence header is missing")
    if not bitstream.is_whole(stream, kind):
        raise TruncatedStream(f"the {_title(kind)} stream is cut short: " + (
            "its last unit is not whole" if kind == "obu" else
            "its end-of-bitstream unit is missing (a stream of another program may have none: read it as a video file)"))
    with tempfile.TemporaryDirectory(prefix="codec_lib_") as folder:
        folder = Path(folder)
        (folder / "in").write_bytes(stream)
        source = ["-f", kind, "-i", "in"]
        filters = f"format=pix_fmts={'|'.join(_FORMATS)},showinfo=checksum=0"
        sink = ["-vf", filters, "-fps_mode", "passthrough", "-f", "rawvideo", "out"]
        try:
            log = run(["-threads", "1", *_STRICT, *source, *sink], folder, limit_s=limit_s or 600 + 0.01 * len(stream))
            if complaint(log):
                raise FFmpegFailed(complaint(log))
            layout, matrix, full_range = _layout(log)
            if kind == "h264":
                # The raw demuxer guesses between frame and field rate; the sequence header knows.
                layout = RawLayout(layout.size, _h264_rate(folder) or layout.fps, layout.subsampling, layout.bit_depth)
        except FFmpegFailed as error:
            raise CorruptStream(f"the {_title(kind)} stream is damaged: {error}") from error
        video = read_raw(folder / "out", layout, matrix=matrix, full_range=full_range)
    right, below = bitstream.padding_of(stream, kind)
    if right >= video.width or below >= video.height:
        raise CorruptStream(f"the {_title(kind)} stream is damaged: it declares more padding than its pictures are large")
    planes = video.yuv
    if right or below:
        planes = _cropped(planes, video.height - below, video.width - right)
    return Video(yuv_to_rgb(planes) if planes is not video.yuv else video.frames, video.fps, name, yuv=planes)


def _layout(log: str) -> tuple[RawLayout, str, bool]:
    """Size, rate, samples and colour that ffmpeg's showinfo reports; they must not change within a stream."""
    frames = [line for line in log.splitlines() if "showinfo" in line]
    seen = {_FRAME.search(line).groups() for line in frames if _FRAME.search(line)}
    if not seen:
        raise FFmpegFailed("it holds no frame")
    if len(seen) > 1:
        raise FFmpegFailed("its picture size or format changes on the way")
    pixels, width, height = seen.pop()
    rate = next((m for line in frames if (m := _RATE.search(line))), None)
    fps = Fraction(int(rate[1]), int(rate[2])) if rate and int(rate[1]) and int(rate[2]) else Fraction(25)
    colour_range, matrix = next(m for line in frames if (m := _TAGS.search(line))).groups()
    if matrix not in _MATRICES:
        raise FFmpegFailed(f"its colour matrix '{matrix}' is not supported")
    subsampling, depth = _FORMATS[pixels]
    return RawLayout((int(width), int(height)), fps, subsampling, depth), _MATRICES[matrix], colour_range == "pc"


def _h264_rate(folder: Path) -> Fraction | None:
    """Frames a second by the timing fields of the first sequence parameter set, which count fields; None without them."""
    log = run(["-f", "h264", "-i", "in", "-c", "copy", "-frames:v", "1", "-bsf:v", "trace_headers", "-f", "null", "-"],
              folder, limit_s=60)
    found = {k: re.search(rf"\b{k}\b.* = (\d+)", log) for k in ("num_units_in_tick", "time_scale")}
    if not all(found.values()) or not int(found["num_units_in_tick"][1]):
        return None
    return Fraction(int(found["time_scale"][1]), 2 * int(found["num_units_in_tick"][1])) or None


def _cropped(planes: YUVPlanes, height: int, width: int) -> YUVPlanes:
    halves = planes.subsampling == "420"
    small = ((height + 1) // 2, (width + 1) // 2) if halves else (height, width)
    return YUVPlanes(crop(planes.y, (height, width)).contiguous(), crop(planes.u, small).contiguous(),
                     crop(planes.v, small).contiguous(), planes.bit_depth, planes.matrix, planes.full_range)


def _title(kind: str) -> str:
    return {"h264": "H.264", "hevc": "HEVC", "vvc": "VVC", "obu": "AV1"}[kind]
