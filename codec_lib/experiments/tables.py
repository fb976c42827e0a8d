"""The tables that the book reproduces, by name: `python -m codec_lib table NAME`.

A table is a module with

    DESCRIPTION            one line
    PAPER                  what the papers print, each number with its location; {} where no paper has this table
    measure(clips, progress) -> Results       runs the experiment
    RESUMABLE = True                          where measure also takes out and resume, as `evaluate` does: for long ones
    TAKES_CHECKPOINTS = True                  where measure also takes checkpoints, a folder: for weights that are not shipped
    rows(results) -> list of flat dicts       arranges what was measured; a measured cell's record id is under "ids"

To add one, write the module and name it in TABLES.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from codec_lib.errors import UsageError
from codec_lib.experiments.records import Results, load_results, results_dir

TABLES: dict[str, str] = {
    "anchors": "codec_lib.experiments.anchors",
    "bd-anchors": "codec_lib.experiments.bd_anchors",
    "same-psnr": "codec_lib.experiments.same_psnr",
    "intra-rd": "codec_lib.experiments.intra_rd",
    "intra-rates": "codec_lib.experiments.intra_rates",
    "entropy": "codec_lib.experiments.entropy_speed",
    "portability": "codec_lib.experiments.portability",
    "portability-conditional": "codec_lib.experiments.portability_conditional",
    "complexity": "codec_lib.experiments.complexity",
    "image-prior": "codec_lib.experiments.image_prior",
    "p-frame": "codec_lib.experiments.p_frame",
    "low-delay-rd": "codec_lib.experiments.low_delay_rd",
    "i-and-p": "codec_lib.experiments.i_and_p",
    "coding-ablation": "codec_lib.experiments.coding_ablation",
    "equal-coding": "codec_lib.experiments.equal_coding",
    "propagation": "codec_lib.experiments.propagation",
    "diffvc-rd": "codec_lib.experiments.diffvc_rd",
    "diffvc-complexity": "codec_lib.experiments.diffvc_complexity",
    "tdir": "codec_lib.experiments.tdir",
    "qpp": "codec_lib.experiments.qpp",
}


def described() -> dict[str, str]:
    """Name -> one line on each table."""
    return {name: _module(name).DESCRIPTION for name in TABLES}


def table(name: str, *, recompute: bool = False, resume: bool = False, clips: Sequence[str] | None = None,
          progress: Callable | None = None, checkpoints: Path | None = None) -> dict:
    """A table as {"name", "paper", "rows", "provenance"}.

    recompute: measure and save data/results/<name>.json first; clips: on which clips, for tables that are about clips.
    resume: with recompute, of a table that is RESUMABLE: go on with a measurement that was broken off, else add clips to
        the saved one.
    checkpoints: with recompute, of a table that TAKES_CHECKPOINTS: the folder that they lie in.
    Raises UsageError for an unknown name, MissingData when nothing has been measured yet.
    """
    module = _module(name)
    if resume and not getattr(module, "RESUMABLE", False):
        raise UsageError(f"the table '{name}' is measured in one go: leave out --resume")
    options = {"clips": clips, "progress": progress}
    if getattr(module, "TAKES_CHECKPOINTS", False):
        options["checkpoints"] = checkpoints
    elif checkpoints:
        raise UsageError(f"the table '{name}' measures what is shipped: leave out --checkpoints")
    if recompute:
        start = time.perf_counter()
        results = _measure(name, module, resume, **options)
        results.experiment = name
        results.provenance["seconds"] = round(time.perf_counter() - start, 1)
        results.save()
        _partial(name).unlink(missing_ok=True)
    else:
        results = load_results(name)
    return {"name": name, "paper": module.PAPER, "rows": module.rows(results), "provenance": results.provenance}


def _measure(name: str, module, resume: bool, **options) -> Results:
    if not getattr(module, "RESUMABLE", False):
        return module.measure(**options)
    _partial(name).parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        _partial(name).unlink(missing_ok=True)
    saved = [path for path in (_partial(name), results_dir() / f"{name}.json") if resume and path.exists()]
    return module.measure(**options, out=_partial(name), resume=Results.load(saved[0]) if saved else None)


def _partial(name: str) -> Path:
    """Where a long measurement keeps what it has until it is complete."""
    return results_dir() / f"{name}.partial.json"


def text_table(made: dict) -> str:
    """A table as plain text, with a last line on where the numbers come from."""
    rows = [{k: v for k, v in row.items() if k != "ids"} for row in made["rows"]]
    origin = made["provenance"]
    commit = origin.get("commit", "unknown")[:10] + ("+changes" if origin.get("dirty") else "")
    return f"{text_rows(rows)}\nmeasured {origin.get('date', '')} at {commit} on {origin.get('hardware', 'unknown')}"


def text_rows(rows: list[dict]) -> str:
    """Dicts as aligned columns; numbers to four significant digits, "-" where a row has no such cell."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns] + [[_cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    numeric = [all(isinstance(row.get(c), int | float | None) for row in rows) for c in columns]
    return "\n".join(
        "  ".join(cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(line, widths, numeric, strict=True))
        .rstrip() for line in lines)


def _cell(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:.0f}"
    return str(value)


def _module(name: str):
    if name not in TABLES:
        raise UsageError(f"unknown table '{name}': choose from {', '.join(TABLES)}")
    return importlib.import_module(TABLES[name])
