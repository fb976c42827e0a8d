"""Where a number comes from: commit, configuration, checkpoints, seed, machine, versions, time."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "numpy", "constriction", "compressai", "av", "imageio-ffmpeg", "lpips", "piq", "pytorch-msssim",
             "ssimulacra2", "bjontegaard", "diffusers", "transformers")


def provenance(config: dict, *, checkpoints: dict[str, str] | None = None, seed: int | None = None,
               seconds: float = 0.0) -> dict:
    """What a record must say of its origin.

    config: everything that was asked for, as plain JSON without paths; its digest tells runs of different settings apart.
    checkpoints: codec -> digest of its weights, see `weights_of`. seed: None where nothing random was drawn. seconds: wall time.
    No host name, user name or path is taken up.
    """
    commit, dirty = git_state()
    return {
        "commit": commit,
        "dirty": dirty,
        "config": config,
        "config_digest": digest(config),
        "checkpoint_digest": dict(checkpoints or {}),
        "seed": seed,
        "hardware": hardware(),
        "libraries": libraries(),
        "seconds": round(seconds, 1),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def weights_of(codec) -> str:
    """First four bytes, in hex, of the SHA-256 of the checkpoint that a codec's streams name, joined by "+" with that of its generator,
    if it has one: what is shown depends on both."""
    drawn_by = getattr(getattr(codec, "generator", None), "digest", "")
    return "+".join(filter(None, (codec.checkpoint.hex(), drawn_by)))


def digest(config) -> str:
    """SHA-256 (hex) of plain JSON data, keys sorted, so that order does not count."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def git_state(folder: Path = Path(__file__).parent) -> tuple[str, bool | None]:
    """Commit of the checkout that ``folder`` lies in, and whether tracked files differ from it, saved results and golden streams aside,
    which who measures or writes them changes; ("unknown", None) outside a checkout."""
    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":(top)",
                      *(f":(top,exclude)data/{kept}" for kept in ("results", "bitstreams")))
        return git("rev-parse", "HEAD").strip(), bool(changed.strip())
    except (OSError, subprocess.CalledProcessError):
        return "unknown", None


def hardware() -> str:
    """Processor, cores this process may use, memory and GPU, in words: "Intel Xeon, 2 cores, 23 GB, AVX512"."""
    parts = [cpu_name(), "1 core" if cores() == 1 else f"{cores()} cores"]
    memory = memory_bytes()
    if memory:
        parts.append(f"{memory / 2**30:.0f} GB")
    import torch

    parts.append(torch.backends.cpu.get_cpu_capability())
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join(parts)


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's name as it reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Physical memory, None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def libraries() -> dict[str, str]:
    """Installed versions of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
