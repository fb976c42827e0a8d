"""Frames that do not fit into memory are the same frames."""

from pathlib import Path

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import tiny_diffvc

from codec_lib.video import read_video, store, write_video


def anonymous():
    """Bytes of this process that no file backs: what a system cannot drop."""
    line = next(li for li in Path("/proc/self/status").read_text().splitlines() if li.startswith("RssAnon"))
    return 1024 * int(line.split()[1])


@pytest.mark.parametrize("limit", [0, 100, 10**9])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16])
def test_a_stack_is_what_was_put_on_it(monkeypatch, limit, dtype):
    monkeypatch.setattr(store, "IN_MEMORY", limit)
    parts = [torch.randint(0, 100, (n, 3, 5), dtype=dtype) for n in (1, 4, 2)]
    stack = store.Stack()
    for part in parts:
        stack.append(part)
    made = stack.tensor()
    assert torch.equal(made, torch.cat(parts)) and made.dtype == dtype
    made[0] = 7  # frames can be written to
    stack.append(parts[1])
    assert torch.equal(stack.tensor(), parts[1])


def test_empty_room_can_be_filled(monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY", 10)
    room = store.empty((4, 5), torch.int16)
    room[...] = torch.arange(20, dtype=torch.int16).view(4, 5)
    assert room[3, 4] == 19 and room.clone().sum() == 190


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is looked up in /proc, which is Linux's")
def test_long_clips_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(store, "IN_MEMORY", 8 * 2**20)
    before, stack = anonymous(), store.Stack()
    for _ in range(200):
        stack.append(torch.zeros(1, 2**20, dtype=torch.uint8))
    made = stack.tensor()
    assert made.shape == (200, 2**20) and anonymous() - before < 40 * 2**20


@pytest.mark.parametrize("suffix", [".mkv", ".y4m", ".yuv", ".mp4"])
def test_files_read_alike(monkeypatch, tmp_path, suffix):
    file = tmp_path / f"clip_64x48_25fps_420_8bit{suffix}"
    write_video(moving_video(5, 48, 64), file)
    plain = read_video(file)
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    assert torch.equal(read_video(file).frames, plain.frames)


def test_decoders_give_the_same_frames(monkeypatch):
    codec = tiny_diffvc(diffusion=False)
    stream = codec.encode(moving_video(4), 5)
    plain = codec.decode(stream)
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    assert torch.equal(codec.decode(stream).frames, plain.frames)
