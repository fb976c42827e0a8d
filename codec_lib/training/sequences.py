"""Training clips with their motion: frames kept in memory as uint8, fields searched once and kept on disk; and films of
photographs, whose motion is known."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codec_lib.codecs.conditional.lattice import COARSEST, SPACING, UNIT, lattice_shape
from codec_lib.codecs.conditional.motion_search import luma, search_each
from codec_lib.errors import MissingData, UsageError
from codec_lib.training.data import IMAGE_SUFFIXES, VIDEO_SUFFIXES, load_photographs, training_files
from codec_lib.training.filmed import film, varied
from codec_lib.training.focus import out_of_focus
from codec_lib.video import read_video

FIELD_WEIGHTS = (1200.0, 60.0)
"""Weights of the searches whose fields are kept, for a codec of pixels: for the lower and for the upper half of the qualities."""
LONGEST = 24
"""Frames of each clip that are used, its first: a search takes about a second and a half."""


@dataclass(frozen=True)
class Sequence:
    """frames: uint8 (T, 3, H, W), sides multiples of 64. motion: int16 (T - 1, weights, 2, H/8 + 1, W/8 + 1); entry t
    leads from frame t + 1 back to frame t, one field for each weight."""

    name: str
    frames: Tensor
    motion: Tensor


class Sequences:
    """Random space-time crops of clips, with the motion between their frames.

    folders: searched for video files; folders named "dev" are left out. cache: where fields are kept. crop: side in
    pixels, a multiple of 64. Frames are cropped to sides that are multiples of 64.
    search: compute fields that are not in the cache; without it, clips without fields are left out.
    film_share: share of the sequences that are films of photographs (`film`), where the folders hold any.
    varied: turn photographs, and make them lighter or darker (`filmed.varied`).
    blurred: share of the sequences that are put out of focus (`out_of_focus`).
    searches: weights of the motion searches (see `motion_search.search`), for qualities from low to high; none: no motion is wanted.
    Raises MissingData if there is no clip.
    """

    def __init__(self, folders: list[Path], cache: Path, crop: int = 256, seed: int = 0, search: bool = True,
                 film_share: float = 0.35, varied: bool = False, blurred: float = 0.0,
                 searches: tuple[float, ...] = FIELD_WEIGHTS, progress: Callable[[int, int], None] | None = None):
        if crop < 64 or crop % 64:
            raise UsageError(f"crops have sides that are multiples of 64, and {crop} is none: give another --crop")
        self.crop, self.random, self.clips, self.fields = crop, random.Random(seed), [], len(searches)
        paths = training_files(folders, VIDEO_SUFFIXES)
        for i, path in enumerate(paths):
            kept = cache / f"motion-{_key(path, searches)}.npz"
            if search or kept.is_file() or not searches:
                self.clips += _load(path, kept, crop, searches)
            if progress:
                progress(i + 1, len(paths))
        if not self.clips:
            raise MissingData(f"no video clips of at least {crop}x{crop} in {', '.join(str(f) for f in folders)}: "
                              "give folders of clips with --data")
        self.weights = [len(c.frames) for c in self.clips]
        self.photographs = load_photographs(training_files(folders, IMAGE_SUFFIXES), crop)
        self.film_share, self.varied, self.blurred = film_share if self.photographs else 0.0, varied, blurred

    def described(self) -> str:
        """One sentence for the model card."""
        turned = ", turned by quarters and made lighter or darker" if self.varied else ""
        blurred = f" {100 * self.blurred:.0f} % of them are put out of focus." if self.blurred else ""
        return (f"{len(self.clips)} video clips, {sum(self.weights)} frames, and films of {len(self.photographs)} photographs{turned}, "
                f"{100 * self.film_share:.0f} % of the sequences.{blurred} No clip of a folder named \"dev\" was used.")

    @property
    def longest(self) -> int:
        """Frames of the longest clip."""
        return max(len(c.frames) for c in self.clips)

    def batch(self, n: int, length: int) -> tuple[Tensor, Tensor]:
        """n crops of ``length`` frames: float32 (length, n, 3, crop, crop) in [0, 1], and their motion, int16
        (length - 1, weights, n, 2, crop/8 + 1, crop/8 + 1). Mirrored at random; never played backwards, since fields have a direction.
        """
        frames, motion = [], []
        for _ in range(n):
            f, m = self._film(length) if self.random.random() < self.film_share else self._crop(length)
            if self.blurred and self.random.random() < self.blurred:
                f = out_of_focus(f, self.random)
            if self.random.random() < 0.5:
                f, m = f.flip(-1), m.flip(-1) * torch.tensor([-1, 1], dtype=m.dtype)[:, None, None]
            frames.append(f)
            motion.append(m)
        return torch.stack(frames, 1).float().div_(255), torch.stack(motion, 2)

    def _crop(self, length: int) -> tuple[Tensor, Tensor]:
        long_enough = [i for i, c in enumerate(self.clips) if len(c.frames) >= length]
        if not long_enough:
            raise MissingData(f"sequences of {length} frames are wanted, and the longest clip has {self.longest}: give longer clips")
        clip = self.clips[self.random.choices(long_enough, [self.weights[i] for i in long_enough])[0]]
        start = self.random.randrange(len(clip.frames) - length + 1)
        top, left = (SPACING * 2 * self.random.randrange((side - self.crop) // (2 * SPACING) + 1)
                     for side in clip.frames.shape[-2:])
        f = clip.frames[start : start + length, :, top : top + self.crop, left : left + self.crop]
        rows, columns = (slice(at // SPACING, (at + self.crop) // SPACING + 1) for at in (top, left))
        return f, clip.motion[start : start + length - 1, :, :, rows, columns]

    def _film(self, length: int) -> tuple[Tensor, Tensor]:
        photograph = self.random.choice(self.photographs)
        photograph = varied(photograph, self.random) if self.varied else photograph
        f, m = film(photograph, length, self.crop, self.random)
        return f, m[:, None].repeat(1, self.fields, 1, 1, 1)


def _key(path: Path, weights: tuple[float, ...]) -> str:
    return hashlib.sha256(repr((path.name, path.stat().st_size, weights, UNIT, LONGEST)).encode()).hexdigest()[:16]


def _load(path: Path, kept: Path, crop: int, weights: tuple[float, ...]) -> list[Sequence]:
    frames = read_video(path).frames[:LONGEST]
    height, width = (side - side % COARSEST for side in frames.shape[-2:])
    if min(height, width) < crop or len(frames) < 2:
        return []
    frames = frames[:, :, :height, :width].contiguous()
    if not weights:
        motion = np.zeros((len(frames) - 1, 0, 2, *lattice_shape(height, width)), np.int16)
    elif kept.is_file():
        motion = np.load(kept)["motion"]
    else:
        lumas = [luma(f) for f in frames.permute(0, 2, 3, 1).numpy()]
        motion = [search_each(lumas[1], lumas[0], weights)]
        for a, b in zip(lumas[1:], lumas[2:], strict=False):
            motion.append(search_each(b, a, weights, motion[-1]))
        motion = np.stack(motion)
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(".tmp.npz")
        np.savez_compressed(aside, motion=motion)
        aside.replace(kept)
    return [Sequence(path.stem, frames, torch.from_numpy(motion))]
