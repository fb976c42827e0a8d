"""Training pictures: photographs and video frames kept in memory as uint8, cropped at random."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from codec_lib.errors import MissingData
from codec_lib.video import read_video

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
VIDEO_SUFFIXES = {".mp4", ".mkv", ".webm", ".avi", ".mov", ".y4m"}
HELD_OUT = "dev"
"""A folder of this name is never trained on, wherever it lies below the given folders."""


def training_files(folders: list[Path], suffixes: set[str]) -> list[Path]:
    """All files with these suffixes below the folders, sorted, leaving out every folder named "dev"."""
    found = set()
    for folder in folders:
        if folder.name == HELD_OUT:
            raise MissingData(f"'{folder.name}' is held out for evaluation: name a folder of training clips instead")
        for path in folder.rglob("*"):
            if path.suffix.lower() in suffixes and HELD_OUT not in path.relative_to(folder).parts:
                found.add(path)
    return sorted(found)


class StillPictures:
    """Random square crops of photographs and of video frames.

    folders: searched for images and video files.
    crop: side of a crop in pixels. Pictures smaller than that are left out.
    every: of a video, keep every n-th frame (neighbouring frames teach a still-picture codec little).
    video_share: share of the crops taken from video frames, the rest from photographs (of what there is).
    cache: folder in which the decoded pictures are kept for the next run.
    Raises MissingData if the folders hold no usable picture.
    """

    def __init__(self, folders: list[Path], crop: int = 256, every: int = 6, video_share: float = 0.4, seed: int = 0,
                 cache: Path | None = None, progress: Callable[[int, int], None] | None = None):
        images, videos = training_files(folders, IMAGE_SUFFIXES), training_files(folders, VIDEO_SUFFIXES)
        key = hashlib.sha256(repr([(p.name, p.stat().st_size) for p in images + videos] + [crop, every]).encode())
        kept = cache / f"stills-{key.hexdigest()[:16]}.pt" if cache else None
        if kept and kept.is_file():
            self.photographs, self.frames = torch.load(kept, weights_only=True)
        else:
            self.photographs, self.frames = _load(images, videos, crop, every, progress)
            if kept:
                cache.mkdir(parents=True, exist_ok=True)
                torch.save([self.photographs, self.frames], kept.with_suffix(".tmp"))
                kept.with_suffix(".tmp").replace(kept)
        if not self.photographs and not self.frames:
            raise MissingData(
                f"no pictures of at least {crop}x{crop} in {', '.join(str(f) for f in folders) or 'no folder'}: "
                "give folders of photographs or video clips with --data"
            )
        self.crop, self.random = crop, random.Random(seed)
        self.video_share = video_share if self.photographs and self.frames else float(bool(self.frames))

    def described(self) -> str:
        """One sentence for the model card."""
        return (f"{len(self.photographs)} photographs and {len(self.frames)} video frames, "
                f"{100 * self.video_share:.0f} % of the crops from video. No clip of a folder named \"{HELD_OUT}\" was used.")

    def batch(self, n: int) -> Tensor:
        """n crops, float32 (n, 3, crop, crop) in [0, 1], flipped and halved in size at random."""
        return torch.stack([self._crop() for _ in range(n)]).float().div_(255)

    def _crop(self) -> Tensor:
        rng, size = self.random, self.crop
        picture = rng.choice(self.frames if rng.random() < self.video_share else self.photographs)
        height, width = picture.shape[1:]
        halve = min(height, width) >= 2 * size and rng.random() < 0.5  # hides JPEG blocking where there is room
        span = 2 * size if halve else size
        top, left = rng.randrange(height - span + 1), rng.randrange(width - span + 1)
        patch = picture[:, top : top + span, left : left + span]
        if halve:
            patch = F.avg_pool2d(patch.float(), 2).round().to(torch.uint8)
        if rng.random() < 0.5:
            patch = patch.flip(2)
        return patch


def load_photographs(paths: list[Path], crop: int) -> list[Tensor]:
    """Decode photographs to uint8 (3, H, W), those at least ``crop`` high and wide."""
    pictures = (torch.from_numpy(np.asarray(Image.open(p).convert("RGB")).copy()).permute(2, 0, 1).contiguous() for p in paths)
    return [p for p in pictures if min(p.shape[1:]) >= crop]


def _load(images: list[Path], videos: list[Path], crop: int, every: int, progress) -> tuple[list[Tensor], list[Tensor]]:
    """Decode everything to uint8 (3, H, W): photographs, and every n-th frame of the videos."""
    photographs, frames = [], []
    for i, path in enumerate(images + videos):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            photographs += load_photographs([path], crop)
        else:
            frames += [f.contiguous().clone() for f in read_video(path).frames[::every] if min(f.shape[1:]) >= crop]
        if progress:
            progress(i + 1, len(images) + len(videos))
    return photographs, frames
