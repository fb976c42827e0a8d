"""Full-reference filters of the bundled ffmpeg (libvmaf, xpsnr, psnr) over two clips of raw planes."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache, lru_cache
from pathlib import Path

from codec_lib.errors import CodecLibError
from codec_lib.metrics.planes import plane_pair
from codec_lib.video.clip import Video, YUVPlanes


def ffmpeg_exe() -> str:
    """Path of the ffmpeg binary inside imageio-ffmpeg."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


@lru_cache(maxsize=1)
def ffmpeg_version() -> str:
    """Its version as it prints it, for records."""
    out = subprocess.run([ffmpeg_exe(), "-version"], capture_output=True, text=True, check=True).stdout
    return out.split()[2]


@cache
def filter_missing(name: str) -> str | None:
    """None when the bundled ffmpeg has a filter of that name, else a reason."""
    out = subprocess.run([ffmpeg_exe(), "-hide_banner", "-filters"], capture_output=True, text=True, check=True).stdout
    if any(line.split()[1:2] == [name] for line in out.splitlines()):
        return None
    return f"the ffmpeg of imageio-ffmpeg ({ffmpeg_version()}) has no filter '{name}': install imageio-ffmpeg 0.8.1"


def write_planes(planes: YUVPlanes, path: Path) -> str:
    """Write planar samples frame by frame, 8 bit or 16-bit little endian; returns ffmpeg's name of the pixel format."""
    with open(path, "wb") as f:
        for t in range(planes.y.shape[0]):
            for plane in (planes.y, planes.u, planes.v):
                sample = plane[t].cpu().contiguous().numpy()
                f.write(sample.tobytes() if planes.bit_depth == 8 else sample.astype("<u2").tobytes())
    return f"yuv{planes.subsampling}p" + ("" if planes.bit_depth == 8 else f"{planes.bit_depth}le")


def run_filter(reference: Video, decoded: Video, filter_spec: str, output: str) -> str:
    """Run ``filter_spec`` over the two clips' 4:2:0 planes and return the text that it writes to the file ``output``.

    The decoded clip is the filter's first ("main") input and the reference its second, as these filters want them;
    ``output`` is the file name inside the temporary folder in which ffmpeg runs. Every frame is paired by its number.
    """
    a, b = plane_pair(reference, decoded)
    with tempfile.TemporaryDirectory(prefix="codec_lib_") as tmp:
        pix_fmt = write_planes(a, Path(tmp) / "reference.yuv")
        write_planes(b, Path(tmp) / "decoded.yuv")
        # The frame rate matters to xpsnr, whose temporal activity looks two frames back above 32 frames a second.
        size, rate = f"{reference.width}x{reference.height}", f"{reference.fps.numerator}/{reference.fps.denominator}"
        raw = ["-f", "rawvideo", "-pix_fmt", pix_fmt, "-s", size, "-r", rate]
        graph = f"[0:v][1:v]{filter_spec}"
        command = [ffmpeg_exe(), "-hide_banner", "-nostdin", "-v", "error", "-filter_threads", "1"]
        command += [*raw, "-i", "decoded.yuv", *raw, "-i", "reference.yuv", "-lavfi", graph, "-f", "null", "-"]
        run = subprocess.run(command, cwd=tmp, capture_output=True, text=True)
        if run.returncode or not (Path(tmp) / output).is_file():
            reason = (run.stderr.strip().splitlines() or ["no output"])[0]
            name = filter_spec.partition("=")[0]
            raise CodecLibError(f"ffmpeg's filter '{name}' failed on '{reference.name}': {reason}")
        return (Path(tmp) / output).read_text()
