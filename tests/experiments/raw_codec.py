"""A codec for tests of evaluation: raw frames with a digest, and ways to go wrong."""

import hashlib
import os

import numpy as np
import torch

from codec_lib.codecs.protocol import Codec
from codec_lib.errors import BitstreamError
from codec_lib.video.clip import Video


class RawCodec(Codec):
    """Frames as they are, one byte a sample, with ways to go wrong; its name says which."""

    profile = "lab"
    qualities = range(0, 8)
    default_qualities = (0, 1, 2, 3, 4)
    checkpoint = b"\x01\x02\x03\x04"

    def __init__(self, name: str):
        self.name = name
        self.encoder = "raw" if name.startswith("raw:viewed") else None

    def encode(self, video, quality, progress=None):
        if self.name == "raw:refuses" and quality == 2:
            raise RuntimeError("quality 2 is broken")
        shape = np.array([*video.frames.shape, os.getpid()], "<i4").tobytes()
        frames = video.frames.numpy() // 2 ** (4 - min(quality, 4)) * 2 ** (4 - min(quality, 4))
        return shape + frames.astype(np.uint8).tobytes()

    def decode(self, stream, progress=None):
        *shape, encoder = np.frombuffer(stream[:20], "<i4").tolist()
        if encoder == os.getpid():
            raise BitstreamError("decoded in the process that encoded")
        if self.name == "raw:dies":
            os._exit(7)
        if self.name == "raw:talks":
            print("this must not be taken for an answer")
        frames = torch.from_numpy(np.frombuffer(stream[20:], np.uint8).reshape(shape).copy())
        return Video(frames[:-1] if self.name == "raw:drops" else frames, 25, "raw")

    def symbols_sha256(self, stream):
        drifts = self.name == "raw:drifts" and int.from_bytes(stream[16:20], "little") != os.getpid()
        return hashlib.sha256(stream + b"!" * drifts).hexdigest()


def load(name, profile=None):
    return RawCodec(name)
