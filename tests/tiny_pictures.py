"""Photographs and a distance for recipes of pictures, as small as can be."""

import numpy as np
import torch
from PIL import Image

from codec_lib.training.data import StillPictures


class Distance(torch.nn.Module):
    """Stands for LPIPS: the same call, no weights to fetch."""

    def forward(self, a, b):
        return (a - b).abs().mean(dim=(1, 2, 3), keepdim=True)


def two_pictures(folder):
    """Two smooth pictures, written to a folder, as recipes draw crops of them."""
    rng = np.random.default_rng(0)
    for i in range(2):
        small = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return StillPictures([folder], crop=64)
