"""codec_lib: the library under the book. `load_codec` is the front door; see `codec_lib.codecs.protocol`.

Importing this package is cheap: torch and everything heavy is loaded on first use.
"""

__version__ = "0.1.0"
__all__ = ["load_codec", "read_video"]


def __getattr__(name: str):
    if name == "load_codec":
        from codec_lib.codecs.protocol import load_codec

        return load_codec
    if name == "read_video":
        from codec_lib.video import read_video

        return read_video
    raise AttributeError(f"module 'codec_lib' has no attribute '{name}'")
