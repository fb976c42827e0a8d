"""`encode`: a clip to one coded file."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from codec_lib.commands.common import count, kilobytes, print_json, progress, rate, setting, size

HELP = "code a clip into a file"
EXAMPLES = ("python -m codec_lib encode in.mp4 out.gvc --codec intra --quality 30",
            "python -m codec_lib encode in.mp4 out.gvc --codec diffvc --frames 32",
            "python -m codec_lib encode Beauty_1920x1080_120fps_420_8bit_YUV.yuv out.265 --codec x265:ra --frames 32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", help="a video file, .y4m, .yuv, or a folder of images")
    parser.add_argument("output", help="the coded file to write")
    parser.add_argument("--codec", default="intra", metavar="NAME",
                        help="intra, conditional, diffvc, and profiles of them, as diffvc@mse; x264, x265, svtav1, libaom, vvenc, "
                             "each with :ld, :ra or :intra (default: intra)")
    parser.add_argument("--quality", type=int, metavar="Q",
                        help="whole number, larger is better and bigger; the range is the codec's (default: its middle)")
    parser.add_argument("--set", type=setting, action="append", default=[], metavar="NAME=VALUE",
                        help="a choice that is the encoder's, as intra_period=32 of conditional; can be given several times")
    parser.add_argument("--frames", type=count, metavar="N", help="code the first N frames only")
    parser.add_argument("--size", type=size, metavar="WxH", help="frame size of a raw .yuv whose name does not tell it")
    parser.add_argument("--fps", type=rate, metavar="F", help="frame rate, where the input does not tell it")
    parser.add_argument("--force", action="store_true", help="overwrite the output")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(args: argparse.Namespace) -> None:
    from codec_lib.codecs.protocol import load_codec
    from codec_lib.errors import UsageError
    from codec_lib.files import check_output, write_bytes
    from codec_lib.video import read_video

    check_output(args.output, force=args.force)
    if Path(args.output).exists() and Path(args.input).exists() and Path(args.output).samefile(args.input):
        raise UsageError(f"input and output are the same file: {args.input}")
    codec = load_codec(args.codec, **dict(args.set))
    quality = middle(codec.default_qualities) if args.quality is None else codec.check_quality(args.quality)
    video = read_video(args.input, frames=args.frames, size=args.size, fps=args.fps)
    with progress("encoding") as advance:
        start = time.perf_counter()
        stream = codec.encode(video, quality, advance)
        seconds = time.perf_counter() - start
    write_bytes(args.output, stream, force=args.force)
    bpp = 8 * len(stream) / video.pixels
    if args.json:
        print_json({"codec": codec.name, "profile": codec.profile, "quality": quality, "frames": len(video),
                    "width": video.width, "height": video.height, "bytes": len(stream), "bpp": bpp,
                    "encode_s": round(seconds, 3)})
    else:
        print(f"{args.output}: {len(video)} frames of {video.width}x{video.height}, {codec.name} quality {quality}, "
              f"{kilobytes(len(stream))}, {bpp:.4f} bit/pixel, {seconds:.1f} s")


def middle(qualities: tuple[int, ...]) -> int:
    """The middle rate point, what `encode` takes when none is named."""
    return qualities[len(qualities) // 2]
