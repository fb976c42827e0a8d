"""Fetch the scripts that pages need, so that the built book renders without a network.

MathJax, RequireJS and the widget manager come from the npm registry through the ordinary client (``npm pack``), in the
versions of assets.json, whose SHA-512 must match. They land in book/vendor/, which git ignores; a second run finds them
there and does nothing. Without npm, or without a network, the book falls back to the CDN and says so.

    python book/assets.py
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

BOOK = Path(__file__).resolve().parent
VENDOR = BOOK / "vendor"
LOCK = BOOK / "assets.json"


class Unavailable(Exception):
    """The assets cannot be had here; the message says why."""


def ensure(vendor: Path = VENDOR, lock: Path = LOCK, npm: str | None = None) -> Path:
    """Folder with all assets of ``lock``, fetched if it is not there or not of these versions.

    Raises Unavailable when npm is missing or fails, and ValueError when a package is not the one that was locked.
    """
    wanted = json.loads(lock.read_text())
    stamp = hashlib.sha256(lock.read_bytes()).hexdigest()
    if (vendor / "stamp").exists() and (vendor / "stamp").read_text() == stamp:
        return vendor
    npm = npm or shutil.which("npm")
    if not npm:
        raise Unavailable("npm is not installed")
    with tempfile.TemporaryDirectory(dir=vendor.parent, prefix=".vendor-") as folder:
        made = Path(folder) / "made"
        for entry in wanted.values():
            archive = _pack(npm, entry["package"], Path(folder))
            check(archive, entry["integrity"], entry["package"])
            unpack(archive, entry["take"], made)
        (made / "stamp").write_text(stamp)
        shutil.rmtree(vendor, ignore_errors=True)
        os.replace(made, vendor)
    return vendor


def check(archive: Path, integrity: str, name: str) -> None:
    """Raise ValueError unless the file has the locked SHA-512 (npm's notation, base64)."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        raise ValueError(f"{name}: the registry gave another file than the one locked in assets.json ({found})")


def unpack(archive: Path, take: dict[str, str], target: Path) -> None:
    """Copy files and folders (names that end in '/') of the package to where ``take`` says below ``target``."""
    with tarfile.open(archive) as tar:
        members = {m.name.partition("/")[2]: m for m in tar.getmembers() if m.isfile()}
        for source, destination in take.items():
            chosen = [n for n in members if n == source or (source.endswith("/") and n.startswith(source))]
            if not chosen:
                raise ValueError(f"{archive.name} holds no {source}")
            for name in chosen:
                path = target / (destination + name.removeprefix(source) if source.endswith("/") else destination)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(members[name]).read())


def _pack(npm: str, package: str, folder: Path) -> Path:
    before = set(folder.glob("*.tgz"))
    try:
        subprocess.run([npm, "pack", package, "--silent", "--pack-destination", str(folder)], cwd=folder, check=True,
                       capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise Unavailable(f"npm could not fetch {package}: {detail[-1] if detail else 'no reason given'}") from None
    return (set(folder.glob("*.tgz")) - before).pop()


def main() -> int:
    try:
        folder = ensure()
    except Unavailable as reason:
        print(f"== assets: {reason}; the pages will load MathJax and widgets from a CDN and need the network to render them")
        return 0
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"== assets: MathJax and widget scripts in book/vendor ({size / 1e6:.1f} MB); the pages need no network")
    return 0


if __name__ == "__main__":
    sys.exit(main())
