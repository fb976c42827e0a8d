"""VMAF (Netflix), through libvmaf inside the bundled ffmpeg, with the model that is built into it."""

from __future__ import annotations

import json

from codec_lib.metrics.base import FrameMetric
from codec_lib.metrics.ffmpeg_filter import ffmpeg_version, filter_missing, run_filter
from codec_lib.video.clip import Video

MODEL = "vmaf_v0.6.1"
SMALLEST = 32
"""libvmaf ends in a segmentation fault on 16x16 frames: its four wavelet scales need more."""


class VMAF(FrameMetric):
    """VMAF of 4:2:0 planes, 0 to 100, mean over frames.

    The model was trained for 1920x1080 seen from three screen heights; on smaller frames the numbers rank codecs but do
    not mean what they mean at 1080p. Identical frames score between 95 and 100, as the model has it.
    """

    name, better = "vmaf", "higher"

    @property
    def about(self) -> str:
        return f"libvmaf, model {MODEL}, ffmpeg {ffmpeg_version()}, 4:2:0, mean over frames"

    def available(self, reference: Video | None = None) -> str | None:
        return filter_missing("libvmaf") or super().available(reference)

    def undefined_for(self, reference: Video) -> str | None:
        if min(reference.width, reference.height) >= SMALLEST:
            return None
        return f"its filters need frames of at least {SMALLEST}x{SMALLEST}, not {reference.width}x{reference.height}"

    def log(self, reference: Video, decoded: Video) -> dict:
        """libvmaf's own JSON log: {"version", "frames": [{"metrics": {"vmaf": ...}}], "pooled_metrics": ...}."""
        spec = f"libvmaf=model=version={MODEL}:n_threads=1:log_fmt=json:log_path=vmaf.json"
        return json.loads(run_filter(reference, decoded, spec, "vmaf.json"))

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        return [frame["metrics"]["vmaf"] for frame in self.log(reference, decoded)["frames"]]

    def measure(self, reference: Video, decoded: Video) -> float:
        return self.log(reference, decoded)["pooled_metrics"]["vmaf"]["mean"]
