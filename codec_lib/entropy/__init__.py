"""From probabilities to bits: integer tables, the range coder, the container; the networks that choose the tables."""

from codec_lib.entropy.coder import Decoder, Encoder, decode, encode
from codec_lib.entropy.container import (
    NOT_PORTABLE,
    Packet,
    StreamHeader,
    check_digest,
    latent_digest,
    read_header,
    read_stream,
    salvage,
    write_stream,
)
from codec_lib.entropy.stream_errors import (
    CorruptStream,
    ForeignStream,
    SymbolMismatch,
    TruncatedStream,
    UnsupportedVersion,
    WrongCheckpoint,
)
from codec_lib.entropy.tables import CodingTables, from_counts, gaussian_tables, laplace_tables

__all__ = [
    "NOT_PORTABLE", "CodingTables", "CorruptStream", "Decoder", "Encoder", "ForeignStream", "Packet", "StreamHeader",
    "SymbolMismatch", "TruncatedStream", "UnsupportedVersion", "WrongCheckpoint", "check_digest", "decode", "encode",
    "from_counts", "gaussian_tables", "laplace_tables", "latent_digest", "read_header", "read_stream", "salvage",
    "write_stream",
]
