"""`python -m codec_lib`: the command line of `codec_lib.cli`."""

from codec_lib.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
