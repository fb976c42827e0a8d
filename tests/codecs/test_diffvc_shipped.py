"""The checkpoint of DiffVC's contextual codec that ships: files, processes, sizes. Its diffusion decoder does not ship yet."""

import subprocess
import sys

import pytest
from tiny_conditional import moving_video

from codec_lib.checkpoint import checkpoint_path, file_sha256, load_checkpoint
from codec_lib.codecs import diffvc
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import read_header
from codec_lib.errors import MissingWeights
from codec_lib.video import read_video

PLAIN = "diffvc:diffusion=false"


@pytest.fixture(scope="module")
def codec():
    return load_codec(PLAIN)


def run(*arguments):
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "codec_lib", *map(str, arguments)], capture_output=True, text=True, check=True)


def test_a_file_is_encoded_in_one_process_and_decoded_in_another(codec, tiny_file, tmp_path):
    run("encode", tiny_file, tmp_path / "a.gvc", "--codec", PLAIN, "--quality", 20)
    run("decode", tmp_path / "a.gvc", f"{tmp_path}/plain/", "--set", "diffusion=false")
    stream = (tmp_path / "a.gvc").read_bytes()
    here, there = codec.decode(stream), read_video(tmp_path / "plain")
    assert there.frames.shape == here.frames.shape
    assert (there.frames.int() - here.frames.int()).abs().max() <= 1  # networks compute in floats
    header = read_header(stream)
    assert (header.codec, header.quality, header.checkpoint) == ("diffvc", 20, codec.checkpoint)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 70, 90), (2, 1, 1), (2, 65, 130)])
def test_any_size(codec, frames, height, width):
    video = moving_video(frames, height, width)
    assert codec.decode(codec.encode(video, 30)).frames.shape == video.frames.shape


def test_more_quality_costs_more_and_shows_more(codec):
    video = moving_video(3, 64, 128)
    streams = [codec.encode(video, q) for q in (4, 30, 58)]
    errors = [(codec.decode(s).frames.float() - video.frames.float()).pow(2).mean().item() for s in streams]
    assert sorted(map(len, streams)) == [*map(len, streams)] and sorted(errors, reverse=True) == errors


def test_the_checkpoint_names_the_autoencoder_that_it_was_trained_with():
    vae = file_sha256(checkpoint_path("vae", "lab"))[:8]
    assert load_checkpoint(checkpoint_path("diffvc", "lab"), "diffvc")[1]["needs"]["vae"] == vae


def test_without_a_generator_decoded_latents_are_still_shown(tmp_path):
    with pytest.raises(MissingWeights, match="train diffvc-generator"):
        diffvc.load(generator=tmp_path / "none.safetensors")
    assert diffvc.load(generator=tmp_path / "none.safetensors", diffusion=False).generator is None
