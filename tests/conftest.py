"""What tests of all rooms share: small clips, files of them, the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# Two threads for the smallest tensors cost more than they bring, and the suite may share its machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def make_clip(width: int = 64, height: int = 48, frames: int = 4, name: str = "drifting"):
    """Smooth texture that drifts a pixel a frame: easy to code, not trivial, the same everywhere."""
    import torch

    from codec_lib.video.clip import Video

    t = torch.arange(frames).view(-1, 1, 1, 1)
    c = torch.arange(3).view(1, -1, 1, 1)
    y = torch.arange(height).view(1, 1, -1, 1)
    x = torch.arange(width).view(1, 1, 1, -1) + t
    waves = torch.sin(x / 5 + c) + torch.sin(y / 7 - c) + 0.5 * torch.sin((x + 2 * y) / 3)
    return Video((128 + 45 * waves).round().clamp(0, 255).to(torch.uint8), Fraction(25), name)


@pytest.fixture(scope="session")
def clip_maker():
    """`make_clip`, for tests that need clips of other sizes."""
    return make_clip


@pytest.fixture(scope="session")
def tiny_clip():
    """A Video of 4 frames, 64x48."""
    return make_clip()


@pytest.fixture(scope="session")
def tiny_file(tiny_clip, tmp_path_factory) -> Path:
    """The same as a .y4m file."""
    from codec_lib.video import write_video

    path = tmp_path_factory.mktemp("clips") / "drifting.y4m"
    write_video(tiny_clip, path)
    return path


@pytest.fixture
def cli(capsys):
    """Run the command line in this process: ``cli("info", path)`` -> .status, .out, .err."""
    def run(*argv) -> SimpleNamespace:
        from codec_lib.cli import main

        capsys.readouterr()
        status = main([str(a) for a in argv])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return run


@pytest.fixture
def program():
    """Run the command line as a process of its own, as a user does; keywords go to subprocess.run."""
    def run(*argv, **how) -> subprocess.CompletedProcess:
        how = {"capture_output": True, "text": True, "timeout": 120, "stdin": subprocess.DEVNULL} | how
        return subprocess.run([sys.executable, "-m", "codec_lib", *map(str, argv)], **how)

    return run
