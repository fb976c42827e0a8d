"""Errors that a user can cause or mend, each with one clear line and an exit status.

The command line prints ``str(error)`` as its only line and leaves with ``error.exit_status``:
2 when what was given cannot be used (a missing file, a damaged stream, an unknown name),
1 when the request was sound and something else is missing or went wrong.
Say what is wrong *and* what to do about it.
"""


class CodecLibError(Exception):
    """Base of every error that the library raises on purpose."""

    exit_status = 1


class UsageError(CodecLibError):
    """An argument cannot be used: unknown name, value out of range, output that may not be written."""

    exit_status = 2


class VideoError(UsageError):
    """A file or folder cannot be read as video, or frames have a shape that no codec accepts."""


class BitstreamError(CodecLibError):
    """A stream cannot be decoded. ``packet`` is the index of the packet at fault, or None for the header."""

    exit_status = 2

    def __init__(self, message: str, packet: int | None = None):
        super().__init__(message)
        self.packet = packet


class MissingWeights(CodecLibError):
    """A metric or codec needs a weight file that is not on this machine; the message says which and how to get it."""


class MissingData(CodecLibError):
    """A catalogue clip is not on this machine; the message says what to download and where to put it."""
