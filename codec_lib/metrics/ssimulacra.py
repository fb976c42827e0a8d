"""SSIMULACRA2 (J. Sneyers, Cloudinary 2023), through the package of that name."""

from __future__ import annotations

import io

from torch import Tensor

from codec_lib.metrics.base import FrameMetric
from codec_lib.video.clip import Video

SMALLEST = 8


class SSIMULACRA2(FrameMetric):
    """SSIMULACRA2 of RGB frames taken as sRGB, mean over frames: 100 is identical, 90 visually lossless, 50 medium,
    below 0 very bad.

    The package is plain NumPy and takes about a second for an 832x480 frame: measure it where that is affordable.
    """

    name, better = "ssimulacra2", "higher"
    about = "ssimulacra2 0.3.0 (Python), sRGB, mean over frames"

    def undefined_for(self, reference: Video) -> str | None:
        if min(reference.width, reference.height) >= SMALLEST:
            return None
        return f"it needs frames of at least {SMALLEST}x{SMALLEST}, not {reference.width}x{reference.height}"

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        from ssimulacra2 import compute_ssimulacra2

        pairs = zip(reference.frames, decoded.frames, strict=True)
        return [float(compute_ssimulacra2(_image(a), _image(b))) for a, b in pairs]


def _image(frame: Tensor) -> io.BytesIO:
    """A frame as an image file in memory, uncompressed, because the package opens files."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame.permute(1, 2, 0).cpu().numpy()).save(file, format="PPM")
    file.seek(0)
    return file
