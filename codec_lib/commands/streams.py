"""Which codec a coded file is for: ours by its header, a conventional one by its first bytes."""

from __future__ import annotations

from pathlib import Path

from codec_lib.codecs.protocol import Codec, load_codec
from codec_lib.commands.common import read_file
from codec_lib.entropy.container import MAGIC, read_header, read_stream
from codec_lib.entropy.stream_errors import ForeignStream
from codec_lib.errors import BitstreamError


def is_ours(data: bytes) -> bool:
    """Whether the data begins as our container does, whole or cut short."""
    return data[: len(MAGIC)] == MAGIC[: len(data)]


def conventional_name(data: bytes, path: str | Path) -> str:
    """The conventional codec whose stream this is. Raises ForeignStream when it is none."""
    from codec_lib.codecs.conventional import sniff

    name = sniff(data)
    if name is None:
        raise ForeignStream(f"{path} is no coded stream that this library knows: neither its own container nor a bare "
                            "H.264, HEVC, AV1 or VVC stream (read_video and encode take video files)")
    return name


def open_stream(path: str | Path, *, salvage: bool = False, **options) -> tuple[bytes, Codec, str | None]:
    """The bytes of a coded file, the codec that decodes it, and what is damaged about it.

    salvage: a damaged stream of ours is no error; what the damage is comes third (None for a sound stream). options: of the codec.
    Raises UsageError for a file that is missing or empty, BitstreamError for one that cannot be decoded, MissingWeights
    when its checkpoint is not here.
    """
    data = read_file(path)
    if not is_ours(data):
        return data, load_codec(conventional_name(data, path), **options), None
    header, damage = read_header(data), None
    try:
        read_stream(data)  # every checksum, before a model is loaded
    except BitstreamError as error:
        if not salvage:
            raise
        damage = str(error)
    return data, load_codec(header.codec, header.profile, **options), damage
