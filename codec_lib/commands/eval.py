"""`eval`: measure codecs on clips through real files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from codec_lib.commands.common import count, flatten, names, numbers, print_json, progress

HELP = "measure codecs on clips: rate, quality, time; decoding in a separate process"
EXAMPLES = ("python -m codec_lib eval --codec x265,intra --clips sample --metrics psnr,ms-ssim,lpips --out r.json",
            "python -m codec_lib eval --codec x265:ra --clips my.mp4 --qualities 1,3 --frames 32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codec", nargs="+", type=names, required=True, metavar="NAME", help="one or more codecs")
    parser.add_argument("--clips", nargs="+", type=names, default=[["sample"]], metavar="NAME",
                        help="sample, davis, uvg, mcl-jcv, hevc-b, vimeo90k, video files or folders (default: sample)")
    parser.add_argument("--metrics", nargs="+", type=names, metavar="NAME", help="default: psnr,psnr-yuv,ms-ssim")
    parser.add_argument("--qualities", nargs="+", type=numbers, metavar="Q", help="default: the codec's own rate points")
    parser.add_argument("--frames", type=count, metavar="N", help="measure the first N frames of each clip")
    parser.add_argument("--out", metavar="FILE", help="write the records here as JSON, after every rate point")
    parser.add_argument("--resume", action="store_true", help="add to --out; rate points that it holds are not measured again")
    parser.add_argument("--force", action="store_true", help="overwrite --out")
    parser.add_argument("--keep", metavar="DIR", help="keep each stream, and what was decoded from it, in this folder")
    parser.add_argument("--json", action="store_true", help="print the records as JSON")


def run(args: argparse.Namespace) -> int:
    from codec_lib.errors import UsageError
    from codec_lib.experiments.evaluate import DEFAULT_METRICS, evaluate
    from codec_lib.experiments.records import Results
    from codec_lib.files import check_output

    out = Path(args.out) if args.out else None
    earlier = None
    if args.resume:
        if out is None:
            raise UsageError("--resume goes on with a file of results: name it with --out")
        earlier = Results.load(out) if out.exists() else None
    if out:
        check_output(out, force=args.force or args.resume)
    if args.keep and Path(args.keep).exists() and not Path(args.keep).is_dir():
        raise UsageError(f"--keep {args.keep} is not a folder")
    with progress("measuring", "rate point") as advance:
        results = evaluate(flatten(args.codec), flatten(args.clips),
                           qualities=args.qualities and flatten(args.qualities),
                           metrics=flatten(args.metrics) if args.metrics else DEFAULT_METRICS, frames=args.frames,
                           out=out, resume=earlier, keep=Path(args.keep) if args.keep else None, progress=advance)
    if args.json:
        print_json(results.to_dict())
    else:
        print(report(results))
    for failure in results.failures:
        what = " ".join(str(failure[k]) for k in ("codec", "clip") if failure[k])
        quality = "" if failure["quality"] is None else f" at quality {failure['quality']}"
        print(f"codec_lib: {what}{quality}: {failure['error']}", file=sys.stderr)
    return 1 if results.failures else 0


def report(results) -> str:
    """The records as a text table, and why metrics are absent."""
    from codec_lib.experiments.tables import text_rows

    rows = [{"codec": r.label, "clip": r.clip, "q": r.quality, "bytes": r.bytes, "bpp": r.bpp, **r.metrics,
             "encode_s": r.encode_s, "decode_s": r.decode_s} for r in results.records]
    reasons = dict.fromkeys(f"absent: {name}: {why}" for r in results.records for name, why in r.absent.items())
    return "\n".join([text_rows(rows) if rows else "nothing was measured", *reasons])
