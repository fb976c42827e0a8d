"""`decode`: a coded file to frames."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from codec_lib.commands.common import print_json, progress, setting

HELP = "decode a file to video, raw video or pictures"
EXAMPLES = ("python -m codec_lib decode out.gvc rec.mp4", "python -m codec_lib decode out.gvc frames/",
            "python -m codec_lib decode damaged.gvc start.y4m --salvage")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="a file that `encode` wrote, or a bare H.264, HEVC, AV1 or VVC stream")
    parser.add_argument("output", help="what to write: .mp4, .mkv, .y4m, .yuv, or a folder for PNG pictures")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a choice that is the viewer's, as depth=10 or sampler=ddim of diffvc; can be given several times")
    parser.add_argument("--salvage", action="store_true", help="write the frames before the damage of a damaged stream")
    parser.add_argument("--force", action="store_true", help="overwrite the output")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: argparse.Namespace) -> None:
    from codec_lib.commands.streams import open_stream
    from codec_lib.errors import BitstreamError, UsageError
    from codec_lib.video.io import check_video_output, write_video

    check_video_output(args.output, force=args.force)
    if Path(args.output).exists() and Path(args.input).exists() and Path(args.output).samefile(args.input):
        raise UsageError(f"input and output are the same file: {args.input}")
    stream, codec, damage = open_stream(args.input, salvage=args.salvage, **dict(args.set))
    how = {"salvaged": True} if damage else {}
    with progress("decoding") as advance:
        start = time.perf_counter()
        try:
            video = codec.decode(stream, advance, **how)
        except BitstreamError as error:  # intact bytes that decode to other symbols
            if how or not args.salvage:
                raise
            damage = str(error)
            video = codec.decode(stream, advance, salvaged=True)
        seconds = time.perf_counter() - start
    write_video(video, args.output, force=args.force)
    if args.json:
        print_json({"codec": codec.name, "profile": codec.profile, "frames": len(video), "width": video.width,
                    "height": video.height, "fps": float(video.fps), "decode_s": round(seconds, 3), "damage": damage})
    else:
        print(f"{args.output}: {len(video)} frames of {video.width}x{video.height}, {codec.name}, {seconds:.1f} s")
    if damage:
        print(f"codec_lib: the stream is damaged, {len(video)} frames were saved: {damage}", file=sys.stderr)
