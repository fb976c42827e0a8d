"""`Video`: the one form in which frames travel through the library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor

from codec_lib.errors import VideoError


@dataclass(frozen=True)
class YUVPlanes:
    """Planar YCbCr samples as a file stores them.

    y: uint8 or int16 (T, H, W); u, v: the same type, (T, H, W) for 4:4:4 or (T, ceil(H/2), ceil(W/2)) for 4:2:0.
    bit_depth: 8 or 10. matrix: "bt709", "bt601" or "bt2020". full_range: False for limited (16..235 at 8 bit).
    """

    y: Tensor
    u: Tensor
    v: Tensor
    bit_depth: int = 8
    matrix: str = "bt709"
    full_range: bool = False

    @property
    def subsampling(self) -> str:
        """Read off the plane sizes: "444" or "420"."""
        return "444" if self.u.shape == self.y.shape else "420"


@dataclass(frozen=True)
class Video:
    """A clip.

    frames: uint8 RGB, (T, 3, H, W), T >= 1.
    fps: frames a second, exact.
    name: short name for records and tables.
    yuv: the samples the frames were converted from, when the source was YCbCr. Conventional codecs code these,
        so that a comparison does not charge them for a second chroma conversion.
    flow: exact optical flow where it is known (virtual-camera clips), float32 (T-1, 2, H, W): the point at pixel
        (x, y) of frame t stands at (x + flow[t, 0, y, x], y + flow[t, 1, y, x]) in frame t+1.
    visible: bool (T-1, H, W), True where that point is still seen in frame t+1.
    """

    frames: Tensor
    fps: Fraction
    name: str
    yuv: YUVPlanes | None = None
    flow: Tensor | None = None
    visible: Tensor | None = None

    def __post_init__(self):
        object.__setattr__(self, "fps", Fraction(self.fps))  # 25 and "30000/1001" are taken as well
        f = self.frames
        if f.dtype != torch.uint8 or f.ndim != 4 or f.shape[1] != 3:
            raise VideoError(f"frames must be uint8 (T, 3, H, W), not {f.dtype} {tuple(f.shape)}")
        if 0 in f.shape:
            raise VideoError(f"'{self.name}' holds no frames: give a clip of at least one frame and one pixel")

    def __len__(self) -> int:
        return self.frames.shape[0]

    @property
    def height(self) -> int:
        return self.frames.shape[2]

    @property
    def width(self) -> int:
        return self.frames.shape[3]

    @property
    def pixels(self) -> int:
        """Luma pixels in the whole clip, T*H*W: the denominator of every bpp in the book."""
        return self.frames.shape[0] * self.height * self.width

    def first(self, n: int | None) -> Video:
        """The first ``n`` frames (all of them for None), with planes and flow cut alike."""
        if n is not None and n < 1:
            raise VideoError(f"cannot take the first {n} frames: give 1 or more")
        return self if n is None or n >= len(self) else self.part(0, n)

    def part(self, start: int, end: int) -> Video:
        """Frames start to end - 1, with planes and flow cut alike."""
        if not 0 <= start < end <= len(self):
            raise VideoError(f"cannot take frames {start} to {end - 1} of {len(self)}")
        frames, motion = slice(start, end), slice(start, end - 1)
        yuv = self.yuv and replace(self.yuv, y=self.yuv.y[frames], u=self.yuv.u[frames], v=self.yuv.v[frames])
        flow = None if self.flow is None else self.flow[motion]
        visible = None if self.visible is None else self.visible[motion]
        return replace(self, frames=self.frames[frames], yuv=yuv, flow=flow, visible=visible)
