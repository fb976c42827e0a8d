"""Table `p-frame`: what each part of the conditional codec's P frames costs, at lab size and at that of DCVC-DC.

Networks are counted, not run, so no weights are needed. A P frame after a P frame is coded once at the encoder: its latents are
decoded on the way, so every part runs. A decoder runs all but the parts of `ENCODER`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import torch
from torch import Tensor

from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.lattice import lattice_shape
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.profiles import profile_config
from codec_lib.codecs.conditional.reference import MotionMemory, Reference
from codec_lib.experiments.papers import cell
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results, label
from codec_lib.metrics.complexity import count_macs

DESCRIPTION = "parameters and kMAC/pixel of the conditional codec's P frames, part by part, beside DCVC-DC"

PROFILES = ("lab", "paper")
WIDTH, HEIGHT = 448, 256
PARTS: dict[str, tuple[str, ...]] = {
    "motion estimation": ("flow.estimate.",),
    "motion encoder": ("flow.g_a.", "flow.h_a."),
    "motion prior": ("flow.entropy.",),
    "motion decoder": ("flow.",),
    "contexts": ("context.",),
    "contextual encoder": ("g_a.",),
    "hyper-encoder": ("h_a.",),
    "prior fusion": ("entropy.fusion.",),
    "spatial prior": ("entropy.spatial.", "entropy.prior_2."),
    "other priors": ("entropy.",),
    "reconstruction": ("g_s.merge{fine}.", "g_s.blocks{fine}.", "g_s.tail.", "g_s.feature."),
    "contextual decoder": ("g_s.",),
}
"""What the names of a part's tensors begin with; the first part that fits has them. fine: the finest scale."""
ENCODER = ("motion estimation", "motion encoder", "contextual encoder", "hyper-encoder")
"""Parts that no decoder needs."""
SIZE = "size"
"""All parameters in millions, as the ledger's claim on the backbone counts them."""
WHOLE, DECODING = "all", "all in decoding"
PAPER_CELLS = {
    ("parameters", WHOLE): "building_blocks.parameters/dcvc-dc/value",
    ("parameters", "motion estimation"): "building_blocks.parameters/dcvc-dc-spynet/value",
    ("parameters", "prior fusion"): "building_blocks.parameters/dcvc-dc-prior-fusion/value",
    ("parameters", "spatial prior"): "building_blocks.parameters/dcvc-dc-spatial-prior/value",
    ("parameters", "reconstruction"): "building_blocks.parameters/dcvc-dc-reconstruction/value",
    ("parameters", "contextual decoder"): "building_blocks.parameters/dcvc-dc-decoder/value",
    ("kmac_per_pixel", WHOLE): "givic.table1/dcvc-dc/kmac",
}
"""What is known of DCVC-DC's parts. The last is what GIViC's Table 1 prints for it, whichever frames it means."""
PAPER = {f"{what} {part}": asdict(cell(key)) for (what, part), key in PAPER_CELLS.items()}


def measure(clips: Sequence[str] | None = None, progress: Callable[[int, int], None] | None = None) -> Results:
    """Count the networks of each profile on a 448x256 frame. clips: not looked at."""
    results = Results("p-frame", provenance({"profiles": list(PROFILES), "count_at": [WIDTH, HEIGHT]}))
    for done, profile in enumerate(PROFILES):
        config = profile_config(profile)
        with torch.device("meta"):
            model = ConditionalModel(config)
        counts = {"parameters": (parameters(model), 1), "kmac_per_pixel": (macs(model), 1000 * WIDTH * HEIGHT)}
        for what, (counted, unit) in counts.items():
            for part in (WHOLE, DECODING, *PARTS):
                results.add_value(f"{what} {part}", counted[part] / unit if unit > 1 else counted[part],
                                  codec=label("conditional", profile))
        results.add_value(SIZE, counts["parameters"][0][WHOLE] / 1e6, "M", codec=label("conditional", profile))
        if progress:
            progress(done + 1, len(PROFILES))
    return results


def part_of(name: str, config: ConditionalConfig) -> str:
    """The part that a tensor or module belongs to, by its name in `ConditionalModel`. Raises KeyError for one that has none."""
    for part, beginnings in PARTS.items():
        if f"{name}.".startswith(tuple(b.format(fine=config.scales[0]) for b in beginnings)):
            return part
    raise KeyError(name)


def parameters(model: ConditionalModel) -> Counter:
    """Number of parameters of each part, of all, and of what a decoder needs."""
    return _summed((part_of(n, model.config), p.numel()) for n, p in model.named_parameters())


def macs(model: ConditionalModel, height: int = HEIGHT, width: int = WIDTH) -> Counter:
    """Multiply-accumulates of each part for one frame, sides multiples of 64, of all, and of what a decoder runs."""
    counted = count_macs(model, *inputs(model.config, height, width)).modules
    own = Counter(counted)  # less what modules inside of a module do: warping, for one, is done by a module that has others
    for name in counted:
        if name:
            own[next(n for n in _around(name) if n in counted)] -= counted[name]
    assert own.pop("") == 0, "something is computed outside the modules"
    return _summed((part_of(name, model.config), n) for name, n in own.items())


def _around(name: str) -> Iterator[str]:
    """Names of the modules around a module, the nearest first; the whole model is ""."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def _summed(counts) -> Counter:
    total = Counter()
    for part, n in counts:
        total.update({part: n, WHOLE: n, DECODING: 0 if part in ENCODER else n})
    return total


def inputs(config: ConditionalConfig, height: int, width: int) -> tuple[Tensor, Reference, Tensor, Tensor]:
    """What `ConditionalModel.forward` takes for a P frame after a P frame: zeros. Sides: multiples of ``config.stride``."""
    def zeros(channels: int, scale: int) -> Tensor:
        return torch.zeros(1, channels, height // scale, width // scale)

    memory, expected, u = None, None, torch.zeros(1)
    if config.motion == "learned":
        memory = MotionMemory(zeros(config.motion_channels, 4), zeros(config.motion_channels, 16))
    else:
        expected = zeros(config.prior_features, config.latent_stride)
    reference = Reference(zeros(3, 1), zeros(config.feature_channels, config.scales[0]),
                          zeros(config.y_channels, config.latent_stride), u, memory, 1, expected)
    return zeros(3, 1), reference, torch.zeros(1, 2, *lattice_shape(height, width), dtype=torch.int64), u


def rows(results: Results) -> list[dict]:
    """A row for each part that a profile has; where DCVC-DC's is known, it stands beside, with its location."""
    table, values = [], {v.id: v for v in results.values}
    for codec in dict.fromkeys(v.codec for v in results.values):
        of_paper = codec == label("conditional", "paper")
        for part in (WHOLE, DECODING, *PARTS):
            ids = {what: f"p-frame/{codec}/-/-/{what} {part}" for what in ("parameters", "kmac_per_pixel")}
            row = {"codec": codec, "part": part} | {what: values[i].value for what, i in ids.items()}
            known = {what: PAPER[f"{what} {part}"] for what in ids if of_paper and f"{what} {part}" in PAPER}
            row |= {f"paper_{what}": e["value"] * (1e6 if e["unit"] == "M" else 1) for what, e in known.items()}
            if known:
                row["location"] = "; ".join(e["location"] for e in known.values())
            if row["parameters"] or row["kmac_per_pixel"]:
                table.append(row | {"ids": ids})
    return table
