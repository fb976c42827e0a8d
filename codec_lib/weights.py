"""External weight files: what they are, where they are looked for, and how they are fetched and checked.

The library ships no weights that others trained. A metric or a pretrained prior names an entry of ``TABLE``; its files
are looked for in the folders of ``search_path()``:

1. every folder named in the environment variable CODEC_LIB_WEIGHTS (separated like PATH),
2. the user's cache, ``~/.cache/codec_lib/weights`` (under $XDG_CACHE_HOME where that is set).

Nothing is ever fetched behind the user's back: only ``get`` opens a connection.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from codec_lib.errors import MissingWeights, UsageError

Progress = Callable[[int, int], None]
"""Called as progress(bytes done, bytes in all) while a file is fetched; the latter is 0 where no size is announced."""

TORCHVISION = "https://download.pytorch.org/models/"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class WeightFile:
    """One file.

    name: path below a weights folder.
    urls: where to fetch it, tried in order; empty for a form that is accepted but not distributed by itself.
    sha256: the digest in hex, all 64 digits or the leading ones that its publisher states; "" where none is published,
        and then whoever loads the file checks its contents.
    bytes: its size, shown before it is fetched.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Weights:
    """An entry of ``TABLE``: the files that one model needs.

    files: all are needed; the first is the one that ``find`` returns.
    instead_of_first: other forms of the first file with the same tensors, accepted when they are found.
    """

    about: str
    licence: str
    used_by: tuple[str, ...]
    files: tuple[WeightFile, ...]
    instead_of_first: tuple[WeightFile, ...] = ()


def _torchvision(name: str, sha256: str, size: int) -> WeightFile:
    return WeightFile(name, (TORCHVISION + name,), sha256, size)


# The digests of torchvision's files begin with the eight digits in their names, which is what torchvision checks.
VGG16 = _torchvision(
    "vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", 553_433_881
)
ALEXNET = _torchvision("alexnet-owt-7be5be79.pth", "7be5be79", 244_408_911)
SQUEEZENET = _torchvision("squeezenet1_1-b8a52dc0.pth", "b8a52dc0", 4_966_400)

TABLE: dict[str, Weights] = {
    "lpips-squeeze": Weights(
        "SqueezeNet 1.1 (ImageNet): backbone of LPIPS, net squeeze",
        "BSD-3-Clause",
        ("lpips",),
        (SQUEEZENET,),
        instead_of_first=(
            WeightFile(
                "squeezenet1_1_features.pth",
                (),
                "435cedb387e95bc8291893f61a3a64f0345b8c23a05139aceef43947efb3d52d",
                2_899_197,
            ),
        ),
    ),
    "lpips-alex": Weights(
        "AlexNet (ImageNet): backbone of LPIPS, net alex", "BSD-3-Clause", ("lpips-alex",), (ALEXNET,)
    ),
    "lpips-vgg": Weights("VGG-16 (ImageNet): backbone of LPIPS, net vgg", "BSD-3-Clause", ("lpips-vgg",), (VGG16,)),
    "dists": Weights(
        "DISTS: weights of its structure and texture terms, and its VGG-16 backbone",
        "Apache-2.0 (piq), MIT (DISTS), BSD-3-Clause (VGG-16)",
        ("dists",),
        (
            WeightFile(
                "dists_weights.pt",
                ("https://github.com/photosynthesis-team/piq/releases/download/v0.4.1/dists_weights.pt",),
                "",
                13_000,
            ),
            VGG16,
        ),
    ),
    "clip-f": Weights(
        "CLIP ViT-B/32 (OpenAI), as published for the transformers library",
        "MIT",
        ("clip-f",),
        (
            WeightFile(
                "clip-vit-base-patch32/pytorch_model.bin",
                (
                    "https://huggingface.co/openai/clip-vit-base-patch32/resolve/"
                    "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268/pytorch_model.bin",
                ),
                "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f",
                605_247_071,
            ),
        ),
    ),
    "fvd": Weights(
        "I3D (Kinetics-400) as TorchScript, the feature network of StyleGAN-V's FVD",
        "Apache-2.0 (I3D); the conversion to TorchScript states none",
        ("fvd",),
        (
            WeightFile(
                "i3d_torchscript.pt",
                (
                    "https://www.dropbox.com/s/ge9e5ujwgetktms/i3d_torchscript.pt?dl=1",
                    "https://huggingface.co/flateon/FVD-I3D-torchscript/resolve/"
                    "1c2d61711c52571ad617a1063e6fa691b212e184/i3d_torchscript.pt",
                ),
                "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2",
                51_235_320,
            ),
        ),
    ),
}


