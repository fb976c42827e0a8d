"""Folders of images: one picture a frame, in the order a person would count them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from codec_lib.errors import VideoError
from codec_lib.video.clip import Video

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".webp"}


def natural_key(path: Path) -> tuple:
    """frame2 before frame10: digits compare as numbers, the rest as text."""
    parts = re.split(r"(\d+)", path.name.lower())
    return tuple((1, int(p), "") if p.isdigit() else (0, 0, p) for p in parts), path.name


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order; hidden files are left out."""
    found = (
        p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    return sorted(found, key=natural_key)


def read_image(path: Path) -> Tensor:
    """One picture as uint8 RGB (3, H, W), upright; 16-bit grey is cut to its upper 8 bits, transparency dropped."""
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I"):
                grey = np.asarray(image, dtype=np.int64) >> 8
                rgb = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)
            else:
                rgb = np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VideoError(f"{path}: cannot be read as an image ({_one_line(error)})") from error
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def _one_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def read_images(files: list[Path], name: str, *, fps: Fraction | None = None, frames: int | None = None) -> Video:
    """Pictures as a clip (25 frames a second unless given). All must have the size of the first."""
    files = files[:frames]
    first = read_image(files[0])
    pictures = torch.empty((len(files), *first.shape), dtype=torch.uint8)
    for t, file in enumerate(files):
        picture = read_image(file) if t else first
        if picture.shape != first.shape:
            (_, h, w), (_, h0, w0) = picture.shape, first.shape
            raise VideoError(
                f"{file}: is {w}x{h}, but {files[0].name} is {w0}x{h0}: the images of a clip must have one size"
            )
        pictures[t] = picture
    return Video(pictures, fps or Fraction(25), name)


def read_folder(folder: Path, *, fps: Fraction | None = None, frames: int | None = None) -> Video:
    """The images of a folder as a clip named after it."""
    files = image_files(folder)
    if not files:
        raise VideoError(f"{folder}: is a folder without images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return read_images(files, folder.resolve().name, fps=fps, frames=frames)


def write_folder(video: Video, folder: Path) -> None:
    """frame_00000.png and so on, 8-bit RGB, lossless. ``folder`` must exist; the frame rate is not kept."""
    digits = max(5, len(str(len(video) - 1)))
    for t, frame in enumerate(video.frames):
        picture = Image.fromarray(np.ascontiguousarray(frame.permute(1, 2, 0).numpy()))
        picture.save(folder / f"frame_{t:0{digits}d}.png", compress_level=3)
