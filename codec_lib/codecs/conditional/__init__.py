"""The `conditional` codec: P frames conditioned on the frame before, I frames by `intra`.

Structure of DCVC-DC (papers.md 4.1): motion (`lattice`, `motion_search`, `motion_coding`), temporal contexts (`context`),
contextual encoder and decoder (`contextual`), priors (`prior`, and `entropy_path` in the form that codes), streams (`codec`).
"""

from __future__ import annotations

from pathlib import Path

from codec_lib.errors import MissingWeights, UsageError


def load(name: str = "conditional", profile: str | None = None, *, checkpoint: Path | str | None = None,
         intra: Path | str | None = None, entropy: str = "integer", device: str = "cpu", channels_last: bool = True,
         batch: int | None = None, **structure):
    """Make the conditional codec from its checkpoint and that of its I-frame codec.

    profile: "lab" (default).
    checkpoint, intra: other files than those shipped.
    entropy: "integer" (portable streams), or "float" for the float twins of both codecs.
    device, channels_last: change speed, never symbols. batch: taken for the sake of a common interface; frames go one by one.
    structure: ``intra_period``, ``intra_offset``, ``offsets``, ``cut``, see `codec.Structure`.
    Raises MissingWeights, UsageError.
    """
    from codec_lib.checkpoint import checkpoint_path
    from codec_lib.codecs import intra as intra_room
    from codec_lib.codecs.conditional.codec import ConditionalCodec, structure_with
    from codec_lib.codecs.conditional.config import profile_config
    from codec_lib.codecs.conditional.export import load_parts

    profile = profile or "lab"
    profile_config(profile)
    if name.partition(":")[2]:
        raise UsageError(f"conditional has no variants, '{name}' names one: write conditional")
    if entropy not in ("integer", "float"):
        raise UsageError(f"entropy path '{entropy}' does not exist: choose integer or float")
    parts = load_parts(Path(checkpoint) if checkpoint else checkpoint_path("conditional", profile), entropy)
    i_codec = intra_room.load("intra", profile, checkpoint=intra, entropy=entropy, device=device, channels_last=channels_last)
    if i_codec.checkpoint.hex() != parts.intra:
        raise MissingWeights(f"the conditional codec was trained with intra checkpoint {parts.intra}, "
                             f"and {i_codec.checkpoint.hex()} is there: get that one, or train conditional again")
    return ConditionalCodec(parts.model, parts.entropy, parts.tables, parts.motion, i_codec, parts.digest, profile=profile,
                            device=device, channels_last=channels_last, structure=structure_with(**structure))
