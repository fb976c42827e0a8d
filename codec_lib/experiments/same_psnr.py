"""Table `same-psnr`: one frame damaged in five ways of equal PSNR, and what every metric says about it.

The five are a brightness offset, noise, blur, coarse blocks and a shift by one pixel. A shift has no strength, so its PSNR
is the one that the others are tuned to. Metrics without weights are measured in chapter 01 as the page runs; those with
weights are shown from here, so that the page is the same on a machine that lacks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from codec_lib.errors import UsageError
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results
from codec_lib.metrics import metric
from codec_lib.video import iter_clips
from codec_lib.video.clip import Video

DESCRIPTION = "a brightness offset, noise, blur, blocks and a shift of equal PSNR: what each metric notices"
PAPER: dict = {}

CLIP = "pan"
METRICS = ("psnr", "ms-ssim", "vmaf", "xpsnr", "ssimulacra2", "lpips", "lpips-alex", "lpips-vgg", "dists")
SEED = 0
_STEPS = 14  # halvings of the interval of strengths: the last is below what rounding to sample values lets through

# Each takes a frame, float (3, H, W), 0 to 255, and a strength, and returns such a frame.


def brightness(frame: np.ndarray, strength: float) -> np.ndarray:
    """Every sample brighter by ``strength``."""
    return frame + strength


def noise(frame: np.ndarray, strength: float) -> np.ndarray:
    """White Gaussian noise of standard deviation ``strength``, the same in the three channels, always the same draw."""
    return frame + strength * np.random.RandomState(SEED).standard_normal(frame.shape[1:])  # a stream that NumPy froze


def blur(frame: np.ndarray, strength: float) -> np.ndarray:
    """A Gaussian filter of standard deviation ``strength`` pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(frame, (0, strength, strength), mode="nearest")


def blocks(frame: np.ndarray, strength: float) -> np.ndarray:
    """Cosine transform of 8x8 blocks, coefficients rounded to multiples of ``strength``: JPEG without its tables."""
    from scipy.fft import dctn, idctn

    channels, height, width = frame.shape
    if height % 8 or width % 8:
        raise UsageError(f"frames for 8x8 blocks need sides that are multiples of 8, not {width}x{height}")
    tiles = frame.reshape(channels, height // 8, 8, width // 8, 8)
    coefficients = dctn(tiles, axes=(2, 4), norm="ortho")
    rounded = strength * np.round(coefficients / strength)
    return idctn(rounded, axes=(2, 4), norm="ortho").reshape(frame.shape)


def shift(frame: np.ndarray) -> np.ndarray:
    """One pixel to the right; the first column is repeated."""
    return np.concatenate((frame[:, :, :1], frame[:, :, :-1]), axis=2)


TUNED: Mapping[str, tuple[Callable, float]] = {
    "brightness": (brightness, 128), "noise": (noise, 128), "blur": (blur, 8), "blocks": (blocks, 1024),
}  # fmt: skip
"""Name -> (function, a strength that is surely too great)."""


def to_frame(values: np.ndarray) -> torch.Tensor:
    """Float samples to a uint8 frame, rounded and clipped."""
    return torch.from_numpy(np.rint(values).clip(0, 255).astype(np.uint8))


def damaged(video: Video) -> dict[str, Video]:
    """The first frame of a clip after each of the five, as clips of one frame: name -> `Video`, the shift first."""
    frame = video.frames[0].numpy().astype(np.float64)
    made = {"shift": to_frame(shift(frame))}
    mse = _mse(made["shift"], video.frames[0])
    for name, (distort, most) in TUNED.items():
        made[name] = to_frame(distort(frame, _strength(distort, frame, mse, most)))
    return {name: replace(video.first(1), frames=f[None], yuv=None, name=f"{video.name}, {name}") for name, f in made.items()}


def _strength(distort: Callable, frame: np.ndarray, mse: float, most: float) -> float:
    """The strength at which the rounded result has a mean squared error of ``mse``, by halving."""
    low, high = 1e-3, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _mse(to_frame(distort(frame, middle)), torch.from_numpy(frame)) < mse else (low, middle)
    return high


def _mse(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a.double() - b.double()) ** 2).mean().item()


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None) -> Results:
    """All metrics that can be measured here, on the first frame of sample clip `pan` (or of each clip named)."""
    results = Results("same-psnr")
    absent: dict[str, str] = {}
    config = {"metrics": list(METRICS), "clips": [], "absent": absent}
    for video in (v for name in clips or [f"sample:{CLIP}"] for v in iter_clips(name, frames=1)):
        config["clips"].append(video.name)
        reference = replace(video, yuv=None)  # the damage was done to RGB samples: there are no native planes to compare
        for done, (name, version) in enumerate(damaged(video).items()):
            if progress:
                progress(done, 1 + len(TUNED), f"{video.name} {name}")
            for m in map(metric, METRICS):
                if m.available(reference):
                    absent[m.name] = f"weights '{m.needs}' were not at hand" if m.needs else "not defined for this clip"
                else:
                    results.add_value(m.name, m(reference, version), m.unit, codec=name, clip=video.name)
    results.provenance |= provenance(config, seed=SEED)
    return results


def rows(results: Results) -> list[dict]:
    """One row for each clip and damage, one column for each metric."""
    table = []
    for clip, name in dict.fromkeys((v.clip, v.codec) for v in results.values):
        mine = [v for v in results.values if (v.clip, v.codec) == (clip, name)]
        table.append({"clip": clip, "damage": name, **{v.metric: v.value for v in mine}, "ids": {v.metric: v.id for v in mine}})
    return table
