"""A virtual camera over photographs: clips whose optical flow is known exactly.

A scene is a stack of flat layers, each a photograph with a mask. For every frame each layer has a 3x3 matrix that
takes a pixel of the frame to a point of the photograph (a homography; Hartley and Zisserman, "Multiple View
Geometry", 2nd ed., section 2.3). Where a point of the layer is seen at x in frame t, it stands at A[t+1]^-1 A[t] x
in frame t+1: that is the flow, with no estimation in it. Layers at different speeds give parallax and occlusion.

Pixels are made like a sensor makes them: twice as many samples each way as the frame has pixels, from a photograph
enlarged twice (Lanczos), then the low pass (1 3 3 1)/8 and every second sample. A point keeps its look while it
moves by fractions of a pixel, so warping by the flow reproduces the frame (the tests state the decibels).

Sample positions are whole multiples of 1/64 photograph pixel and everything after them is integer arithmetic, so that
all machines draw the same frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import cos, radians, sin

import cv2
import numpy as np
import torch
from PIL import Image

from codec_lib.errors import UsageError
from codec_lib.video.clip import Video

_SUBPIXELS = cv2.INTER_TAB_SIZE  # 32: steps to a pixel of the enlarged photograph in cv2.remap's fixed-point maps
_OPAQUE, _CLEAR = 250, 5  # a pixel with a mask value between them mixes two layers


@dataclass(frozen=True)
class Pose:
    """Where the camera looks.

    (x, y): the point of the photograph, in its pixels, that stands in the middle of the frame. scale: photograph
    pixels to a frame pixel. angle: degrees by which the view turns clockwise on the photograph.
    """

    x: float
    y: float
    scale: float = 1.0
    angle: float = 0.0

    def matrix(self, width: int, height: int) -> np.ndarray:
        """Frame pixel (x, y, 1) to photograph pixel; pixel centres have whole coordinates."""
        c, s = self.scale * cos(radians(self.angle)), self.scale * sin(radians(self.angle))
        mx, my = (width - 1) / 2, (height - 1) / 2
        return np.array([[c, -s, self.x - c * mx + s * my], [s, c, self.y - s * mx - c * my], [0, 0, 1]])


def path(start: Pose, end: Pose, frames: int, size: tuple[int, int], *, smooth: bool = False) -> np.ndarray:
    """Matrices (frames, 3, 3) of a camera that goes from one pose to another; size is (width, height).

    Position and angle move at a constant speed (``smooth``: speeding up and slowing down along a cosine), scale
    geometrically.
    """
    t = np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)
    t = (1 - np.cos(np.pi * t)) / 2 if smooth else t
    poses = (
        Pose(
            start.x + (end.x - start.x) * a,
            start.y + (end.y - start.y) * a,
            start.scale * (end.scale / start.scale) ** a,
            start.angle + (end.angle - start.angle) * a,
        )
        for a in t
    )
    return snapped(np.stack([pose.matrix(*size) for pose in poses]))


def tilted(matrices: np.ndarray, tilt: Sequence[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """Make affine matrices projective: a plane turned away from the camera.

    tilt: for each frame the change of depth (relative, about 0) from the middle of the frame to its right and lower
    edge.
    """
    width, height = size
    mx, my = (width - 1) / 2, (height - 1) / 2
    out = []
    for a, (tx, ty) in zip(matrices, tilt, strict=True):
        centre = np.array([[1, 0, -mx], [0, 1, -my], [0, 0, 1]])
        depth = np.array([[1, 0, 0], [0, 1, 0], [tx / mx, ty / my, 1]])
        out.append(a @ np.linalg.inv(centre) @ depth @ centre)
    return snapped(np.stack(out))


def snapped(matrices: np.ndarray) -> np.ndarray:
    """Rounded to multiples of 2**-32, which is far below what shows and drops the last bits of sine and cosine."""
    return np.round(matrices * 2.0**32) / 2.0**32


@dataclass(frozen=True, eq=False)
class Layer:
    """One flat photograph of a scene.

    photo: uint8 (H, W, 3). matrices: (T, 3, 3), frame pixel to photograph pixel (`path`).
    mask: uint8 (H, W), 255 where the photograph covers what is behind it, with soft edges; None covers everything.
    Outside of the photograph the picture is mirrored and the mask is 0.
    """

    photo: np.ndarray
    matrices: np.ndarray
    mask: np.ndarray | None = None

    @cached_property
    def enlarged(self) -> np.ndarray:
        """The photograph twice as large: its pixel (x, y) stands at (2x + 1/2, 2y + 1/2)."""
        return _double(self.photo, Image.Resampling.LANCZOS)

    @cached_property
    def enlarged_mask(self) -> np.ndarray | None:
        """Bilinear, because Lanczos would ring around the edges of a mask."""
        return None if self.mask is None else _double(self.mask, Image.Resampling.BILINEAR)


def _double(image: np.ndarray, how: Image.Resampling) -> np.ndarray:
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((2 * width, 2 * height), how))


def render(layers: Sequence[Layer], size: tuple[int, int], *, fps: int, name: str) -> Video:
    """Film a stack of layers, the farthest first; size is (width, height).

    Returns a `Video` with exact ``flow`` and ``visible``. A pixel that mixes two layers counts as not visible.
    """
    if not layers or layers[0].mask is not None:
        raise UsageError("a scene needs a farthest layer without mask")
    if len({len(layer.matrices) for layer in layers}) != 1:
        raise UsageError("the layers of a scene must have one number of frames")
    width, height = size
    count = len(layers[0].matrices)
    frames = np.empty((count, height, width, 3), np.uint8)
    for t in range(count):
        frames[t] = _draw(layers, t, width, height)
    flow = np.empty((count - 1, 2, height, width), np.float32)
    visible = np.empty((count - 1, height, width), bool)
    for t in range(count - 1):
        flow[t], visible[t] = _motion(layers, t, width, height)
    frames = torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
    return Video(frames, fps, name, flow=torch.from_numpy(flow), visible=torch.from_numpy(visible))


def _draw(layers: Sequence[Layer], t: int, width: int, height: int) -> np.ndarray:
    """Frame t, uint8 (H, W, 3)."""
    # One more sample on each side for the low pass; sample i stands at (i - 1) / 2 - 1/4 of a pixel.
    x = (np.arange(2 * width + 2) - 1) / 2 - 0.25
    y = (np.arange(2 * height + 2) - 1) / 2 - 0.25
    canvas = None
    for layer in layers:
        where = _positions(layer.matrices[t], x[None, :], y[:, None])
        picture = _sample(layer.enlarged, where, cv2.BORDER_REFLECT)
        if layer.mask is None:
            canvas = picture
            continue
        alpha = _sample(layer.enlarged_mask, where, cv2.BORDER_CONSTANT)
        rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
        if len(rows):
            part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            a = alpha[part].astype(np.int32)[..., None]
            canvas[part] = (picture[part] * a + canvas[part] * (255 - a) + 127) // 255
    return _low_pass(canvas)


def _positions(matrix: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frame points to points of the photograph, in double precision, by plain sums and products only."""
    u, v = (row[0] * x + row[1] * y + row[2] for row in matrix[:2])
    a, b, c = matrix[2]
    if a or b:
        depth = a * x + b * y + c
        return u / depth, v / depth
    return u / c, v / c


