"""`data`: the clips behind catalogue names: what is here, what to get, where to put it, whether it has changed."""

from __future__ import annotations

import argparse

from codec_lib.commands.common import print_json, progress

HELP = "list the clips of the catalogue, say where to get them, check them"
EXAMPLES = ("python -m codec_lib data list", "python -m codec_lib data get uvg", "python -m codec_lib data verify uvg",
            "CODEC_LIB_DATA=/my/clips python -m codec_lib data where uvg")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help in (("list", "what there is, what is here"), ("get", "what to download and where to put it"),
                       ("where", "the files of a set, clip by clip"), ("verify", "compare checksums with the first check")):
        action = actions.add_parser(name, help=help)
        if name != "list":
            action.add_argument("name", help="sample, davis, uvg, mcl-jcv, hevc-b or vimeo90k")
        if name == "verify":
            action.add_argument("--accept", action="store_true", help="take what is there now as right")
        action.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(args: argparse.Namespace) -> int:
    from codec_lib.errors import UsageError
    from codec_lib.video.catalogue import CATALOGUE

    if args.action != "list" and args.name not in CATALOGUE:
        raise UsageError(f"unknown set of clips '{args.name}': choose from {', '.join(CATALOGUE)}")
    return {"list": listed, "get": get, "where": where, "verify": verify}[args.action](args)


def listed(args: argparse.Namespace) -> int:
    from codec_lib.errors import MissingData
    from codec_lib.experiments.tables import text_rows
    from codec_lib.video.datasets import DATASETS, data_root

    rows = [{"name": "sample", "here": f"{len(clip_names('sample'))} clips",
             "title": "offline: two real clips, seven by a virtual camera with exact flow"}]
    for name, dataset in DATASETS.items():
        try:
            sequences = dataset.sequences
            here = sum(dataset.find(dataset, s) is not None for s in sequences)
            state = f"{here} of {len(sequences)}" if here else "no"
        except MissingData:  # a set whose own list of clips is not here
            state = "no"
        rows.append({"name": name, "here": state, "title": dataset.title})
    if args.json:
        print_json({"folder": str(data_root()), "sets": rows})
    else:
        print(text_rows(rows))
        print(f"looked for in: {data_root()} (or where CODEC_LIB_DATA says)")
    return 0


def get(args: argparse.Namespace) -> int:
    """Nothing is downloaded: their owners ask for a licence to be accepted. Status 1 with what to do, 0 if all is here."""
    names = clip_names(args.name)
    if args.json:
        print_json({"name": args.name, "clips": names})
    else:
        print(f"{args.name}: all {len(names)} clips are here")
    return 0


def where(args: argparse.Namespace) -> int:
    from codec_lib.video.datasets import DATASETS

    if args.name == "sample":
        found = dict.fromkeys(clip_names("sample"), "made on request from installed packages")
    else:
        dataset = DATASETS[args.name]
        found = {s.name: path and str(path) for s in dataset.sequences for path in [dataset.find(dataset, s)]}
        if not any(found.values()):
            raise dataset.missing(list(dataset.sequences))
    if args.json:
        print_json(found)
    else:
        for name, path in found.items():
            print(f"{name:20} {path or 'missing'}")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Status 1 when a clip changed, is missing or has another length than was published."""
    from dataclasses import asdict

    from codec_lib.video.datasets import DATASETS
    from codec_lib.video.manifest import verify as check

    if args.name == "sample":
        return get(args)
    with progress(f"checking {args.name}", "clip") as advance:
        checks = check(DATASETS[args.name], accept=args.accept, progress=advance)
    if args.json:
        print_json([asdict(c) for c in checks])
    else:
        for c in checks:
            print(f"{c.sequence:20} {c.state}{': ' + c.note if c.note else ''}")
    bad = [c for c in checks if c.state == "missing" or c.note or (c.state == "changed" and not args.accept)]
    return 1 if bad else 0


def clip_names(name: str) -> list[str]:
    """Names of the clips of a set, none of them read. Raises MissingData unless all are here."""
    from codec_lib.video.catalogue import find_clips

    return [source.name for source in find_clips(name)]
