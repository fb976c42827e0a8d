"""`compare`: Bjontegaard differences between the codecs of one or more files of results."""

from __future__ import annotations

import argparse

from codec_lib.commands.common import print_json

HELP = "print the BD-rate of each codec against an anchor"
EXAMPLES = ("python -m codec_lib compare r.json --anchor x265:ld --metric lpips",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", help="files that `eval --out` wrote")
    parser.add_argument("--anchor", required=True, metavar="NAME", help="the codec to compare against")
    parser.add_argument("--metric", default="psnr", metavar="NAME", help="which metric of the records (default: psnr)")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")


def run(args: argparse.Namespace) -> None:
    from codec_lib.experiments.compare import compare, text_table
    from codec_lib.experiments.records import Results, merge

    comparison = compare(merge(map(Results.load, args.results)).records, anchor=args.anchor, metric=args.metric)
    if args.json:
        print_json(comparison)
    else:
        print(text_table(comparison))
