"""`read_video` and `write_video`: the one door for frames, whatever the format."""

from __future__ import annotations

import os
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError

from codec_lib.errors import CodecLibError, UsageError, VideoError
from codec_lib.files import check_output, written_aside
from codec_lib.video.clip import Video
from codec_lib.video.colour import luma_weights
from codec_lib.video.images import IMAGE_SUFFIXES, image_files, read_folder, read_images, write_folder
from codec_lib.video.raw import frames_a_second, layout_of, read_raw, write_raw
from codec_lib.video.reading import read_file
from codec_lib.video.writing import write_mkv, write_mp4
from codec_lib.video.y4m import read_y4m, write_y4m

_WRITERS = {".mp4": write_mp4, ".mkv": write_mkv, ".y4m": write_y4m, ".yuv": write_raw}


def read_video(
    path: str | Path,
    *,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: Fraction | int | str | None = None,
    subsampling: str | None = None,
    bit_depth: int | None = None,
    matrix: str | None = None,
    full_range: bool | None = None,
) -> Video:
    """Read a clip: a video file, a raw .yuv, a .y4m, a folder of images or one image.

    frames: the first so many; decoding stops there.
    size (width, height), subsampling ("420", "444"), bit_depth (8, 10): of a .yuv file, instead of what its name says
        (`raw.layout_from_name`); given for another format, they must agree with it.
    fps: instead of the file's rate. Without it: video files what the stream declares, exactly; .yuv what the name says;
        otherwise 25.
    matrix ("bt709", "bt601", "bt2020"), full_range: instead of the file's tags.

    Where a video file has no tag: limited range (yuvj and grey formats: full), and BT.601 up to 576 lines and below
    1280 columns, BT.709 above, as players do. .yuv and .y4m: BT.709 at every size, limited unless the .y4m says
    full, as the literature treats its test sequences. Chroma is taken as left-sited (`chroma`). Transfer curve and
    primaries are not converted. Pixels are not stretched for a sample aspect ratio, fields are not separated; a
    rotation by a multiple of 90 degrees is applied.

    ``Video.yuv`` holds the samples of the file where it is 8- or 10-bit 4:2:0 or 4:4:4 or grey (grey: with neutral
    chroma) and not rotated. Other YCbCr layouts (4:2:2, 12 bit, ...) come through 4:4:4 of 8 or 10 bits by swscale
    and keep no planes. RGB-coded files have none.

    Raises VideoError, with one line, for anything that is no video, holds no frames, is damaged, or is cut short.
    """
    path = Path(path)
    if frames is not None and frames < 1:
        raise UsageError(f"cannot read the first {frames} frames: give 1 or more")
    fps = _rate(fps)
    if matrix is not None:
        luma_weights(matrix)
    colour = {"matrix": matrix, "full_range": full_range}
    try:
        video = _read(path, frames, fps, colour, size=size, subsampling=subsampling, bit_depth=bit_depth)
    except PermissionError as error:
        raise VideoError(f"{path}: no permission to read it") from error
    _agree(path, video, size, subsampling, bit_depth)
    return video


def _read(path: Path, frames: int | None, fps: Fraction | None, colour: dict, **layout) -> Video:
    if path.is_dir():
        return read_folder(path, fps=fps, frames=frames)
    if not path.exists():
        raise VideoError(f"{path}: no such file or folder")
    if not path.is_file():
        raise VideoError(f"{path}: is neither a file nor a folder")
    suffix = path.suffix.lower()
    if suffix == ".yuv":
        return read_raw(path, layout_of(path, fps=fps, **layout), frames=frames, **colour)
    if suffix == ".y4m":
        return read_y4m(path, fps=fps, frames=frames, **colour)
    if suffix in IMAGE_SUFFIXES:
        return read_images([path], path.stem, fps=fps)
    video = read_file(path, frames=frames, **colour)
    return video if fps is None else Video(video.frames, fps, video.name, yuv=video.yuv)


def _rate(fps: Fraction | float | str | None) -> Fraction | None:
    if fps is None:
        return None
    try:
        rate = frames_a_second(fps) if isinstance(fps, str) and "/" not in fps else Fraction(fps)
        rate = frames_a_second(repr(fps)) if isinstance(fps, float) else rate
    except (ValueError, ZeroDivisionError, OverflowError):
        rate = Fraction(0)
    if rate <= 0:
        raise UsageError(f"frame rate {fps} is not possible: give frames a second such as 25 or 30000/1001")
    return rate


def _agree(path: Path, video: Video, size, subsampling, bit_depth) -> None:
    if size is not None and tuple(size) != (video.width, video.height):
        raise UsageError(f"{path}: is {video.width}x{video.height}, not {size[0]}x{size[1]} (a size is for .yuv files)")
    if (subsampling or bit_depth) and video.yuv is None:
        raise UsageError(f"{path}: holds no YCbCr samples to choose a format for")
    if subsampling and subsampling != video.yuv.subsampling:
        raise UsageError(f"{path}: is 4:{video.yuv.subsampling[1]}:{video.yuv.subsampling[2]}, not {subsampling}")
    if bit_depth and bit_depth != video.yuv.bit_depth:
        raise UsageError(f"{path}: has {video.yuv.bit_depth} bits, not {bit_depth}")


def write_video(video: Video, path: str | Path, *, force: bool = False) -> None:
    """Write a clip, in the format that the name asks for; whole or not at all.

    .mp4: to look at, in any browser; visually lossless H.264 (`writing.write_mp4`).
    .mkv: to keep; lossless FFV1 of the source's planes or of the RGB frames (`writing.write_mkv`).
    .y4m, .yuv: the source's planes, or 8-bit BT.709 4:2:0 made from the frames.
    no suffix: a folder of PNGs, lossless RGB (the frame rate is not kept).

    Raises UsageError for another suffix, a place that cannot be written, or one that exists unless ``force``. A
    folder is replaced only if it holds nothing but images.
    """
    path = check_video_output(path, force=force)
    if not path.suffix:
        return _write_folder(video, path)
    try:
        with written_aside(path, force=force) as aside:
            _WRITERS[path.suffix.lower()](video, aside)
    except FFmpegError as error:
        raise CodecLibError(
            f"{path}: FFmpeg could not write {video.width}x{video.height} ({error.strerror})"
        ) from error


def check_video_output(path: str | Path, *, force: bool = False) -> Path:
    """What `write_video` would refuse, found before any work is spent on the frames."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix and suffix not in _WRITERS:
        raise UsageError(
            f"cannot write {path}: use {', '.join(_WRITERS)} or a name without suffix for a folder of PNGs"
        )
    check_output(path, force=force)
    if suffix and path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder")
    if not suffix and path.exists():
        if not path.is_dir():
            raise UsageError(f"cannot write {path}: it is a file, and a name without suffix makes a folder of PNGs")
        if len(list(path.iterdir())) != len(image_files(path)):
            raise UsageError(f"cannot write {path}: the folder holds more than images, so it is not replaced")
    return path


def _write_folder(video: Video, folder: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.absolute().parent))
    try:
        new, old = aside / "new", aside / "old"
        new.mkdir()
        write_folder(video, new)
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
