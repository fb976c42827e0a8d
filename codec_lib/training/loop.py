"""The one training loop: every recipe of the book runs through `train`.

A recipe says what is learned; the loop gives it steps, a clock, mixed precision (Accelerate), a running average of the
weights, logs and checkpoints, and can go on where it stopped.
"""

from __future__ import annotations

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from codec_lib.errors import UsageError
from codec_lib.training.optim import Muon


class Recipe(ABC):
    """What is trained and how. ``progress`` runs from 0 to 1 over the whole training."""

    name: str
    model: nn.Module
    learning_rate: float = 1.5e-3
    warmup_steps: int = 100
    hold: float = 0.2  # share of the training at full learning rate; then it falls linearly to zero
    clip: float | None = None  # largest gradient norm

    @abstractmethod
    def loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Draw a batch and return the loss (scalar tensor) and figures to log."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures on held-out pictures, with the averaged weights in place."""

    def at(self, progress: float) -> None:  # noqa: B027 (a hook that most recipes leave as it is)
        """Called before every step; switches stages on and off. Must depend on ``progress`` alone."""


def optimizers(model: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Muon for convolution and matrix weights, Adam for gains, biases and tables."""
    weights = [p for n, p in model.named_parameters() if p.ndim >= 2 and n.endswith("weight")]
    rest = [p for n, p in model.named_parameters() if not (p.ndim >= 2 and n.endswith("weight"))]
    return [Muon(weights, lr=lr), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)]


class Average:
    """Exponential running average of a model's parameters; `swapped` puts it in place for a while."""

    def __init__(self, model: nn.Module, decay: float = 0.998):
        self.model, self.decay = model, decay
        self.values = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # follow closely at first
        for n, p in self.model.named_parameters():
            self.values[n].lerp_(p, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange averaged and live weights; call again to undo."""
        for n, p in self.model.named_parameters():
            live = p.detach().clone()
            p.copy_(self.values[n])
            self.values[n].copy_(live)


def train(recipe: Recipe, out: Path, *, minutes: float, steps: int | None = None, resume: bool = False,
          seed: int = 0, save_every: float = 120.0, validate_every: float = 300.0,
          on_step: Callable[[float, dict[str, float]], None] | None = None) -> dict:
    """Train until ``minutes`` of training time (or ``steps``) are used up.

    out: folder for model.safetensors (live weights), average.safetensors, state.pt and log.jsonl.
    resume: go on from ``out``; the time and steps used so far count.
    on_step: called as on_step(progress, figures).
    Returns {"steps", "seconds", "validation"}. The learning rate follows progress, so a longer budget on resume
    stretches what is left of the schedule.
    """
    out.mkdir(parents=True, exist_ok=True)
    state_file = out / "state.pt"
    if state_file.exists() and not resume:
        raise UsageError(f"'{out}' holds an unfinished training: add --resume to go on, or name another --out")
    torch.manual_seed(seed)
    accelerator = Accelerator(mixed_precision="bf16" if _fast_bfloat16() else "no", cpu=not torch.cuda.is_available())
    model = recipe.model.to(accelerator.device, memory_format=torch.channels_last)
    opts = optimizers(model, recipe.learning_rate)
    base = [o.param_groups[0]["lr"] for o in opts]
    average, step, earlier = Average(model), 0, 0.0
    if resume and state_file.exists():
        step, earlier = _restore(out, model, average, opts)
    started = last_save = last_validation = time.monotonic()
    log = open(out / "log.jsonl", "a", buffering=1)

    def seconds() -> float:
        return earlier + time.monotonic() - started

    def write(kind: str, values: dict) -> None:
        log.write(json.dumps({"kind": kind, "step": step, "seconds": round(seconds(), 1), **values}) + "\n")

    while True:
        progress = seconds() / (60 * minutes) if steps is None else step / steps if steps else 1.0
        if progress >= 1:
            break
        rate = min(1.0, (step + 1) / recipe.warmup_steps) * min(1.0, (1 - progress) / (1 - recipe.hold))
        for o, b in zip(opts, base, strict=True):
            o.param_groups[0]["lr"] = b * rate
        recipe.at(progress)
        with accelerator.autocast():
            loss, figures = recipe.loss(progress)
        accelerator.backward(loss)
        if recipe.clip:
            accelerator.clip_grad_norm_(model.parameters(), recipe.clip)
        if torch.isfinite(loss):
            for o in opts:
                o.step()
        for o in opts:
            o.zero_grad()
        average.update(step)
        step += 1
        now = time.monotonic()
        if step % 50 == 0:
            write("train", figures)
        if on_step:
            on_step(progress, figures)
        if now - last_save > save_every:
            _save(out, model, average, opts, step, seconds())
            last_save = now
        if now - last_validation > validate_every:
            write("validate", _validate(recipe, average))
            last_validation = time.monotonic()
    recipe.at(1.0)
    _save(out, model, average, opts, step, seconds())
    validation = _validate(recipe, average)
    write("validate", validation)
    log.close()
    average.swap()  # the model leaves with its averaged weights
    return {"steps": step, "seconds": seconds(), "validation": validation}


def _validate(recipe: Recipe, average: Average) -> dict[str, float]:
    average.swap()
    recipe.model.eval()
    with torch.no_grad():
        figures = recipe.validate()
    recipe.model.train()
    average.swap()
    return figures


def _save(out: Path, model: nn.Module, average: Average, opts, step: int, seconds: float) -> None:
    parameters = {n: p.detach().contiguous() for n, p in model.named_parameters()}
    for name, tensors in (("model", parameters), ("average", {n: v.contiguous() for n, v in average.values.items()})):
        save_file(tensors, out / f"{name}.tmp")
        os.replace(out / f"{name}.tmp", out / f"{name}.safetensors")
    torch.save({"opts": [o.state_dict() for o in opts], "step": step, "seconds": seconds}, out / "state.tmp")
    os.replace(out / "state.tmp", out / "state.pt")


def _restore(out: Path, model: nn.Module, average: Average, opts) -> tuple[int, float]:
    model.load_state_dict(load_file(out / "model.safetensors"), strict=False)
    for n, v in load_file(out / "average.safetensors").items():
        average.values[n].copy_(v)
    state = torch.load(out / "state.pt", weights_only=True)
    for o, s in zip(opts, state["opts"], strict=True):
        o.load_state_dict(s)
    return state["step"], state["seconds"]


def _fast_bfloat16() -> bool:
    """Whether bfloat16 products are done by the processor itself; emulated ones are slower than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
