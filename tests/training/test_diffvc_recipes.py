"""DiffVC's recipes: from the command line to a codec that codes and shows."""

from types import SimpleNamespace

import pytest
import torch
from tiny_conditional import moving_video, tiny_motion
from tiny_diffvc import SMALL, TINY_UNET, tiny_autoencoder, tiny_latent_model
from tiny_intra import tiny_model as tiny_intra_model
from tiny_pictures import Distance

from codec_lib import checkpoint
from codec_lib.checkpoint import file_sha256, load_checkpoint
from codec_lib.codecs import diffvc as room
from codec_lib.codecs.diffvc.config import PROFILES
from codec_lib.codecs.diffvc.export import (
    GENERATOR,
    UNLOCKED,
    GeneratorConfig,
    generator_config,
    learned,
    save_codec,
    save_generator,
)
from codec_lib.codecs.diffvc.picture import carried
from codec_lib.codecs.intra.export import save_parts as save_intra
from codec_lib.diffusion.autoencoder import save_autoencoder
from codec_lib.diffusion.denoiser import Denoiser, save_denoiser
from codec_lib.entropy.fit import initial_tables
from codec_lib.errors import MissingWeights, UsageError
from codec_lib.training import conditional, diffvc_generator
from codec_lib.training.coded_frames import FRAMES, Pool
from codec_lib.training.diffvc import ContextualRecipe, squared
from codec_lib.training.diffvc_gates import GatesRecipe
from codec_lib.training.diffvc_generator import (
    CODED,
    TRUE,
    GeneratorRecipe,
    parts_of,
    with_options,
)
from codec_lib.training.loop import train as run_training
from codec_lib.training.sequences import Sequences
from codec_lib.video import write_video


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A folder with one clip, and checkpoints of everything that DiffVC stands on, as small as can be."""
    clips = tmp_path / "clips"
    clips.mkdir()
    write_video(moving_video(12, 64, 64), clips / "moving.y4m")
    monkeypatch.setattr(checkpoint, "CHECKPOINTS", tmp_path)
    for seed, profile in enumerate(("lab", "perceptual")):
        save_intra(tmp_path / f"intra-{profile}.safetensors", tiny_intra_model(seed), initial_tables())
    save_autoencoder(tmp_path / "vae-lab.safetensors", tiny_autoencoder())
    torch.manual_seed(0)
    save_denoiser(tmp_path / "unet-lab.safetensors", Denoiser(TINY_UNET))
    monkeypatch.setitem(PROFILES, "lab", SMALL)
    monkeypatch.setattr(conditional, "FIT_CLIPS", 2)
    monkeypatch.setattr(diffvc_generator, "load_lpips", lambda net: Distance())
    return tmp_path


def test_what_was_trained_codes_and_shows(cli, data):
    for name in ("diffvc", "diffvc-generator"):
        ran = cli("train", name, "--data", data / "clips", "--out", data / "runs" / name, "--steps", 2, "--batch", 1, "--crop", 64,
                  "--checkpoint", data / f"{name}-lab.safetensors")
        assert ran.status == 0, ran.err
        assert (data / f"{name}-lab.md").is_file()
    streams, video = {}, moving_video(3, 60, 70)
    for profile in ("lab", "mse"):
        codec = room.load(profile=profile, steps=2, depth=1)
        streams[profile] = codec.encode(video, 8)
        assert codec.decode(streams[profile]).frames.shape == video.frames.shape
        assert codec.symbols_sha256(streams[profile]) == room.load(profile=profile, diffusion=False).symbols_sha256(streams[profile])
    assert streams["lab"] != streams["mse"]
    ran = cli("train", "diffvc", "--profile", "mse", "--data", data / "clips", "--out", data / "runs" / "mse")
    assert ran.status == 2 and "profile mse has the weights of lab: train that" in ran.err


def test_a_generator_goes_on_from_another_whatever_codec_that_one_followed(cli, data):
    save_codec(data / "diffvc-lab.safetensors", tiny_latent_model(), initial_tables(), tiny_motion(), *digests(data)[:2])
    made = recipe(data, stem=96, shortcut=True, gates=True, low=0.5, high=2.0, codec="another", prior=digests(data)[2])
    torch.nn.init.normal_(made.model["control"].shortcut.weight)
    save_generator(data / "g.safetensors", made.config, *(made.model[n] for n in ("denoiser", "control", "prompt", "gates")))
    start = ("--data", data / "clips", "--crop", 64, "--steps", 0, "--out", data / "runs" / "h", "--start")
    ran = cli("train", "diffvc-generator", *start, data / "g.safetensors")
    assert ran.status == 0, ran.err
    begun, went_on = (load_checkpoint(p, "diffvc-generator")[0]["control.shortcut.weight"]
                      for p in (data / "g.safetensors", data / "runs" / "h" / "diffvc-generator-lab.safetensors"))
    assert torch.equal(begun, went_on)
    assert file_sha256(data / "g.safetensors") in (data / "runs" / "h" / "diffvc-generator-lab.md").read_text()
    ran = cli("train", "diffvc-generator", *start, data / "unet-lab.safetensors")
    assert ran.status == 2 and "is a checkpoint of 'unet'" in ran.err
    save_codec(data / "diffvc-lab.safetensors", tiny_latent_model(), initial_tables(), tiny_motion(), digests(data)[0], "0a0b0c0d")
    for name, begun in (("diffvc-generator", "g.safetensors"), ("diffvc", "diffvc-lab.safetensors")):
        ran = cli("train", name, *start[:-3], "--out", data / "runs" / f"other-{name}", "--start", data / begun)
        assert ran.status == 1 and "was trained with vae checkpoint 0a0b0c0d" in ran.err


def digests(data):
    """Of I-frame codec, autoencoder and denoiser in the folder, as other checkpoints name them."""
    return [file_sha256(data / f"{name}-lab.safetensors")[:8] for name in ("intra", "vae", "unet")]


def recipe(data, perceptual=False, stem=8, made_by=GeneratorRecipe, **options):
    sequences = Sequences([data / "clips"], cache=data / "cache", crop=64)
    codec = ContextualRecipe(sequences, tiny_intra_model(), tiny_autoencoder(), SMALL, batch=2)
    torch.manual_seed(0)
    config = GeneratorConfig(SMALL.signal_channels + SMALL.widths[0], stem, **options)
    made = made_by(codec, Denoiser(TINY_UNET), config, batch=4, net="squeeze" if perceptual else None)
    return made


def changed_by_training(made, folder):
    """Names of the parameters that six steps have changed."""
    before = {n: p.clone() for n, p in made.model.named_parameters()}
    made.warmup_steps = 1
    run_training(made, folder, minutes=5, steps=6)
    return {n for n, p in made.model.named_parameters() if not torch.equal(p, before[n])}


@pytest.mark.parametrize("unlocked", UNLOCKED)
def test_what_is_unlocked_learns_and_is_saved(data, tmp_path, unlocked):
    made = recipe(data, unlocked=unlocked)
    changed = changed_by_training(made, tmp_path / "run")
    free = {f"denoiser.{n}" for n in learned(made.config, made.denoiser)}
    assert all(n.startswith(("control.", "prompt.")) or n in free for n in changed)
    for part in ("control.network.controlnet_down_blocks", "control.network.controlnet_mid_block", "prompt.", "denoiser.network"):
        assert any(n.startswith(part) for n in changed), part
    assert any("up_blocks" in n and "attn2" not in n for n in changed) == (unlocked == "decoder")
    save_generator(tmp_path / "g.safetensors", made.config, made.denoiser, made.model["control"], made.model["prompt"])
    saved = {n.partition(":")[0] for n in load_checkpoint(tmp_path / "g.safetensors", "diffvc-generator")[0]}
    assert {n for n in saved if n.startswith("denoiser.")} == free


def test_lpips_counts_later_and_reaches_the_networks(data, tmp_path):
    made = recipe(data, perceptual=True)
    made.at(0.1)
    assert "lpips" not in made.loss(0.1)[1]
    made.at(0.9)
    loss, figures = made.loss(0.9)
    assert figures["lpips"] > 0 and loss.item() > figures["error"]
    coded = made.pool.draw(4, made.generator)
    y_0 = coded.y_hat.clone().requires_grad_()
    made.distance(y_0, coded)[0].sum().backward()
    assert y_0.grad.abs().sum() > 0
    assert {"lpips_50", "lpips_decoded", "error_1000"} <= set(made.validate())
    assert made.validate() == made.validate()


def test_gates_learn_while_the_autoencoder_stays(data, tmp_path):
    made = recipe(data, perceptual=True, shortcut=True, gates=True)
    before = [p.clone() for p in made.pool.codec.autoencoder.parameters()]
    changed = changed_by_training(made, tmp_path / "run")
    assert {"gates.conv_in.weight", "gates.conv_out.weight", "control.shortcut.weight"} <= changed
    assert all(torch.equal(a, b) for a, b in zip(before, made.pool.codec.autoencoder.parameters(), strict=True))


def test_gates_alone_learn_once_the_generator_draws(data, tmp_path):
    made = recipe(data, perceptual=True, made_by=GatesRecipe, shortcut=True, gates=True)
    changed = changed_by_training(made, tmp_path / "run")
    assert "gates.conv_out.weight" in changed and all(n.startswith("gates.") for n in changed)
    with pytest.raises(UsageError, match="has no gates"):
        recipe(data, perceptual=True, made_by=GatesRecipe, shortcut=True)
    with pytest.raises(MissingWeights, match="backbone is not there"):
        recipe(data, made_by=GatesRecipe, gates=True)


def test_gates_are_trained_for_a_generator_that_is_there(cli, data, monkeypatch):
    monkeypatch.setattr(diffvc_generator, "metric", lambda name: SimpleNamespace(available=lambda: None))
    save_codec(data / "diffvc-lab.safetensors", tiny_latent_model(), initial_tables(), tiny_motion(), *digests(data)[:2])
    made = recipe(data, stem=96, shortcut=True, gates=True, low=0.5, high=2.0, codec="another", prior=digests(data)[2])
    save_generator(data / "g.safetensors", made.config, *(made.model[n] for n in ("denoiser", "control", "prompt", "gates")))
    train = ("train", "diffvc-gates", "--data", data / "clips", "--crop", 64, "--steps", 1, "--batch", 1, "--out", data / "runs" / "g")
    ran = cli(*train)
    assert ran.status == 2 and "name it with --start FILE" in ran.err
    ran = cli(*train, "--start", data / "g.safetensors")
    assert ran.status == 0, ran.err
    trained = data / "runs" / "g" / f"{GENERATOR}-lab.safetensors"
    before, after = (load_checkpoint(p, GENERATOR)[0] for p in (data / "g.safetensors", trained))
    assert (generator_config(trained).low, generator_config(trained).high) == (0.5, 2.0), "numbers mean what they meant"
    ran = cli(*train, "--option", "prompt=none", "--start", data / "g.safetensors", "--resume")
    assert ran.status == 2 and "has prompt learned, and none is asked for" in ran.err
    assert before.keys() == after.keys()
    assert all(torch.equal(before[n], after[n]) for n in before if not n.startswith("gates."))
    assert file_sha256(data / "g.safetensors") in trained.with_suffix(".md").read_text()


def test_the_distance_is_that_of_what_a_viewer_is_shown(data):
    """With gates that believe in the last I frame alone, it does not matter what was drawn."""
    made, distances = recipe(data, perceptual=True, shortcut=True, gates=True), []
    torch.nn.init.constant_(made.model["gates"].conv_out.bias, 30.0)
    coded = made.pool.draw(4, made.generator)
    for y_0 in (coded.y, -coded.y):
        made.generator.manual_seed(3)
        distances.append(made.distance(y_0, coded)[1])
    assert torch.allclose(*distances, atol=1e-6)
    made.generator.manual_seed(3)
    apart = made.distance(-coded.y, coded, alone=2)[1]
    assert torch.allclose(apart[2:], distances[0][2:], atol=1e-6) and not torch.isclose(apart[:2], distances[0][:2], rtol=1e-3).any()
    whole = coded._replace(x=(255 * (coded.smooth.float() + coded.detail.float())).clamp(0, 255).round().to(torch.uint8))
    assert made.distance(coded.y, whole)[1].max() < 1e-4 < distances[0].min()


def test_noisy_latents_are_made_from_what_a_sampler_meets(data):
    made, n = recipe(data, shortcut=True), torch.ones(64, dtype=torch.long)  # at step 1 there is hardly any noise
    made.pool.draw(1, made.generator)
    made.pool.remember(torch.full_like(made.pool.kept.own[:1], 3.0))
    coded = made.pool.kept.picked(made.pool.latest.expand(64))
    found = made.noisy(coded, n)
    sources = torch.stack([(found - a).pow(2).mean(dim=(1, 2, 3)) for a in (coded.y, coded.y_hat, coded.own)]).argmin(0)
    assert all(share * 64 / 4 < count < share * 64 * 2 for count, share in
               zip(sources.bincount(minlength=3).tolist(), (TRUE, CODED, 1 - TRUE - CODED), strict=True))
    plain = recipe(data)
    assert (plain.noisy(coded, n) - coded.y).pow(2).mean() < 0.01


def test_the_pool_carries_the_detail_of_i_frames_along(data):
    """As a viewer does: from the I frame on, frame after frame, by the motion that was decoded."""
    codec, frames = recipe(data).pool.codec, []

    def watched(real):
        return lambda *args: frames.append(real(*args)) or frames[-1]

    codec.intra_reference, codec.p_frame = watched(codec.intra_reference), watched(codec.p_frame)
    found = Pool(codec).code()
    along, expected = carried(codec.model.context.space, frames[0].x_hat), []
    for frame in frames[1:]:
        along = along.moved(frame.flow)
        expected.append(along)
    kept = [torch.cat(pair) for pair in zip(*expected[-FRAMES:], strict=True)]
    assert len(found.r) == FRAMES * codec.batch and len(frames) > FRAMES
    assert torch.equal(found.detail, kept[0].bfloat16()) and torch.equal(found.smooth, kept[1].bfloat16())


def test_without_a_prompt_there_is_none(data):
    made = recipe(data, prompt="none")
    assert "prompt" not in made.model and torch.isfinite(made.loss(0.0)[0])


def test_profiles_name_prompts():
    assert with_options("lab", ["prompt=none"]) == "lab-none" and parts_of("lab-none") == ("lab", "none")
    assert with_options("lab", ["prompt=learned"]) == "lab" and parts_of("paper") == ("paper", "text")
    with pytest.raises(UsageError, match="no option 'prompt=loud'"):
        with_options("lab", ["prompt=loud"])
    with pytest.raises(UsageError, match="no profile 'lab-loud'"):
        parts_of("lab-loud")


def test_a_prompt_is_told_or_not(data):
    made = recipe(data)
    for conv in (made.model["control"].network.controlnet_mid_block, made.model["control"].network.controlnet_cond_embedding.conv_out):
        torch.nn.init.normal_(conv.weight)
    coded, n = made.pool.draw(4, made.generator), torch.full((4,), 300)
    noisy = made.noisy(coded, n)
    with torch.no_grad():
        told, untold, none = (made.predicted(c, noisy, n, torch.full((4,), t))[0]
                              for c, t in ((coded, True), (coded, False), (coded._replace(r=coded.r * 3), False)))
    assert not torch.equal(told, untold) and torch.equal(untold, none)


def test_squared_error_of_latents_is_a_pixel():
    y = torch.zeros(1, 4, 8, 8)
    y[0, 2, 3, 3] = 8
    assert squared(y).item() == 64 / (64 * 64)
