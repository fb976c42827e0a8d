"""How DiffVC's encoder gives out qualities and I frames: by what a viewer misses, not by what a latent differs in.

A picture that was drawn, or whose texture is another one, has a large squared error and looks well; a wall that is bent has not much
more of it and looks wrong. So both measures here are of pictures whose texture has been averaged away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from codec_lib.codecs.conditional.lattice import COARSEST, flow_from_nodes
from codec_lib.codecs.conditional.motion_search import luma, search
from codec_lib.codecs.conditional.motion_stream import pixels
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.layers.warping import warp
from codec_lib.video.padding import pad_to_multiple

COARSE = 8  # pixels a side of what is averaged: texture is gone, and what is bent or in the wrong place is not
MOTION_WEIGHT = 30.0  # of bits in this search, a twelfth of the encoder's at its best: what is left is what no motion explains
USUAL = 0.0014
"""What motion leaves (`coarse_error`) of the clip `cows`, for which ``intra_offset`` was chosen. Eleven dev clips have 0.018 (motocross),
0.008 (kitesurf), 0.004 (dance, roundabout), 0.003 (parkour), 0.0014, 0.001 (cut), 0.0008 (juggle), 0.0007 (bee), 0.0001 (karma), and 0."""
LEAST, MOST = -2.6, 1.75  # halvings; with the default ``still_offset`` I frames get from 0 to 35 levels of 64


@dataclass(frozen=True)
class LatentStructure(Structure):
    """`Structure` for I frames that are coded as pixels, and P frames as latents.

    DiffVC does not say its own. The nearest guess is an intra period of 32 and DCVC-DC's weights of 0.5, 1.2, 0.5, 0.9 for the errors
    of a group of four (``offsets``). Here I frames come where P frames are worn (``refresh``), and all P frames were trained with
    equal weights, so they get equal qualities; ``intra_period`` and ``offsets`` are there for whoever wants the others.

    At low rates I frames have to be much better than what is asked for, since P frames live on them; at high rates no better, since
    P frames cannot pass on more than the autoencoder shows. Hence ``intra_slope``.

    still_offset: how much more, for each doubling of how well the next frame is had of this one by moving it (`outlook`). Dear I frames
        pay where what they show lasts; where little of it does, cheap ones have to come often.
    refresh: as in `Structure`. What P frames lack is `coarse_error` of their decoded picture: each takes the way through the autoencoder,
        and what is carried along of the I frame fits less and less.

    Tried on 25 frames of dev clips at quality 12, with nothing drawn and P frames by weights that were tuned for LPIPS, against an I frame
    sent by the latent's error and offset by 21 or 35. Parkour, where everything moves, had LPIPS 0.196 at 0.032 bpp and was smeared; so
    it has 0.200 at 0.0285 with ``refresh`` 2 and 0.211 at 0.0261 with 3, 0.8 and 0.7 dB more, and its lines are straight. Cows, whose I
    frames cost as much as 100 P frames, is as before with 3, which sends none but the first, 0.154 at 0.027, and with 2 has 0.140 at
    0.0515.

    Latents are harder to predict than pixels. Their prediction's squared error was 0.01 to 0.68 of their variance within a scene,
    most at the lowest quality, and 0.99 to 3.3 after a cut (hence ``cut``): six frames of each of eight dev clips, and six pairs of them
    joined.
    """

    intra_offset: int = 21
    intra_slope: float = 0.45
    still_offset: int = 8
    refresh: float = 3.0
    cut: float = 0.9


def coarse_error(found: Tensor, wanted: Tensor) -> float:
    """Squared error of means over 8x8 pixels, as a share of the variance of ``wanted``, of which one level of 255 at least; both
    (1, 3, H, W) with values up to 255, sides multiples of 8."""
    wanted = wanted.float()
    means = F.avg_pool2d(found.float() - wanted, COARSE)
    return float(means.pow(2).mean() / wanted.var(dim=(2, 3)).mean().clamp(min=1))


def outlook(frame: Tensor, following: Tensor) -> float:
    """How well an I frame lasts: `coarse_error` of ``following`` predicted by moving ``frame``, in halvings of `USUAL`, from `LEAST` to
    `MOST`. Both uint8 (3, H, W)."""
    reference, current = (pad_to_multiple(f[None], COARSEST)[0] for f in (frame, following))
    nodes = search(luma(pixels(current)), luma(pixels(reference)), MOTION_WEIGHT)
    flow = flow_from_nodes(torch.from_numpy(nodes.astype(np.int64))[None])
    left = coarse_error(warp(reference.float(), flow, "spline"), current)
    return min(max(math.log2(USUAL / max(left, 1e-9)), LEAST), MOST)
