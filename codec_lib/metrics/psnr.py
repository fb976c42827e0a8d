"""Peak signal-to-noise ratio, in RGB and in luma and chroma."""

from __future__ import annotations

import math

from torch import Tensor

from codec_lib.metrics.base import FrameMetric
from codec_lib.metrics.planes import plane_pair
from codec_lib.video.clip import Video

CAP_DB = 100.0
"""A frame without error has no finite PSNR; it counts as 100 dB, and so does any frame above that. One wrong sample
value in a 448x256 frame gives 103.5 dB, so the cap hides nothing that can be seen, and averages stay finite."""


def psnr(a: Tensor, b: Tensor, peak: float = 255.0) -> float:
    """10 log10(peak² / MSE) in dB over all samples of two integer tensors of one shape, at most CAP_DB."""
    difference = a.int() - b.int()
    mse = (difference * difference).double().mean().item()
    return min(CAP_DB, 10 * math.log10(peak**2 / mse)) if mse else CAP_DB


class PSNR(FrameMetric):
    """RGB PSNR: one error over the three channels of a frame, in dB, averaged over frames."""

    name, unit, better = "psnr", "dB", "higher"
    about = f"RGB, peak 255, per frame, mean over frames; frames at most {CAP_DB:.0f} dB"

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        return [psnr(a, b) for a, b in zip(reference.frames, decoded.frames, strict=True)]


class PSNRYUV(FrameMetric):
    """YUV PSNR in 4:2:0, (6 Y + U + V) / 8 of the planes' PSNRs in dB, per frame, averaged over frames.

    The weights are those of the JCT-VC and JVET comparisons (J.-R. Ohm et al., TCSVT 22(12), 2012).
    """

    name, unit, better = "psnr-yuv", "dB", "higher"
    about = f"6:1:1 of Y, U, V in BT.709 4:2:0, per frame, mean over frames; planes at most {CAP_DB:.0f} dB"

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        return [(6 * y + u + v) / 8 for y, u, v in self.planes(reference, decoded)]

    def planes(self, reference: Video, decoded: Video) -> list[tuple[float, float, float]]:
        """PSNR of Y, U and V for each frame, in dB."""
        a, b = plane_pair(reference, decoded)
        peak = 2**a.bit_depth - 1
        return [
            (psnr(a.y[t], b.y[t], peak), psnr(a.u[t], b.u[t], peak), psnr(a.v[t], b.v[t], peak))
            for t in range(len(reference))
        ]