def cache_folder() -> Path:
    """The user's own folder of weights, where ``get`` puts what it fetches. It may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "codec_lib" / "weights"


def search_path() -> list[Path]:
    """Folders in which weight files are looked for, first match wins."""
    named = os.environ.get("CODEC_LIB_WEIGHTS", "")
    return [Path(p).expanduser() for p in named.split(os.pathsep) if p] + [cache_folder()]


def entry(name: str) -> Weights:
    """The table entry of that name. Raises UsageError for a name that is not in the table."""
    if name not in TABLE:
        raise UsageError(f"unknown weights '{name}': choose from {', '.join(TABLE)}")
    return TABLE[name]


def paths(name: str) -> dict[str, Path] | None:
    """Where the files of an entry lie, by file name, first file first; None unless all of them are there.

    When the first file is there in another accepted form, that form's name and path stand in its place.
    """
    weights, found = entry(name), {}
    for i, file in enumerate(weights.files):
        forms = (file, *weights.instead_of_first) if i == 0 else (file,)
        hit = next(((f.name, d / f.name) for f in forms for d in search_path() if (d / f.name).is_file()), None)
        if hit is None:
            return None
        found[hit[0]] = hit[1]
    return found


def find(name: str) -> Path:
    """The first file of an entry. Raises MissingWeights, saying how to get them, unless all its files are there."""
    found = paths(name)
    if found is None:
        raise MissingWeights(how_to_get(name))
    return next(iter(found.values()))


def how_to_get(name: str) -> str:
    """One line: which files are missing, the command that fetches them, and where to put them by hand."""
    weights = entry(name)
    lacking = [f for f in weights.files if not any((d / f.name).is_file() for d in search_path())]
    what = ", ".join(f"{f.name} ({_size(f.bytes)}) from {f.urls[0]}" for f in lacking)
    return (
        f"weights '{name}' are not on this machine: run `python -m codec_lib weights get {name}`, "
        f"or put {what} into {search_path()[0]}"
    )


def _size(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n / 1e3:.0f} kB"


def checked(name: str) -> dict[str, Path]:
    """``paths``, with every digest compared (once per file and process).

    Raises MissingWeights when a file is not there, or is there with another digest than its publisher's.
    """
    found = paths(name)
    if found is None:
        raise MissingWeights(how_to_get(name))
    for file in (*entry(name).files, *entry(name).instead_of_first):
        path = found.get(file.name)
        if path and not _matches(file, path):
            raise MissingWeights(
                f"{path} is damaged or not the published file (its SHA-256 is not {file.sha256}...): "
                f"delete it and run `python -m codec_lib weights get {name}`"
            )
    return found


def verify(name: str) -> dict[str, str]:
    """For each file of an entry: "ok", "no digest published", "wrong digest" or "missing"."""
    found, report = paths(name) or {}, {}
    weights = entry(name)
    for file in (*weights.files, *weights.instead_of_first):
        path = found.get(file.name) or next((d / file.name for d in search_path() if (d / file.name).is_file()), None)
        if path:
            report[file.name] = (
                "no digest published" if not file.sha256 else "ok" if _matches(file, path) else "wrong digest"
            )
        elif file in weights.files and not (file is weights.files[0] and found):
            report[file.name] = "missing"
    return report


def get(name: str, progress: Progress | None = None, folder: Path | None = None) -> Path:
    """Fetch what is missing of an entry; returns the path of its first file.

    Each file is written under a hidden temporary name, its digest compared, and renamed; what was there before stays
    until then. folder: where to put them, the user's cache by default.
    Raises MissingWeights, in one line, when there is no network, the transfer breaks off or the digest is wrong.
    """
    folder = Path(folder) if folder else cache_folder()
    found = paths(name) or {}
    for i, file in enumerate(entry(name).files):
        there = next((d / file.name for d in [folder, *search_path()] if (d / file.name).is_file()), None)
        if (there and _matches(file, there)) or (i == 0 and not there and found):
            continue
        _fetch(file, folder / file.name, progress)
    found = paths(name)
    return next(iter(found.values())) if found else folder / entry(name).files[0].name


def _fetch(file: WeightFile, target: Path, progress: Progress | None) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    except OSError as error:
        raise MissingWeights(f"cannot write to {target.parent} ({error.strerror}): name a folder that can") from error
    reasons = []
    for url in file.urls:
        try:
            digest = _download(url, part, progress)
            if not digest.startswith(file.sha256):
                raise OSError(f"SHA-256 is {digest[:12]}... and should begin with {file.sha256[:12]}")
            os.replace(part, target)
            return
        except (OSError, ValueError, http.client.HTTPException) as error:  # URLError, timeouts, full disks are OSErrors
            reasons.append(f"{url} ({getattr(error, 'reason', None) or error})")
        finally:
            part.unlink(missing_ok=True)
    raise MissingWeights(
        f"could not fetch {file.name}: {'; '.join(reasons)}. "
        f"Fetch it with another connection and put it into {target.parent}"
    )


def _download(url: str, part: Path, progress: Progress | None) -> str:
    """Write ``url`` to ``part``; returns its SHA-256. Raises OSError when it ends before its announced length."""
    digest, done = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "codec_lib"})
    with urllib.request.urlopen(request, timeout=30) as response, open(part, "wb") as out:
        total = int(response.headers.get("Content-Length") or 0)
        while block := response.read(_CHUNK):
            out.write(block)
            digest.update(block)
            done += len(block)
            if progress:
                progress(done, total)
    if done < total:
        raise OSError(f"the transfer broke off after {done} of {total} bytes")
    return digest.hexdigest()


def _matches(file: WeightFile, path: Path) -> bool:
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns).startswith(file.sha256)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file; size and time are there so that a file that changed is read again."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
