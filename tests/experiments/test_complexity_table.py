"""Table `complexity` counts the codec that is shipped, part by part."""

import torch

from codec_lib.codecs.intra.model import IntraConfig, IntraModel
from codec_lib.experiments.complexity import HEIGHT, MODULES, WIDTH, part_macs, rows
from codec_lib.experiments.records import Results
from codec_lib.metrics.complexity import count_macs, parameters


def test_counts_of_the_intra_networks_add_up():
    model = IntraModel(IntraConfig())
    x, u = torch.zeros(1, 3, 64, 64), torch.zeros(1)
    counted = count_macs(model, x, u)
    size = parameters(model)
    assert counted.total == sum(part_macs(counted, part) for part in MODULES if part)
    assert size[""] == sum(size[part] for part in MODULES if part) == sum(p.numel() for p in model.parameters())
    wide = count_macs(model, torch.zeros(1, 3, HEIGHT, WIDTH), u)
    assert wide.total * 64 * 64 == counted.total * HEIGHT * WIDTH, "every layer costs the same for each pixel"


def test_rows_carry_ids():
    results = Results("complexity")
    results.add_value("parameters", 12, codec="intra@lab")
    results.add_value("parameters g_a", 5, codec="intra@lab")
    results.add_value("encode_fps", 3.5, "frame/s", codec="intra@lab", clip="pan")
    stem = "complexity/intra@lab/-/-"
    whole, part = rows(results)[:2]
    assert (whole["part"], whole["parameters"], whole["encode_fps"]) == ("all", 12, 3.5)
    assert (part["part"], part["parameters"], part["ids"]) == ("g_a", 5, {"parameters": f"{stem}/parameters g_a"})
