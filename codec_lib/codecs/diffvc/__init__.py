"""DiffVC (arXiv 2501.13528): a contextual codec of latents, and a diffusion model as its decoder.

    config, latents    what is coded: latents of an image autoencoder, by the classes of `conditional`
    codec, structure   the stream, what is shown of it, and when it begins anew
    generator          the diffusion decoder: sampling with reuse over time (TDIR)
    picture            what is shown: the drawn latent, blended with the last I frame
    control, prompt    how it follows the decoded latent (ControlNet) and the quantisation (QPP)
    prior              autoencoder and denoiser: the lab's, or Stable Diffusion 2.1
"""

from __future__ import annotations

from pathlib import Path

from codec_lib.errors import UsageError


def load(name: str = "diffvc", profile: str | None = None, *, prior: Path | str | None = None, checkpoint: Path | str | None = None,
         generator: Path | str | None = None, intra: Path | str | None = None, entropy: str | None = None,
         diffusion: bool = True, device: str = "cpu", channels_last: bool = True, batch: int | None = None, **options):
    """Make DiffVC from its checkpoints and those of the I-frame codec, the autoencoder and the denoiser.

    profile: "lab" (default), "mse" or "paper", see `config`; "lab-loop" and so on: with the generator in the coding loop, see `codec`.
    prior: folder in diffusers' format with the image prior; profile paper has no other.
    checkpoint, generator, intra: other files than those shipped.
    entropy: "integer" (portable streams) or "float"; by default integer where the profile has it.
    diffusion: False: show the decoded latents through the autoencoder alone.
    device, channels_last: change speed, never symbols. batch: taken for the sake of a common interface; frames go one by one.
    options: of an encoder ``intra_period``, ``intra_offset``, ``intra_slope``, ``still_offset``, ``offsets``, ``refresh``, ``cut``, see
        `structure.LatentStructure`; of a decoder ``steps``, ``start``, ``depth``, ``policy``, ``moved``, ``least``, ``sampler``, ``seed``,
        ``detail``, see `generator.Sampling`; ``steps`` where nothing is said, see `config.STEPS`.
    Raises MissingWeights, UsageError.
    """
    from codec_lib.checkpoint import checkpoint_path, file_sha256
    from codec_lib.codecs import intra as intra_room
    from codec_lib.codecs.diffvc.codec import DiffVCCodec
    from codec_lib.codecs.diffvc.config import STEPS, resolve
    from codec_lib.codecs.diffvc.export import (
        GENERATOR,
        load_codec_parts,
        load_generator,
        require_autoencoder,
        stream_digest,
    )
    from codec_lib.codecs.diffvc.generator import Generator, Sampling
    from codec_lib.codecs.diffvc.prior import find_prior
    from codec_lib.codecs.diffvc.structure import LatentStructure
    from codec_lib.codecs.options import refuse, take
    from codec_lib.diffusion.autoencoder import STRIDE

    profile = profile or "lab"
    size, i_profile, loop = resolve(profile)
    if not isinstance(diffusion, bool):
        raise UsageError(f"option diffusion takes true or false, not {diffusion!r}")
    if not isinstance(prior, str | Path | None):
        raise UsageError(f"option prior takes a folder, not {prior!r}")
    if name.partition(":")[2]:
        raise UsageError(f"diffvc has no variants, '{name}' names one: write diffvc")
    if entropy not in ("integer", "float", None):
        raise UsageError(f"entropy path '{entropy}' does not exist: choose integer or float")
    if size in STEPS and not loop:
        options.setdefault("steps", STEPS[size])
    sampling, structure = take(Sampling, options), take(LatentStructure, options)
    refuse(options, "diffvc", LatentStructure, Sampling)
    if loop and (not diffusion or sampling != Sampling()):
        raise UsageError(f"profile {profile} draws every frame as its encoder did: a viewer has no choice of how, leave settings out")
    found = find_prior(size, prior)
    parts = load_codec_parts(Path(checkpoint) if checkpoint else checkpoint_path("diffvc", size), found.autoencoder(), entropy)
    i_codec = intra_room.load("intra", i_profile, checkpoint=intra, entropy=entropy or "integer", device=device,
                              channels_last=channels_last)
    require_autoencoder(parts, found.vae_digest)
    shown = None
    if diffusion:
        denoiser = found.denoiser()
        path = Path(generator) if generator else checkpoint_path(GENERATOR, size)
        if (parts.model.config.stride // STRIDE) % denoiser.stride:
            raise UsageError(f"this denoiser wants latents whose sides are multiples of {denoiser.stride}, and the codec's are multiples of "
                             f"{parts.model.config.stride // STRIDE}: take a prior with fewer stages")
        control, prompt, gates = load_generator(path, denoiser, found, parts.digest.hex())
        shown = Generator(denoiser, control, prompt, sampling, gates, file_sha256(path)[:8])
    digest = stream_digest(parts, i_codec.checkpoint, bytes.fromhex(shown.digest) if loop else b"")
    return DiffVCCodec(parts.model, parts.entropy, parts.tables, parts.motion, i_codec, digest, generator=shown, loop=loop, profile=profile,
                       device=device, channels_last=channels_last, structure=structure)
