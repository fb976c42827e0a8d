"""Multi-scale structural similarity (Wang, Simoncelli, Bovik, Asilomar 2003), as pytorch-msssim computes it."""

from __future__ import annotations

from codec_lib.metrics.base import FrameMetric
from codec_lib.video.clip import Video

SMALLEST = 161
"""Five scales of an 11-tap window need a shorter side above 10 * 2^4 pixels."""


class MSSSIM(FrameMetric):
    """MS-SSIM on RGB frames, 5 scales, data range 255; 0 to 1, averaged over frames.

    Frames with a side under 161 pixels have no fifth scale and therefore no value.
    """

    name, better = "ms-ssim", "higher"
    about = "pytorch-msssim, RGB, 5 scales, data range 255, mean over frames"

    def undefined_for(self, reference: Video) -> str | None:
        if min(reference.width, reference.height) >= SMALLEST:
            return None
        return f"its 5 scales need frames of at least {SMALLEST}x{SMALLEST}, not {reference.width}x{reference.height}"

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        from pytorch_msssim import ms_ssim

        a, b = (v.frames.to(self.device) for v in (reference, decoded))
        return [ms_ssim(x[None].float(), y[None].float(), data_range=255).item() for x, y in zip(a, b, strict=True)]
