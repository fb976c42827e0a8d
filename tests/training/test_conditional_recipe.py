"""The conditional codec's recipe, from the command line to streams, with every kind of network."""

from dataclasses import replace

import pytest
import torch
from tiny_conditional import TINY, moving_video
from tiny_intra import tiny_model as tiny_intra_model
from tiny_paper import TINY_PAPER

from codec_lib.codecs.conditional import profiles
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.intra.export import save_parts as save_intra
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import NOT_PORTABLE, read_header
from codec_lib.entropy.fit import initial_tables
from codec_lib.errors import MissingData, UsageError
from codec_lib.training import conditional
from codec_lib.training.conditional_schedule import LEARNED_MOTION, ON_LATTICE, schedule_of
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import FIELD_WEIGHTS, Sequences
from codec_lib.video import write_video


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with one clip, an I-frame codec, and profiles as small as both."""
    clips = tmp_path / "clips"
    clips.mkdir()
    write_video(moving_video(12, 64, 64), clips / "moving.y4m")
    save_intra(tmp_path / "intra.safetensors", tiny_intra_model(), initial_tables())
    monkeypatch.setitem(profiles.SIZES, "lab", TINY)
    monkeypatch.setitem(profiles.SIZES, "paper", TINY_PAPER)
    monkeypatch.setattr(conditional, "FIT_CLIPS", 2)
    return tmp_path


def train(cli, data, *options):
    """Run `train conditional`; returns the checkpoint it names."""
    ran = cli("train", "conditional", "--data", data / "clips", "--intra", data / "intra.safetensors", "--out", data / "runs" / "x",
              "--steps", 2, "--batch", 1, "--crop", 64, *options)
    assert ran.status == 0, ran.err
    return ran.out.split("checkpoint: ")[1].strip()


@pytest.mark.parametrize("options, profile, portable", [
    ((), "lab", True),
    (("--option", "temporal_prior=context"), "lab-context", False),
    (("--option", "coding=residual"), "lab-residual", True),
    (("--profile", "lab-conditional", "--option", "temporal_prior=context"), "lab-conditional-context", False),
    (("--profile", "paper"), "paper", False),
])
def test_what_was_trained_codes(cli, data, options, profile, portable):
    path = train(cli, data, *options)
    assert path.endswith(f"conditional-{profile}.safetensors")
    codec = load_codec("conditional", profile, checkpoint=path, intra=data / "intra.safetensors")
    video = moving_video(3, 60, 70)
    stream = codec.encode(video, 8)
    header = read_header(stream)
    assert header.profile == profile and header.flags == (0 if portable else NOT_PORTABLE)
    frames = torch.cat([c.state.frame for c in codec.code(video, 8)])[..., :60, :70]
    assert torch.equal(codec.decode(stream).frames, frames)
    other = "lab" if profile != "lab" else "lab-residual"
    with pytest.raises(UsageError, match="name its own profile"):
        load_codec("conditional", other, checkpoint=path, intra=data / "intra.safetensors")


def test_a_context_prior_starts_from_what_the_integer_prior_knows(cli, data):
    path = train(cli, data)
    model = ConditionalModel(replace(TINY, temporal_prior="context"))
    conditional.start_from(model, conditional.Path(path))
    assert not model.entropy.context.second.weight.any() and not model.entropy.context.second.bias.any()
    shipped = load_codec("conditional", checkpoint=path, intra=data / "intra.safetensors")
    assert torch.equal(model.g_a.head.weight, shipped.g_a.head.weight)
    layer, known = model.entropy.prior_1[0], shipped.entropy.prior_1[0]
    assert torch.equal(layer.export().weight * layer.export().scale[:, None, None, None],
                       known.weight * known.scale[:, None, None, None])
    with pytest.raises(UsageError, match="does not fit"):
        conditional.start_from(ConditionalModel(replace(TINY, coding="residual")), conditional.Path(path))


@pytest.mark.parametrize("config", [TINY, replace(TINY, temporal_prior="context"), TINY_PAPER], ids=["lab", "lab-context", "paper"])
def test_it_learns(config, data):
    torch.manual_seed(0)
    sequences = Sequences([data / "clips"], data / "cache", crop=64, searches=FIELD_WEIGHTS if config.motion == "lattice" else ())
    recipe = conditional.ConditionalRecipe(sequences, tiny_intra_model(), config, batch=2)
    recipe.warmup_steps = 5
    before = recipe.validate()
    after = run_training(recipe, data / "run", minutes=5, steps=40)["validation"]

    def cost(found):  # bits for 6 dB are worth a factor of 4 in squared error
        return sum(found[f"bpp_{q}"] for q in (0, 21)) - sum(found[f"psnr_{q}"] for q in (0, 21)) / 6

    assert cost(after) < cost(before) - 0.1


def test_learned_motion_is_learned_first():
    assert schedule_of(TINY) is ON_LATTICE and schedule_of(TINY_PAPER) is LEARNED_MOTION
    learns = [LEARNED_MOTION.at(p / 30).learns for p in range(30)]
    assert learns == ["motion"] * 4 + ["content"] * 6 + ["all"] * 20
    assert [LEARNED_MOTION.weight(t) for t in range(1, 6)] == [0.5, 1.2, 0.5, 0.9, 0.5]
    assert not LEARNED_MOTION.at(0).rate and LEARNED_MOTION.at(0.1).rate


def test_clips_that_are_too_short_are_named(data):
    sequences = Sequences([data / "clips"], data / "cache", crop=64, searches=())
    with pytest.raises(MissingData, match=rf"sequences of 99 frames are wanted, and the longest clip has {sequences.longest}"):
        sequences.batch(1, 99)
