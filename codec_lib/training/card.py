"""Model cards: a Markdown file beside each checkpoint that says what it is and where it comes from."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from codec_lib.checkpoint import file_sha256

DATA_TERMS = """\
| part | terms |
| --- | --- |
| video clips | short excerpts of DAVIS 2016/2017 (BSD release, Creative Commons sources), SAM 2 gallery (Apache-2.0), \
GoPro gpmf-parser samples (Apache-2.0 OR MIT), Flutter API docs assets (BSD-3-Clause), Intel IoT sample videos (CC BY 4.0), \
Tears of Steel (CC BY 3.0, Blender Foundation) |
| photographs | BSDS500 (Martin et al. 2001, Arbelaez et al. 2011; non-commercial research and education) and Urban100 \
(Huang et al. 2015; Flickr photographs under Creative Commons, gathered for research) |
"""


def write_card(path: Path, *, title: str, what: str, bad_at: str, model: nn.Module, config, result: dict, batch: int,
               crop: int, seed: int, data: str, note: str = "") -> Path:
    """Write ``<checkpoint stem>.md``: what it is, sizes, recipe, data and licence, time and hardware, digest.

    config: the model's dataclass. result: as `training.loop.train` returns it. note: what the recipe does not say, such as where
    the weights started.
    """
    parameters = "\n".join(
        f"| `{name}` | {sum(p.numel() for p in part.parameters()) / 1e6:.2f} M |" for name, part in model.named_children()
    )
    settings = "\n".join(f"| `{k}` | {v} |" for k, v in asdict(config).items())
    validation = ", ".join(f"{k} {v:g}" for k, v in result["validation"].items())
    text = f"""# {title}

{what}

**File.** `{path.name}`, {path.stat().st_size / 1e6:.1f} MB, SHA-256 `{file_sha256(path)}`.

**Recipe.** {result["steps"]} steps of {batch} crops of {crop}x{crop}, {result["seconds"] / 60:.0f} minutes on \
{hardware()}, seed {seed}; Muon for weights, Adam for gains and biases, linear decay to zero, weights averaged. On \
training pictures it ended at {validation}; figures on unseen clips are in the book, from `data/results/`.{" " + note if note else ""}

**Data.** {data}

{DATA_TERMS}
**Bad at.** {bad_at}

| part | parameters |
| --- | --- |
{parameters}

| setting | value |
| --- | --- |
{settings}
"""
    card = path.with_suffix(".md")
    card.write_text(text)
    return card


def hardware() -> str:
    """Device and library in words."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()}), torch {torch.__version__}"
