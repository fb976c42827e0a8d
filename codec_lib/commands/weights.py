"""`weights`: the weight files that others trained and that some metrics and priors need."""

from __future__ import annotations

import argparse

from codec_lib.commands.common import kilobytes, print_json, progress

HELP = "list, get or check weight files that metrics and priors need"
EXAMPLES = ("python -m codec_lib weights list", "python -m codec_lib weights get lpips-squeeze",
            "CODEC_LIB_WEIGHTS=/my/weights python -m codec_lib weights verify")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, help in (("list", "what there is, what is here"), ("get", "fetch and check"),
                       ("verify", "compare files with their digests")):
        action = actions.add_parser(name, help=help)
        if name != "list":
            action.add_argument("names", nargs="*" if name == "verify" else "+", metavar="NAME", help="as `weights list` shows")
        action.add_argument("--json", action="store_true", help="print the answer as JSON")


def run(args: argparse.Namespace) -> int:
    return {"list": listed, "get": get, "verify": verify}[args.action](args)


def listed(args: argparse.Namespace) -> int:
    from codec_lib import weights
    from codec_lib.experiments.tables import text_rows

    rows = [{"name": name, "here": "yes" if weights.paths(name) else "no", "size": kilobytes(sum(f.bytes for f in w.files)),
             "used by": ", ".join(w.used_by), "licence": w.licence, "about": w.about} for name, w in weights.TABLE.items()]
    if args.json:
        print_json(rows)
    else:
        print(text_rows(rows))
        print("looked for in: " + ", ".join(map(str, weights.search_path())))
    return 0


def get(args: argparse.Namespace) -> int:
    from codec_lib import weights

    for name in args.names:
        weights.entry(name)
    found = {}
    for name in args.names:
        with progress(f"fetching {name}", "B") as advance:
            found[name] = str(weights.get(name, advance))
    if args.json:
        print_json(found)
    else:
        for name, path in found.items():
            print(f"{name}: {path}")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Exit status 1 when a file differs from its digest; a file that is not here counts only when it was named."""
    from codec_lib import weights

    report = {name: weights.verify(name) for name in args.names or weights.TABLE}
    states = [state for files in report.values() for state in files.values()]
    if args.json:
        print_json(report)
    else:
        for name, files in report.items():
            for file, state in files.items():
                print(f"{name:14} {file}: {state}")
    return 1 if "wrong digest" in states or (args.names and "missing" in states) else 0
