"""Temporal consistency as warping error: does a decoded clip change along the motion as its reference does?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from codec_lib.metrics.base import Metric, Undefined
from codec_lib.video.clip import Video

SMALLEST = 16


class EWarp(Metric):
    """Warping error of the decoded clip along the reference's motion, in squared 8-bit sample values; lower is better.

    For neighbouring frames, E(t) is the mean over visible pixels and RGB channels of (V_t - warp(V_{t+1}))^2 with V in
    0..255, where warp fetches, for each pixel of frame t, the point of frame t+1 to which it moves (bilinear); E_warp
    is the mean over t (W.-S. Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, evaluation metrics;
    theirs are values in 0..1: divide by 65025). Motion and visibility come from the reference, so every codec is
    judged along the same paths; a frozen or blurred clip scores well, so read it beside a quality metric.

    The motion is the clip's exact flow where it has one, else DIS flow (T. Kroeger et al., ECCV 2016; OpenCV, preset
    medium, one thread, because its result depends on how rows are shared out). A pixel counts as visible when it stays
    inside the frame and the flow forth and back cancel (N. Sundaram et al., ECCV 2010):
    |f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5.

    Unit. GNVC-VD prints 23.29 for HEVC on HEVC-B and about 260 on BasketballDrive without naming one. x265 at 0.01 to
    0.02 bpp on our 832x480 clips gives 7 to 60 squared 8-bit values, and leaving the motion out gives 60 to 2000, so
    the table is taken to be in this unit [inferred]; as 10^-4 of a 0..1 scale it would say 151 and 1690, which is what
    no motion compensation at all gives.
    """

    name, better = "e-warp", "lower"
    unit = "squared 8-bit values"
    about = "mean squared RGB difference (0..255) of visible pixels along the reference's flow: exact, else DIS medium"

    def undefined_for(self, reference: Video) -> str | None:
        if len(reference) < 2:
            return "it compares neighbouring frames and the clip has only one"
        if reference.flow is None and min(reference.width, reference.height) < SMALLEST:
            return f"its flow needs frames of at least {SMALLEST}x{SMALLEST}, not {reference.width}x{reference.height}"
        return None

    def pairs(self, reference: Video, decoded: Video) -> list[float]:
        """E(t) for t = 0 .. T-2; nan where no pixel of frame t is seen in frame t+1 (a cut)."""
        frames = decoded.frames.cpu()
        return [warping_error(frames[t], frames[t + 1], *moved) for t, moved in enumerate(motion(reference))]

    def measure(self, reference: Video, decoded: Video) -> float:
        values = [e for e in self.pairs(reference, decoded) if not math.isnan(e)]
        if not values:
            raise Undefined(f"e-warp is not defined for '{reference.name}': no pixel is seen in two frames running")
        return math.fsum(values) / len(values)


def warping_error(frame: Tensor, following: Tensor, flow: Tensor, visible: Tensor) -> float:
    """Mean squared difference of a frame and the next one warped back onto it, over visible pixels and channels.

    frame, following: uint8 (3, H, W). flow: float32 (2, H, W), (x, y) displacement in pixels. visible: bool (H, W).
    """
    if not visible.any():
        return math.nan
    difference = fetch(following.float(), flow) - frame.float()
    return difference[:, visible].double().square().mean().item()


def fetch(image: Tensor, flow: Tensor) -> Tensor:
    """image (C, H, W) sampled bilinearly at (x + flow[0], y + flow[1]) for each pixel, clamped at the borders."""
    height, width = image.shape[-2:]
    x = torch.arange(width) + flow[0]
    y = torch.arange(height)[:, None] + flow[1]
    grid = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), dim=-1)
    sampled = torch.nn.functional.grid_sample(image[None], grid[None], padding_mode="border", align_corners=False)
    return sampled[0]


def motion(video: Video) -> Iterator[tuple[Tensor, Tensor]]:
    """Flow (2, H, W) from each frame to the next and what stays visible (H, W): the clip's exact ones, else DIS."""
    if video.flow is not None:
        seen = video.visible if video.visible is not None else torch.ones_like(video.flow[:, 0], dtype=torch.bool)
        for flow, visible in zip(video.flow, seen, strict=True):
            yield flow, visible & inside(flow)
        return
    luma = None
    for t in range(len(video) - 1):
        first = luma if luma is not None else _luma(video.frames[t])
        luma = _luma(video.frames[t + 1])
        with _one_opencv_thread():
            forth, back = _dis(first, luma), _dis(luma, first)
        yield forth, consistent(forth, back) & inside(forth)


def inside(flow: Tensor) -> Tensor:
    """bool (H, W): the pixels whose target lies inside the frame."""
    height, width = flow.shape[-2:]
    x, y = torch.arange(width) + flow[0], torch.arange(height)[:, None] + flow[1]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def consistent(forth: Tensor, back: Tensor) -> Tensor:
    """bool (H, W): where going forth and coming back ends near the start (Sundaram et al. 2010)."""
    returned = fetch(back, forth)
    drift = (forth + returned).square().sum(0)
    return drift < 0.01 * (forth.square().sum(0) + returned.square().sum(0)) + 0.5


def _luma(frame: Tensor) -> np.ndarray:
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(frame.permute(1, 2, 0).cpu().numpy()), cv2.COLOR_RGB2GRAY)


def _dis(a: np.ndarray, b: np.ndarray) -> Tensor:
    import cv2

    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(a, b, None)
    return torch.from_numpy(flow).permute(2, 0, 1)


@contextmanager
def _one_opencv_thread():
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
