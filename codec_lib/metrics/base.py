"""The one interface of all quality metrics, and the table of their names."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache
from typing import ClassVar

import torch

from codec_lib import weights
from codec_lib.errors import UsageError, VideoError
from codec_lib.video.clip import Video

Progress = Callable[[int, int], None]


class Undefined(UsageError):
    """A metric has no value for this clip (frames too small, too few frames); the message says why."""


class Metric(ABC):
    """A measure of a decoded clip against its reference.

    name: as on the command line and in records.
    unit: "dB", "" for pure numbers, or what the number counts.
    better: "higher" or "lower".
    about: one line for records and captions: which network, model or filter, and how frames are pooled.
    needs: the entry of ``codec_lib.weights.TABLE`` that it needs, or None.
    device: where networks run; the CPU by default, where the value does not depend on the machine's accelerator.

    A metric that cannot be measured is absent with a reason: ``available`` gives the reason, calling it raises. It is
    never replaced by another and never zero. Frames go through one or a few at a time, so that memory does not grow
    with the length of a clip, and a frame's value does not depend on its neighbours in a batch.
    """

    name: ClassVar[str]
    unit: ClassVar[str] = ""
    better: ClassVar[str]
    about: str = ""
    needs: ClassVar[str | None] = None

    def __init__(self, device: str | torch.device = "cpu"):
        self.device = torch.device(device)

    def available(self, reference: Video | None = None) -> str | None:
        """None when the metric can be measured on this machine (and on this clip, if one is given), else why not."""
        if self.needs and weights.paths(self.needs) is None:
            return weights.how_to_get(self.needs)
        return None if reference is None else self.undefined_for(reference)

    def undefined_for(self, reference: Video) -> str | None:
        """Why the metric has no value for clips of this size and length, or None."""
        return None

    @abstractmethod
    def measure(self, reference: Video, decoded: Video) -> float:
        """The value; what is called has made sure that both clips have the same shape and that it is defined."""

    def __call__(self, reference: Video, decoded: Video) -> float:
        """The metric's value over the whole clip.

        Raises VideoError when the clips differ in size or length, Undefined when it has no value for such a clip,
        MissingWeights when its weights are not there.
        """
        self._check(reference, decoded)
        with torch.inference_mode():
            return float(self.measure(reference, decoded))

    def _check(self, reference: Video, decoded: Video) -> None:
        a, b = reference.frames.shape, decoded.frames.shape
        if a != b:
            raise VideoError(
                f"{self.name} compares clips of one shape: '{reference.name}' has {a[0]} frames of {a[3]}x{a[2]}, "
                f"'{decoded.name}' has {b[0]} of {b[3]}x{b[2]}"
            )
        if reason := self.undefined_for(reference):
            raise Undefined(f"{self.name} is not defined for '{reference.name}': {reason}")
        if self.needs:
            weights.find(self.needs)


class FrameMetric(Metric):
    """A metric with a value for each frame; a clip's value is their mean."""

    @abstractmethod
    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        """One value a frame, in order."""

    def per_frame(self, reference: Video, decoded: Video) -> list[float]:
        """One value a frame. Raises as calling the metric does."""
        self._check(reference, decoded)
        with torch.inference_mode():
            return self.frame_values(reference, decoded)

    def measure(self, reference: Video, decoded: Video) -> float:
        values = self.frame_values(reference, decoded)
        return math.fsum(values) / len(values)


# name -> "module:class"; the modules import the libraries that they need when they are first used.
METRICS: dict[str, str] = {
    "psnr": "codec_lib.metrics.psnr:PSNR",
    "psnr-yuv": "codec_lib.metrics.psnr:PSNRYUV",
    "ms-ssim": "codec_lib.metrics.ms_ssim:MSSSIM",
    "lpips": "codec_lib.metrics.lpips_metric:LPIPSSqueeze",
    "lpips-alex": "codec_lib.metrics.lpips_metric:LPIPSAlex",
    "lpips-vgg": "codec_lib.metrics.lpips_metric:LPIPSVGG",
    "dists": "codec_lib.metrics.dists:DISTS",
    "vmaf": "codec_lib.metrics.vmaf:VMAF",
    "xpsnr": "codec_lib.metrics.xpsnr:XPSNR",
    "ssimulacra2": "codec_lib.metrics.ssimulacra:SSIMULACRA2",
    "e-warp": "codec_lib.metrics.e_warp:EWarp",
    "clip-f": "codec_lib.metrics.clip_f:CLIPF",
    "fvd": "codec_lib.metrics.fvd:FVD",
}


@cache
def metric(name: str, device: str = "cpu") -> Metric:
    """The metric of that name, made once a process (with its network, loaded on first use).

    Raises UsageError for a name that is not in METRICS. Missing weights are no error here: ask ``available()``.
    """
    if name not in METRICS:
        raise UsageError(f"unknown metric '{name}': choose from {', '.join(METRICS)}")
    module, _, cls = METRICS[name].partition(":")
    return getattr(importlib.import_module(module), cls)(device)
