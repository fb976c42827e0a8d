"""In which order the `conditional` codec learns what, at each size."""

from __future__ import annotations

from dataclasses import dataclass

from codec_lib.codecs.conditional.config import ConditionalConfig


@dataclass(frozen=True)
class Stage:
    """A part of the training. until: share of the whole at which it ends. frames: P frames that are trained together.
    lead: at most so many P frames are coded before them without training, so that errors have had time to add up.
    rate: whether bits count. learns: "motion" (its networks alone, for a good prediction
    of the first P frame), "content" (all but these) or "all"."""

    until: float
    frames: int
    lead: int = 0
    rate: bool = True
    learns: str = "all"


@dataclass(frozen=True)
class Schedule:
    """stages: one after the other. weights: of the squared error, by number of the P frame, repeated. jitter: P frames of one
    sequence differ by up to so much in relative quality, as hierarchical quality will ask of them."""

    stages: tuple[Stage, ...]
    weights: tuple[float, ...] = (1.0,)
    jitter: float = 0.12

    def at(self, progress: float) -> Stage:
        """The stage that training is in, progress from 0 to 1."""
        return next(s for s in self.stages if progress < s.until or s is self.stages[-1])

    def weight(self, t: int) -> float:
        """Weight of the error of P frame t, counted from 1."""
        return self.weights[(t - 1) % len(self.weights)]


ON_LATTICE = Schedule((
    Stage(0.02, frames=1, rate=False),
    Stage(0.10, frames=1),
    Stage(0.25, frames=2, lead=1),
    Stage(0.55, frames=3, lead=3),
    Stage(1.00, frames=3, lead=6),
))
LEARNED_MOTION = Schedule((
    Stage(1 / 30, frames=1, rate=False, learns="motion"),
    Stage(4 / 30, frames=1, learns="motion"),
    Stage(7 / 30, frames=1, rate=False, learns="content"),
    Stage(10 / 30, frames=1, learns="content"),
    Stage(16 / 30, frames=1),
    Stage(21 / 30, frames=2),
    Stage(25 / 30, frames=4),
    Stage(1.00, frames=4, lead=4),
), weights=(0.5, 1.2, 0.5, 0.9), jitter=0.0)
"""Stages by the epochs that several re-implementations of DCVC-DC agree on, and its frame weights (`data/papers/`). The frame before
decides which feature adaptor is used, so those follow the same period of four."""


def schedule_of(config: ConditionalConfig) -> Schedule:
    """The schedule that goes with a kind of motion."""
    return LEARNED_MOTION if config.motion == "learned" else ON_LATTICE
