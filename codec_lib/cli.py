"""The command line: `python -m codec_lib COMMAND`, installed as `codec-lib` too.

Each command is a module of `codec_lib.commands`. This file turns whatever they raise into one line and an exit status:
0 done, 1 failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Sequence

from codec_lib import __version__
from codec_lib.errors import CodecLibError

COMMANDS = ("doctor", "encode", "decode", "info", "eval", "compare", "table", "train", "data", "weights")

TRACEBACK = "CODEC_LIB_TRACEBACK"
"""Environment variable: set to 1, an unexpected error shows where it was raised."""


class Parser(argparse.ArgumentParser):
    """argparse, with a mistake told in one line."""

    def error(self, message: str):
        raise SystemExit(_tell(f"{message} (see {self.prog} --help)", 2))


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(prog="codec_lib", description="Diffusion video codecs with real bitstreams: code, decode, measure.",
                 epilog="example: python -m codec_lib encode in.mp4 out.gvc --codec intra --quality 30",
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--version", action="version", version=f"codec_lib {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name in COMMANDS:
        module = importlib.import_module(f"codec_lib.commands.{name}")
        sub = commands.add_parser(name, help=module.HELP, description=module.HELP[0].upper() + module.HELP[1:] + ".",
                                  epilog="example:\n  " + "\n  ".join(module.EXAMPLES),
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. Never lets an exception out."""
    if argv is None and threading.current_thread() is threading.main_thread():
        # Ended from outside, we still take our half-written files with us.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        args = parser().parse_args(argv)
        with warnings.catch_warnings():
            if not sys.warnoptions:  # a library's advice to programmers is no line for a user
                warnings.simplefilter("ignore")
            status = args.run(args) or 0
        sys.stdout.flush()
        return status
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except KeyboardInterrupt:
        return _tell("interrupted", 130)
    except BrokenPipeError:  # whoever read our output has left; the rest of it has nowhere to go
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except CodecLibError as error:
        return _tell(str(error), error.exit_status)
    except MemoryError as error:
        return _tell(f"not enough memory {error}: use fewer --frames or a smaller clip", 1)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        usage = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError)
        return _tell(f"{named}{error.strerror or error}", 2 if usage else 1)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            traceback.print_exc()
        return _tell(f"internal error, {type(error).__name__}: {error} (set {TRACEBACK}=1 to see where)", 1)


def _tell(message: str, status: int) -> int:
    """Print a message as one line on stderr."""
    with contextlib.suppress(OSError):
        print("codec_lib: " + " ".join(message.split()), file=sys.stderr, flush=True)
    return status
