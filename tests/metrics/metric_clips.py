"""Small clips with known motion and distortion."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch

from codec_lib.video.clip import Video

SHARED_WEIGHTS = Path(__file__).resolve().parents[2].parent / "shared" / "weights"


def texture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture with some grain, float (3, H, W) in 0..255."""
    g = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8 + 2, width // 8 + 2, generator=g)
    fine = torch.rand(1, 3, height // 2, width // 2, generator=g)
    up = torch.nn.functional.interpolate
    size = (height, width)
    return (up(coarse, size, mode="bicubic")[0] * 190 + up(fine, size, mode="bilinear")[0] * 60).clamp(0, 255)


def panning(frames: int = 3, height: int = 176, width: int = 208, step: int = 2, name: str = "pan") -> Video:
    """A camera that moves ``step`` pixels to the right for each frame; content moves left."""
    wide = texture(height, width + step * frames)
    cut = [wide[:, :, t * step : t * step + width] for t in range(frames)]
    return Video(torch.stack(cut).round().to(torch.uint8), Fraction(24000, 1001), name)


def noisy(video: Video, sigma: float, seed: int = 1) -> Video:
    noise = torch.randn(video.frames.shape, generator=torch.Generator().manual_seed(seed)) * sigma
    return replace(video, frames=(video.frames + noise).round().clamp(0, 255).to(torch.uint8), name="noisy", yuv=None)