def _sample(image: np.ndarray, where: tuple[np.ndarray, np.ndarray], border: int) -> np.ndarray:
    """Bilinear samples of an enlarged uint8 image at points of the photograph, in integers."""
    u, v = (np.rint((2 * p + 0.5) * _SUBPIXELS).astype(np.int32) for p in where)
    whole = np.stack((u // _SUBPIXELS, v // _SUBPIXELS), -1).clip(-32768, 32767).astype(np.int16)
    part = (v % _SUBPIXELS * _SUBPIXELS + u % _SUBPIXELS).astype(np.uint16)
    return cv2.remap(image, whole, part, cv2.INTER_LINEAR, borderMode=border)


def _low_pass(samples: np.ndarray) -> np.ndarray:
    """uint8 (2H + 2, 2W + 2, 3) to (H, W, 3): (1 3 3 1)/8 each way at every second sample, rounded."""
    s = samples.astype(np.int16)
    s = s[0:-3:2] + s[3::2] + 3 * (s[1:-2:2] + s[2:-1:2])
    s = s[:, 0:-3:2] + s[:, 3::2] + 3 * (s[:, 1:-2:2] + s[:, 2:-1:2])
    return ((s + 32) >> 6).astype(np.uint8)


def _motion(layers: Sequence[Layer], t: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Flow (2, H, W) from frame t to t + 1, and where it can be seen (H, W)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    flow, visible = np.empty((2, height, width)), np.zeros((height, width), bool)
    for depth, layer in enumerate(layers):
        p = _positions(layer.matrices[t], x, y)
        here = np.full((height, width), 255, np.uint8) if layer.mask is None else _cover(layer, p)
        nx, ny = _positions(np.linalg.inv(layer.matrices[t + 1]), *p)
        owner = here > 127  # a nearer layer that covers the pixel as well overwrites this one later
        flow[:, owner] = nx[owner] - x[owner], ny[owner] - y[owner]
        seen = (here >= _OPAQUE) & (nx >= 0) & (nx <= width - 1) & (ny >= 0) & (ny <= height - 1)
        for nearer in layers[depth + 1 :]:
            seen &= _cover(nearer, _positions(nearer.matrices[t + 1], nx, ny)) <= _CLEAR
        visible = np.where(here > _CLEAR, seen, visible)
    return flow, visible


def _cover(layer: Layer, photo_points: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The mask's value at points of the photograph."""
    return _sample(layer.enlarged_mask, photo_points, cv2.BORDER_CONSTANT)
