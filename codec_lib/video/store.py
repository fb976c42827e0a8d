"""Room for frames: in memory while they are few, in a temporary file that is mapped into memory when they are many.

A clip of a thousand frames is as large as a gigabyte. What is mapped from a file the system may drop from memory and read again, so
that long clips go through on small machines; tensors are tensors in either case. The file has no name and goes with them.
"""

from __future__ import annotations

import math
import tempfile

import numpy as np
import torch
from torch import Tensor

IN_MEMORY = 256 * 2**20
"""Bytes up to which nothing is put into files."""
_NUMPY = {torch.uint8: np.uint8, torch.int16: np.int16}


def empty(shape: tuple[int, ...], dtype: torch.dtype = torch.uint8) -> Tensor:
    """A tensor that can be written to, its values undefined. dtype: uint8 or int16."""
    size = math.prod(shape) * dtype.itemsize
    if size <= IN_MEMORY:
        return torch.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return torch.from_numpy(np.memmap(file, _NUMPY[dtype], "r+", shape=shape))


class Stack:
    """Tensors of one shape and type, put one after the other."""

    def __init__(self):
        self.waiting: list[Tensor] = []
        self.like: Tensor | None = None
        self.bytes, self.count, self.file = 0, 0, None

    def append(self, frames: Tensor) -> None:
        """Add frames (n, ...)."""
        self.waiting.append(frames)
        self.like = frames.new_empty((0, *frames.shape[1:]))
        self.count += len(frames)
        self.bytes += frames.numel() * frames.itemsize
        if self.bytes > IN_MEMORY:
            self.file = self.file or tempfile.TemporaryFile()  # noqa: SIM115 (closed by `tensor`)
            for part in self.waiting:
                self.file.write(part.contiguous().numpy().tobytes())
            self.waiting.clear()

    def tensor(self) -> Tensor:
        """All of them, (count, ...). The stack is empty afterwards."""
        if self.file is None:
            result = torch.cat(self.waiting)
        else:
            self.file.flush()
            shape = (self.count, *self.like.shape[1:])
            result = torch.from_numpy(np.memmap(self.file, _NUMPY[self.like.dtype], "r+", shape=shape))
            self.file.close()
        self.__init__()
        return result
