"""The `conditional` codec: P frames conditioned on the frame before, I frames by `intra`.

Structure of DCVC-DC (Li et al. 2023), in two sizes of the same classes, which a configuration (`config`, named by `profiles`) puts
together from parts:

    motion       integers on a lattice (`lattice`, `motion_search`, `motion_coding`), or a learned flow (`learned_motion`)
    contexts     `context`, from the warped frame, or from features aligned scale by scale (`alignment`)
    transforms   contextual encoder and decoder (`contextual`), of `blocks` and `merge`
    priors       integers (`prior`, and `entropy_path` in the form that codes), or floats (`fused_prior`, `fused_path`)
    streams      `codec`, of `motion_stream` and `latent_stream`; which frames are I frames, and how good (`structure`, `wear`)
"""

from __future__ import annotations

from pathlib import Path

from codec_lib.errors import MissingWeights, UsageError


def load(name: str = "conditional", profile: str | None = None, *, checkpoint: Path | str | None = None,
         intra: Path | str | None = None, entropy: str | None = None, device: str = "cpu", channels_last: bool = True,
         batch: int | None = None, **structure):
    """Make the conditional codec from its checkpoint and that of its I-frame codec.

    profile: "lab" (default), "paper" (DCVC-DC's sizes), or one of these with choices, see `profiles`. Only "lab" comes with a
        checkpoint.
    checkpoint, intra: other files than those shipped.
    entropy: "integer" (portable streams), "float" (float twins of both codecs), or None: integer where the profile has it.
    device, channels_last: change speed, never symbols. batch: taken for the sake of a common interface; frames go one by one.
    structure: ``intra_period``, ``intra_offset``, ``intra_slope``, ``still_offset``, ``offsets``, ``refresh``, ``cut``, see
        `structure.Structure`.
    Raises MissingWeights, UsageError.
    """
    from codec_lib.checkpoint import checkpoint_path
    from codec_lib.codecs import intra as intra_room
    from codec_lib.codecs.conditional.codec import ConditionalCodec
    from codec_lib.codecs.conditional.export import load_parts
    from codec_lib.codecs.conditional.profiles import INTRA_PROFILE, profile_config, require_profile
    from codec_lib.codecs.conditional.structure import Structure
    from codec_lib.codecs.options import refuse, take

    chosen = take(Structure, structure)
    refuse(structure, "conditional", Structure)
    profile = profile or "lab"
    profile_config(profile)
    if name.partition(":")[2]:
        raise UsageError(f"conditional has no variants, '{name}' names one: write conditional")
    if entropy not in ("integer", "float", None):
        raise UsageError(f"entropy path '{entropy}' does not exist: choose integer or float")
    path = Path(checkpoint) if checkpoint else checkpoint_path("conditional", profile)
    if profile != "lab" and not path.is_file():
        raise MissingWeights(f"no checkpoint '{path.name}', and none is shipped for profile {profile}: train one with 'python -m "
                             f"codec_lib train conditional --profile {profile} --data DIR', then give it with checkpoint=FILE or "
                             f"copy it to {checkpoint_path('conditional', profile).parent}")
    parts = load_parts(path, entropy)
    require_profile(parts.model.config, profile, path.name)
    i_codec = intra_room.load("intra", INTRA_PROFILE, checkpoint=intra, entropy=entropy or "integer", device=device,
                              channels_last=channels_last)
    if i_codec.checkpoint.hex() != parts.intra:
        raise MissingWeights(f"the conditional codec was trained with intra checkpoint {parts.intra}, "
                             f"and {i_codec.checkpoint.hex()} is there: get that one, or train conditional again")
    return ConditionalCodec(parts.model, parts.entropy, parts.tables, parts.motion, i_codec, parts.digest, profile=profile,
                            device=device, channels_last=channels_last, structure=chosen)
