"""The `intra` codec: networks (`model`), the exactly reproducible probability path (`entropy_path`), streams (`codec`)."""

from __future__ import annotations

from pathlib import Path

from codec_lib.errors import UsageError


def load(name: str = "intra", profile: str | None = None, *, checkpoint: Path | str | None = None,
         entropy: str = "integer", device: str = "cpu", batch: int = 4, channels_last: bool = True):
    """Make the intra codec from its checkpoint.

    profile: "lab" (default).
    checkpoint: another file than the shipped data/checkpoints/intra-<profile>.safetensors.
    entropy: "integer" (portable streams), or "float" for the float twin, whose weights lie beside the checkpoint.
    device, batch, channels_last: see `IntraCodec`; they change speed and memory, never symbols.
    Raises MissingWeights, UsageError.
    """
    from codec_lib.checkpoint import checkpoint_path
    from codec_lib.codecs.intra.codec import IntraCodec
    from codec_lib.codecs.intra.export import load_parts
    from codec_lib.codecs.intra.model import profile_config

    profile = profile or "lab"
    profile_config(profile)
    if name.partition(":")[2]:
        raise UsageError(f"intra has no variants, '{name}' names one: write intra")
    if entropy not in ("integer", "float"):
        raise UsageError(f"entropy path '{entropy}' does not exist: choose integer or float")
    path = Path(checkpoint) if checkpoint else checkpoint_path("intra", profile)
    model, path_, tables, digest = load_parts(path, entropy)
    return IntraCodec(model, path_, tables, digest, profile=profile, device=device, batch=batch,
                      channels_last=channels_last)
