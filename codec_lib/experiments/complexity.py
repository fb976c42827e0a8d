"""Table `complexity`: what the neural codecs cost: parameters, kMAC/pixel, memory, frames a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from codec_lib.codecs.intra.model import IntraModel
from codec_lib.codecs.protocol import load_codec
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results
from codec_lib.metrics.complexity import MACs, count_macs, parameters, peak_memory, speed
from codec_lib.video import iter_clips

DESCRIPTION = "parameters, kMAC/pixel, peak memory and frames a second of the neural codecs"
PAPER: dict = {}

CODECS = ("intra@lab",)
NETWORKS = {"intra": IntraModel}
"""The networks behind each codec, made from its configuration; only shapes are counted."""
WIDTH, HEIGHT = 448, 256
FRAMES = 4
MODULES = ("", "g_a", "h_a", "entropy", "g_s")
"""Submodules with a row of their own; "" is the whole codec."""


def measure(clips: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None) -> Results:
    """Counts on a 448x256 frame; memory and speed of coding the first frames of the first clip, real bytes included."""
    video = next(iter_clips((clips or ["sample"])[0], frames=FRAMES))
    config = {"codecs": list(CODECS), "count_at": [WIDTH, HEIGHT], "frames": FRAMES, "clip": video.name,
              "size": [video.width, video.height], "threads": torch.get_num_threads()}
    results = Results("complexity")
    checkpoints = {}
    for done, name in enumerate(CODECS):
        codec = load_codec(name)
        checkpoints[name] = codec.checkpoint.hex()
        model = NETWORKS[codec.name](codec.config)
        size = parameters(model)
        macs = count_macs(model, torch.zeros(1, 3, HEIGHT, WIDTH), torch.zeros(1))
        for part in MODULES:
            results.add_value(cell("parameters", part), size[part], codec=name)
            results.add_value(cell("kmac_per_pixel", part), part_macs(macs, part) / (HEIGHT * WIDTH * 1000), codec=name)
        quality = codec.default_qualities[len(codec.default_qualities) // 2]
        stream = codec.encode(video, quality)
        for direction, run in (("encode", lambda c=codec, q=quality: c.encode(video, q)),
                               ("decode", lambda c=codec, s=stream: c.decode(s))):
            memory = peak_memory(run)
            fps = speed(run, frames=len(video)).fps
            results.add_value(f"{direction}_peak_memory", memory.increase / 2**20, "MiB", codec=name, clip=video.name)
            results.add_value(f"{direction}_fps", fps, "frame/s", codec=name, clip=video.name)
        if progress:
            progress(done + 1, len(CODECS))
    results.provenance |= provenance(config, checkpoints=checkpoints)
    return results


def part_macs(macs: MACs, part: str) -> int:
    """Multiply-accumulates inside a submodule; where its parts are called one by one, their sum."""
    if part in macs.modules:
        return macs.modules[part]
    depth = part.count(".") + 1
    return sum(n for name, n in macs.modules.items() if name.startswith(f"{part}.") and name.count(".") == depth)


def cell(what: str, part: str) -> str:
    """Name of a count: "parameters", "parameters g_a"."""
    return f"{what} {part}".strip()


def rows(results: Results) -> list[dict]:
    """A row for each codec, then one for each of its parts."""
    table = []
    for codec in dict.fromkeys(v.codec for v in results.values):
        values = {v.metric: v for v in results.values if v.codec == codec}
        for part in MODULES:
            wanted = {"parameters": cell("parameters", part), "kmac_per_pixel": cell("kmac_per_pixel", part)}
            if not part:
                wanted |= {n: n for n in ("encode_peak_memory", "decode_peak_memory", "encode_fps", "decode_fps")}
            found = {column: values[name] for column, name in wanted.items() if name in values}
            table.append({"codec": codec, "part": part or "all", **{c: v.value for c, v in found.items()},
                          "ids": {c: v.id for c, v in found.items()}})
    return table
