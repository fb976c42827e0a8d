"""The checkpoints of DiffVC that ship: files, processes, choices of a viewer."""

import subprocess
import sys

import pytest
import torch
from tiny_conditional import moving_video

from codec_lib.checkpoint import checkpoint_path, file_sha256, load_checkpoint
from codec_lib.codecs import diffvc
from codec_lib.codecs.diffvc.config import STEPS
from codec_lib.codecs.diffvc.export import GENERATOR
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import ForeignStream, read_header
from codec_lib.errors import MissingWeights
from codec_lib.video import read_video

QUICK = {"steps": 2, "depth": 1}


@pytest.fixture(scope="module")
def codec():
    return load_codec("diffvc", **QUICK)


def run(*arguments):
    """The command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "codec_lib", *map(str, arguments)], capture_output=True, text=True, check=True)


def test_a_file_is_encoded_in_one_process_and_decoded_in_another(codec, tiny_file, tmp_path):
    run("encode", tiny_file, tmp_path / "a.gvc", "--codec", "diffvc", "--quality", 20)
    run("decode", tmp_path / "a.gvc", f"{tmp_path}/drawn/", "--set", "steps=2", "--set", "depth=1")
    run("decode", tmp_path / "a.gvc", f"{tmp_path}/plain/", "--set", "diffusion=false")
    stream = (tmp_path / "a.gvc").read_bytes()
    here, drawn, plain = codec.decode(stream), read_video(tmp_path / "drawn"), read_video(tmp_path / "plain")
    assert drawn.frames.shape == here.frames.shape == plain.frames.shape
    assert (drawn.frames.int() - here.frames.int()).abs().max() <= 1  # networks compute in floats
    assert not torch.equal(drawn.frames, plain.frames)
    header = read_header(stream)
    assert (header.codec, header.quality, header.checkpoint) == ("diffvc", 20, codec.checkpoint)
    assert codec.symbols_sha256(stream) == diffvc.load(diffusion=False).symbols_sha256(stream)


def test_the_lab_draws_in_few_steps_unless_it_is_told_otherwise():
    assert load_codec("diffvc").generator.sampling == Sampling(STEPS["lab"])
    assert load_codec("diffvc:steps=50").generator.sampling == Sampling(50, depth=25)
    assert load_codec("diffvc@lab-loop").generator.sampling == Sampling()


def test_streams_name_the_generator_where_they_depend_on_it(codec):
    assert load_codec("diffvc@lab-loop").checkpoint != codec.checkpoint == load_codec("diffvc", diffusion=False).checkpoint


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 70, 90), (2, 1, 1), (2, 65, 130)])
def test_any_size(codec, frames, height, width):
    video = moving_video(frames, height, width)
    assert codec.decode(codec.encode(video, 30)).frames.shape == video.frames.shape


def test_more_quality_costs_more_and_shows_more():
    plain, video = diffvc.load(diffusion=False), moving_video(3, 64, 128)
    streams = [plain.encode(video, q) for q in (4, 30, 58)]
    errors = [(plain.decode(s).frames.float() - video.frames.float()).pow(2).mean().item() for s in streams]
    assert sorted(map(len, streams)) == [*map(len, streams)] and sorted(errors, reverse=True) == errors


def test_checkpoints_name_what_they_were_trained_with():
    vae, unet, intra = (file_sha256(checkpoint_path(name, "lab"))[:8] for name in ("vae", "unet", "intra"))
    config = load_checkpoint(checkpoint_path(GENERATOR, "lab"), GENERATOR)[1]
    assert (config["prior"], config["codec"]) == (unet, file_sha256(checkpoint_path("diffvc", "lab"))[:8])
    config = load_checkpoint(checkpoint_path("diffvc", "lab"), "diffvc")[1]
    assert (config["needs"]["vae"], config["intra"]) == (vae, intra)


def test_one_with_i_frames_for_squared_error_and_one_for_lpips(tiny_file):
    """The weights of P frames are the same. Neither decodes the other's streams, and it says so."""
    lab, mse, video = load_codec("diffvc:diffusion=false"), load_codec("diffvc:diffusion=false@mse"), read_video(tiny_file)
    stream = mse.encode(video, 20)
    assert read_header(stream).profile == "mse" and mse.decode(stream).frames.shape == video.frames.shape
    assert mse.checkpoint.hex() == file_sha256(checkpoint_path("diffvc", "lab"))[:8] != lab.checkpoint.hex()
    assert mse.intra.checkpoint != lab.intra.checkpoint
    with pytest.raises(ForeignStream, match="diffvc@mse"):
        lab.decode(stream)


def test_without_a_generator_decoded_latents_are_still_shown(tmp_path):
    with pytest.raises(MissingWeights, match="train diffvc-generator"):
        diffvc.load(generator=tmp_path / "none.safetensors")
    assert diffvc.load(generator=tmp_path / "none.safetensors", diffusion=False).generator is None


def test_what_is_drawn_and_what_is_carried_can_be_left_out(codec, tiny_file):
    video = read_video(tiny_file)
    stream = codec.encode(video, 20)
    shown = {name: load_codec(name).decode(stream).frames for name in
             ("diffvc:diffusion=false", "diffvc:steps=0", "diffvc:steps=0+detail=false", "diffvc:steps=2+detail=false", "diffvc:steps=2")}
    assert torch.equal(shown["diffvc:diffusion=false"], shown.pop("diffvc:steps=0+detail=false"))
    different = [*shown.values()]
    assert all(torch.equal(a[0], different[0][0]) for a in different), "I frames"
    assert all(not torch.equal(a, b) for i, a in enumerate(different) for b in different[:i])
