"""`info`: what a coded file says about itself, without decoding it."""

from __future__ import annotations

import argparse

from codec_lib.commands.common import kilobytes, print_json, read_file

HELP = "show the header and packets of a coded file"
EXAMPLES = ("python -m codec_lib info out.gvc", "python -m codec_lib info out.gvc --json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="a file that `encode` wrote, or a bare conventional stream")
    parser.add_argument("--json", action="store_true", help="print header and packets as JSON")


def run(args: argparse.Namespace) -> None:
    from codec_lib.commands.streams import conventional_name, is_ours

    data = read_file(args.input)
    found = own(data) if is_ours(data) else conventional(data, conventional_name(data, args.input))
    if args.json:
        print_json(found)
        return
    for name, value in found["header"].items():
        print(f"{name:12} {value}")
    print(f"{'bytes':12} {len(data)} ({kilobytes(len(data))})" if len(data) >= 10_000 else f"{'bytes':12} {len(data)}")
    if found["packets"]:
        sizes = [p["bytes"] for p in found["packets"]]
        print(f"{'packets':12} {len(sizes)}: {min(sizes)} to {max(sizes)} bytes, {sum(sizes) / len(sizes):.0f} on average")


def own(data: bytes) -> dict:
    """Header and packets of our container, every checksum compared."""
    from codec_lib.entropy.container import NOT_PORTABLE, VERSION, read_stream

    header, packets = read_stream(data)
    payload = sum(len(p.payload) for p in packets)
    pixels = header.width * header.height * header.frames
    return {
        "header": {"format": VERSION, "codec": header.codec, "profile": header.profile,
                   "checkpoint": header.checkpoint.hex(), "width": header.width, "height": header.height,
                   "frames": header.frames, "fps": str(header.fps), "quality": header.quality,
                   "portable": not header.flags & NOT_PORTABLE},
        "bytes": len(data), "bpp": 8 * len(data) / pixels, "overhead_bytes": len(data) - payload,
        "packets": [{"bytes": len(p.payload), "digest": f"{p.digest:04x}"} for p in packets],
    }


def conventional(data: bytes, name: str) -> dict:
    """What a bare stream tells: its standard, picture size and rate, and the size of each coded picture."""
    from codec_lib.codecs.conventional.bitstream import kind_of, padding_of

    kind = kind_of(data)
    header = {"standard": {"h264": "H.264", "hevc": "HEVC", "vvc": "VVC", "obu": "AV1"}[kind], "decoder": name}
    right, below = padding_of(data, kind)
    width, height, rate, sizes = pictures(data, kind)
    header |= {"width": width - right, "height": height - below, "frames": len(sizes), "fps": rate}
    found = {"header": header, "bytes": len(data), "packets": [{"bytes": n} for n in sizes]}
    if width and sizes:
        found["bpp"] = 8 * len(data) / (header["width"] * header["height"] * len(sizes))
    return found


def pictures(data: bytes, kind: str) -> tuple[int, int, str | None, list[int]]:
    """Width, height, rate and the bytes of each coded picture. Raises CorruptStream when there is none."""
    import io

    import av
    from av.error import FFmpegError

    from codec_lib.entropy.stream_errors import CorruptStream

    try:
        with av.open(io.BytesIO(data), format=kind) as container:
            stream = container.streams.video[0]
            rate = stream.guessed_rate and str(stream.guessed_rate)
            sizes = [packet.size for packet in container.demux(stream) if packet.size]
            return stream.codec_context.width, stream.codec_context.height, rate, sizes
    except (FFmpegError, IndexError) as error:
        raise CorruptStream(f"the stream begins as {kind} and cannot be read on: {error}") from None
