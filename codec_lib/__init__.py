"""codec_lib: the library under the book. `load_codec` is the front door; see `codec_lib.codecs.protocol`.

Importing this package is cheap: torch and everything heavy is loaded on first use.
"""

import os

# A thread of GNU's OpenMP that waits for another one spins 300,000 times before it sleeps, on the core that the other one may need. Beside
# a busy process a call of the lab's denoiser with two threads then took 2.8 s in place of 0.04; with 10,000 it took 0.2, and on a quiet
# machine nothing is lost. It is read when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")

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
