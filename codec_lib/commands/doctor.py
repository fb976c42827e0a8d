"""`doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import argparse
import shutil
import time

from codec_lib.commands.common import print_json

HELP = "show what works on this machine"
EXAMPLES = ("python -m codec_lib doctor", "python -m codec_lib doctor --json")

NEEDED = ("numpy", "torch", "torchvision", "constriction", "safetensors", "av", "imageio-ffmpeg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    checks = (versions, processor, speed, gpu, memory_and_disk, ffmpeg, neural_codecs, metrics, data)
    findings = {}
    for check in checks:
        try:
            findings[check.__name__] = check()
        except Exception as error:  # the one place where nothing that fails may hide what else there is to say
            findings[check.__name__] = {"problem": f"{type(error).__name__}: {' '.join(str(error).split())}"}
    problems = [f"{name}: {found['problem']}" for name, found in findings.items() if "problem" in found]
    if args.json:
        print_json({"ok": not problems, "problems": problems, "findings": findings})
    else:
        for name, found in findings.items():
            print(name.replace("_", " "))
            for key, value in found.items():
                print(f"  {key:18} {value}")
        print("all is well" if not problems else "problems:\n  " + "\n  ".join(problems))
    return 1 if problems else 0


def versions() -> dict:
    from importlib import metadata

    from codec_lib import __version__
    from codec_lib.experiments.provenance import git_state, libraries

    found = {"codec_lib": __version__, "commit": git_state()[0][:10], **libraries()}
    missing = []
    for name in NEEDED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    return found | ({"problem": f"not installed: {', '.join(missing)}: run `make env`"} if missing else {})


def processor() -> dict:
    import torch

    from codec_lib.experiments.provenance import cores, cpu_name

    return {"name": cpu_name(), "cores": cores(), "torch threads": torch.get_num_threads(),
            "vector width": torch.backends.cpu.get_cpu_capability(), "bfloat16": bfloat16_units()}


def bfloat16_units() -> str:
    """Whether the processor multiplies bfloat16 itself; where it does not, PyTorch emulates it slowly."""
    import torch

    if torch.cpu._is_amx_tile_supported():
        return "matrix units (AMX)"
    return "vector units (AVX-512)" if torch.cpu._is_avx512_bf16_supported() else "emulated: float32 is faster"


def speed() -> dict:
    """GMAC/s of a 3x3 convolution, 128 channels on a 56x32 map, channels_last: the best of ten, other work slows it."""
    import torch

    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        conv = torch.nn.Conv2d(128, 128, 3, padding=1).requires_grad_(False)
        conv = conv.to(dtype=dtype, memory_format=torch.channels_last)
        x = torch.randn(1, 128, 32, 56).to(dtype=dtype, memory_format=torch.channels_last)
        seconds = []
        for _ in range(11):  # the first one warms up
            start = time.perf_counter()
            conv(x)
            seconds.append(time.perf_counter() - start)
        found[f"{str(dtype).removeprefix('torch.')}, GMAC/s"] = round(128 * 128 * 9 * 32 * 56 / min(seconds[1:]) / 1e9)
    return found


def gpu() -> dict:
    import torch

    if not torch.cuda.is_available():
        return {"cuda": "none; everything in the book runs without"}
    return {"cuda": torch.cuda.get_device_name(),
            "memory": f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GB"}


def memory_and_disk() -> dict:
    from codec_lib.experiments.provenance import memory_bytes
    from codec_lib.paths import ROOT

    memory, free = memory_bytes(), shutil.disk_usage(ROOT).free
    found = {"memory": f"{memory / 2**30:.0f} GB" if memory else "unknown", "disk free": f"{free / 2**30:.0f} GB"}
    return found | ({"problem": "less than 1 GB of disk is free"} if free < 2**30 else {})


def ffmpeg() -> dict:
    """Version, and whether each conventional codec can code here."""
    from codec_lib.codecs import conventional

    return {"version": conventional.ffmpeg_version()} | conventional.available()


def neural_codecs() -> dict:
    from codec_lib.codecs.protocol import CODECS, load_codec
    from codec_lib.errors import MissingWeights

    found = {}
    for name, where in CODECS.items():
        if "conventional" in where:
            continue
        try:
            codec = load_codec(name)
            found[name] = f"ready, qualities {codec.qualities[0]} to {codec.qualities[-1]}"
        except MissingWeights as error:
            found[name] = str(error)
    return found


def metrics() -> dict:
    from codec_lib.metrics import METRICS, metric

    return {name: metric(name).available() or "ready" for name in METRICS}


def data() -> dict:
    from codec_lib.experiments.records import results_dir

    saved = sorted(path.stem for path in results_dir().glob("*.json"))
    return {"saved results": ", ".join(saved) or "none"}
