"""One module per command. Each has HELP, EXAMPLES, ``add_arguments(parser)`` and ``run(args) -> exit status or None``.

`--help` imports all of them, so heavy imports stay inside ``run``.
"""
