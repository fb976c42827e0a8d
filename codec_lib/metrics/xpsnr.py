"""XPSNR: PSNR weighted by local spatial and temporal activity, through the filter in the bundled ffmpeg."""

from __future__ import annotations

import re

from codec_lib.metrics.base import FrameMetric
from codec_lib.metrics.ffmpeg_filter import ffmpeg_version, filter_missing, run_filter
from codec_lib.metrics.psnr import CAP_DB
from codec_lib.video.clip import Video

_PLANES = re.compile(r"y: *(\S+) .*u: *(\S+) .*v: *(\S+)")


class XPSNR(FrameMetric):
    """XPSNR in dB (C. Helmrich et al., ICASSP 2020; ITU Journal 3(1), 2020), (6 Y + U + V) / 8 of the planes' values.

    The filter pools the square roots of the weighted errors over frames, so the clip's value is its own and not the
    mean of ``per_frame``. Planes without error, infinite in the filter's log, count as 100 dB as in ``psnr``.
    """

    name, unit, better = "xpsnr", "dB", "higher"

    @property
    def about(self) -> str:
        return f"6:1:1 of Y, U, V, filter xpsnr of ffmpeg {ffmpeg_version()} with its pooling over frames, 4:2:0"

    def available(self, reference: Video | None = None) -> str | None:
        return filter_missing("xpsnr") or super().available(reference)

    def planes(self, reference: Video, decoded: Video) -> list[tuple[float, float, float]]:
        """XPSNR of Y, U and V in dB: one row a frame, and the filter's average over the clip as the last row."""
        log = run_filter(reference, decoded, "xpsnr=stats_file=xpsnr.log", "xpsnr.log")
        rows = [_PLANES.search(line) for line in log.splitlines()]
        return [tuple(min(CAP_DB, float(v)) for v in row.groups()) for row in rows if row]

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        return [_weighted(row) for row in self.planes(reference, decoded)[:-1]]

    def measure(self, reference: Video, decoded: Video) -> float:
        return _weighted(self.planes(reference, decoded)[-1])


def _weighted(planes: tuple[float, float, float]) -> float:
    y, u, v = planes
    return (6 * y + u + v) / 8
