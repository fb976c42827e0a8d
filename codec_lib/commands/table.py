"""`table`: a table of the book, from saved records or measured again."""

from __future__ import annotations

import argparse
from pathlib import Path

from codec_lib.commands.common import flatten, names, print_json, progress

HELP = "print a table of the book, the papers' numbers beside ours"
EXAMPLES = ("python -m codec_lib table", "python -m codec_lib table anchors",
            "python -m codec_lib table intra-rd --recompute --clips sample")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="which table; without a name, all are listed")
    parser.add_argument("--recompute", action="store_true", help="measure again and save the records first")
    parser.add_argument("--clips", nargs="+", type=names, metavar="NAME",
                        help="with --recompute: measure on these clips (default: sample)")
    parser.add_argument("--resume", action="store_true",
                        help="with --recompute: go on with a measurement that was broken off, or add clips to a saved one")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR",
                        help="with --recompute, for tables about weights that are not shipped: the folder that holds them")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def run(args: argparse.Namespace) -> None:
    from codec_lib.errors import UsageError
    from codec_lib.experiments.tables import described, table, text_table

    if args.clips and not args.recompute:
        raise UsageError("--clips says what to measure on: give --recompute as well")
    if args.resume and not args.recompute:
        raise UsageError("--resume goes on measuring: give --recompute as well")
    if args.checkpoints and not args.recompute:
        raise UsageError("--checkpoints says what to measure: give --recompute as well")
    if args.name is None:
        if args.json:
            print_json(described())
        else:
            for name, description in described().items():
                print(f"{name:16} {description}")
        return
    with progress(f"measuring {args.name}", "step") as advance:
        made = table(args.name, recompute=args.recompute, resume=args.resume, clips=args.clips and flatten(args.clips),
                     progress=advance, checkpoints=args.checkpoints)
    if args.json:
        print_json(made)
    else:
        print(text_table(made))
