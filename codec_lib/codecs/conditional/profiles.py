"""Names of configurations: three sizes, and what was chosen otherwise than there.

    lab                     what ships
    paper                   P frames of DCVC-DC
    lab-residual            lab with coding="residual"
    lab-difference          lab with coding="difference"
    lab-context             lab with temporal_prior="context", the papers' float prior
    lab-residual-context    lab with both
    wide-residual           residual coding with as many parameters as lab-difference-context, and its mask

The name of a profile stands in its streams and names its checkpoint, so each configuration has one name only: choices come in the
order of `CHOICES`, and none that the size makes anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from codec_lib.codecs.conditional.config import CHOICES, ConditionalConfig
from codec_lib.errors import UsageError

LAB = ConditionalConfig()
PAPER = ConditionalConfig(
    coding="conditional", linear=False, fold=1, widths=(48, 64, 96), feature_channels=48, y_channels=128, z_channels=128,
    context_blocks=(1, 1, 1), context_kinds=("residual",) * 3,
    analysis_blocks=(0, 1, 1), analysis_kinds=("narrow",) * 3, analysis_merges=("concatenate",) * 3,
    synthesis_blocks=(2, 1, 1), synthesis_kinds=("unet", "narrow", "narrow"),
    synthesis_merges=("3x3", "concatenate", "concatenate"), up_kernel=3, fine_width=32, head_width=96,
    gain_scale=1, anchors=4, lambda_low=85 / 255**2, lambda_high=840 / 255**2,
    alignment="features", feature_adaptors=True, motion="learned", temporal_prior="context", spatial_prior="quadtree",
    density="laplace",
)
"""P frames of DCVC-DC (Li et al. 2023): 19,778,563 parameters. Widths and blocks from its official code."""

WIDE = replace(LAB, analysis_blocks=(2, 3, 3), synthesis_blocks=(4, 4, 4), prior_width=288, mask=True)
"""The lab networks a tenth larger, so that residual coding, which has no contexts to read, can be as large as coding that has."""

SIZES = {"lab": LAB, "wide": WIDE, "paper": PAPER}
CHOICE_OF = {value: choice for choice, values in CHOICES.items() for value in values}
INTRA_PROFILE = "lab"
"""I-frame codec of every profile. DCVC-DC's own intra network is not here; I frames of the lab codec serve."""


def profile_config(profile: str) -> ConditionalConfig:
    """The configuration of a profile. Raises UsageError for a name that is none, or not the one of its configuration."""
    size, *values = profile.split("-")
    if size not in SIZES:
        raise UsageError(f"conditional has no profile '{profile}': choose from {', '.join(SIZES)}, or add choices to one of them, "
                         "as in lab-residual")
    if unknown := [v for v in values if v not in CHOICE_OF]:
        raise UsageError(f"profile '{profile}' names '{unknown[0]}': choose from {', '.join(CHOICE_OF)}")
    config = replace(SIZES[size], **{CHOICE_OF[v]: v for v in values})
    if profile != (name := _name(size, config)):
        raise UsageError(f"profile '{profile}' is called '{name}'")
    return config


def with_options(profile: str, options: Iterable[str]) -> str:
    """Name of the profile that differs from another by options "choice=value". Raises UsageError for what does not exist."""
    config, changes = profile_config(profile), {}
    for option in options:
        choice, equals, value = option.partition("=")
        if not equals or choice not in CHOICES:
            raise UsageError(f"conditional has no option '{option}': write NAME=VALUE with a name from {', '.join(CHOICES)}")
        changes[choice] = value
    return _name(profile.partition("-")[0], replace(config, **changes))


def require_profile(config: ConditionalConfig, profile: str, source: str) -> None:
    """Raise UsageError unless a configuration that came with ``source`` makes the choices of a profile. Widths may differ."""
    wanted = profile_config(profile)
    for choice in CHOICES:
        if (found := getattr(config, choice)) != (asked := getattr(wanted, choice)):
            raise UsageError(f"'{source}' was trained with {choice} '{found}', profile {profile} has '{asked}': name its own profile")


def _name(size: str, config: ConditionalConfig) -> str:
    changed = [getattr(config, c) for c in CHOICES if getattr(config, c) != getattr(SIZES[size], c)]
    return "-".join([size, *changed])
