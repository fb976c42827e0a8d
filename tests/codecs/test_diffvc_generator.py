"""DiffVC's diffusion decoder: control, prompts, and the identities of TDIR in it."""

from dataclasses import replace

import pytest
import torch
from tiny_diffvc import SMALL, TINY_UNET, tiny_networks
from tiny_prior import save_text_encoder

from codec_lib.codecs.diffvc.control import LEVELS, QUICKER, Shortcut
from codec_lib.codecs.diffvc.generator import STARTING_NOISE, Generator, Sampling
from codec_lib.codecs.diffvc.prompt import TextPrompt, quantisation_ratio
from codec_lib.diffusion.reuse import calls_per_period
from codec_lib.errors import MissingWeights, UsageError

TINY, C0 = TINY_UNET, SMALL.widths[0]


def frames(count):
    random = torch.Generator().manual_seed(1)
    return [(torch.randn(1, 4, 8, 8, generator=random), torch.randn(1, C0, 8, 8, generator=random)) for _ in range(count)]


def drawn(sampling, count=3, same=False, parts=None):
    generator = Generator(*(parts or tiny_networks()), sampling)
    calls = []
    generator.denoiser.register_forward_hook(lambda *_: calls.append(1))
    coded = frames(1) * count if same else frames(count)
    return [generator.latent(y, c, torch.ones(1), t + 1) for t, (y, c) in enumerate(coded)], len(calls), generator


def test_an_untrained_control_leaves_the_prior_as_it_is():
    denoiser, control, _ = tiny_networks(trained=False)
    y, (hint, c0) = torch.randn(2, 4, 8, 8), frames(1)[0]
    context = denoiser.empty.expand(2, -1, -1)
    with torch.no_grad():
        residuals = control(y, 300, context, hint.expand(2, -1, -1, -1), c0.expand(2, -1, -1, -1))
        assert not any(r.any() for r in (*residuals[0], residuals[1]))
        assert torch.equal(denoiser(y, 300, context, residuals), denoiser(y, 300, context))


def test_a_shortcut_begins_at_nothing_and_goes_as_far_as_it_has_learned():
    y_0, y_hat, c0 = torch.randn(2, 4, 8, 8), torch.randn(2, 4, 8, 8), torch.randn(2, C0, 8, 8)
    shortcut, said = Shortcut(4, 4 + C0, 6), torch.randn(1, 3, 2)
    assert torch.equal(shortcut(y_0, y_hat, c0, torch.tensor(1000), said), y_0)
    with torch.no_grad():  # shares from nothing at no noise to 1 at most, the same for all channels
        shortcut.weight.copy_((torch.arange(LEVELS + 1) / LEVELS / QUICKER).repeat_interleave(4))
    assert torch.allclose(shortcut(y_0, y_hat, c0, torch.tensor(1000), said), y_hat, atol=1e-6)
    assert torch.allclose(shortcut(y_0, y_hat, c0, torch.tensor(0), said), y_0)
    found = shortcut(y_0, y_hat, c0, torch.tensor([333, 999]), said)
    expected = torch.stack([y + g * (h - y) for y, h, g in zip(y_0, y_hat, (0.333, 0.999), strict=True)])
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_shortcut_goes_further_where_the_hint_says_so():
    y_0, y_hat, c0 = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8), torch.zeros(1, C0, 8, 8)
    c0[..., :4] = 1  # "here nothing has moved"
    shortcut, said = Shortcut(4, 4 + C0, 6), torch.randn(1, 3, 2)
    with torch.no_grad():  # half of the way at no noise and all of it at most, there alone
        shortcut.look.weight.zero_()[0, 4, 1, 1] = 40
        shortcut.look.bias.zero_()
        shortcut.place.weight[:4, 0, 1, 1], shortcut.place.weight[4:, 0, 1, 1] = 0.5 / 40, 1 / 40
    half, most = (shortcut(y_0, y_hat, c0, torch.tensor(n), said) for n in (0, 1000))
    assert torch.allclose(half[..., :4], (y_0 + y_hat)[..., :4] / 2, atol=1e-5)
    assert torch.allclose(most[..., :4], y_hat[..., :4], atol=1e-5)
    assert torch.equal(half[..., 4:], y_0[..., 4:]) and torch.equal(most[..., 4:], y_0[..., 4:])
    assert torch.equal(shortcut.share(torch.tensor(500), said), torch.zeros(1, 4, 1, 1))


def test_a_shortcut_goes_further_where_the_prompt_says_so():
    shortcut, prompts = Shortcut(4, 4 + C0, 6), torch.zeros(2, 3, 2)
    prompts[1, 0, 1] = 1  # the second prompt says something
    with torch.no_grad():
        shortcut.listen.weight[:4, 1], shortcut.listen.weight[4:, 1] = 0.25, 0.75
    assert torch.allclose(shortcut.share(torch.tensor([0]), prompts)[:, :, 0, 0], torch.tensor([[0.0], [0.25]]).expand(2, 4))
    assert torch.allclose(shortcut.share(torch.tensor([1000, 500]), prompts[1:])[:, :, 0, 0], torch.tensor([[0.75], [0.5]]).expand(2, 4))


def test_what_is_drawn_goes_the_shortcut():
    """With the whole of it, the decoded latent is all that is ever seen, and what is drawn in the end."""
    denoiser, control, prompt = tiny_networks()
    control.shortcut = Shortcut(SMALL.signal_channels, SMALL.signal_channels + SMALL.widths[0], denoiser.empty.numel())
    with torch.no_grad():
        control.shortcut.weight.fill_(1 / QUICKER)
    y_hat, c0 = torch.randn(1, SMALL.signal_channels, 8, 8), torch.randn(1, SMALL.widths[0], 8, 8)
    drawn = Generator(denoiser, control, prompt, Sampling(steps=3, depth=3)).latent(y_hat, c0, torch.ones(1), 1)
    assert torch.allclose(drawn, y_hat, atol=1e-4)


def test_a_trained_control_listens_to_both_parts_of_its_hint():
    denoiser, control, _ = tiny_networks()
    y, (hint, c0) = torch.randn(1, 4, 8, 8), frames(1)[0]
    with torch.no_grad():
        plain, other_y, other_c = (control(y, 300, denoiser.empty[None], a, b)[1] for a, b in
                                   ((hint, c0), (hint + 1, c0), (hint, c0 + 1)))
    assert not torch.allclose(plain, other_y) and not torch.allclose(plain, other_c)


@pytest.mark.parametrize("depth", [0, 2, 5])
def test_calls_are_what_the_formula_says(depth):
    _, calls, generator = drawn(Sampling(steps=5, depth=depth), count=4)
    assert calls == generator.buffer.calls == calls_per_period(4, 5, depth)


def test_depth_n_is_plain_sampling():
    plain = Sampling(steps=4, depth=4)
    together = drawn(plain)[0]
    for t, (y, c) in enumerate(frames(3)):
        alone = Generator(*tiny_networks(), plain).latent(y, c, torch.ones(1), t + 1)
        assert torch.equal(alone, together[t])


def test_without_steps_the_decoded_latent_is_what_is_shown():
    latents, calls, _ = drawn(Sampling(steps=0), count=2)
    assert calls == 0 and Sampling(steps=0).depth == 0
    for latent, (y, _) in zip(latents, frames(2), strict=True):
        assert torch.equal(latent, y)


def test_after_an_i_frame_all_steps_are_run():
    generator = drawn(Sampling(steps=5, depth=1), count=2)[2]
    generator.restart()
    y, c = frames(1)[0]
    before = generator.buffer.calls
    generator.latent(y, c, torch.ones(1), 9)
    assert generator.buffer.calls - before == 5


def test_the_gate_runs_all_steps_where_frames_do_not_resemble():
    assert drawn(Sampling(steps=4, depth=1, least=0.9), count=3)[1] == 12
    assert drawn(Sampling(steps=4, depth=1, least=0.9), count=3, same=True)[1] == 6


def test_the_buffer_follows_the_motion_where_asked():
    y, c = frames(1)[0]
    for moved in (True, False):
        generator = Generator(*tiny_networks(), Sampling(steps=3, depth=0, moved=moved))
        generator.latent(y, c, torch.ones(1), 1)
        kept = dict(generator.buffer.kept)
        generator.latent(y, c, torch.ones(1), 2, warp=lambda a: a.roll(1, -1))
        assert torch.equal(generator.buffer.kept[2], kept[2].roll(1, -1) if moved else kept[2])


def test_noise_is_the_same_every_time_and_differs_between_frames_and_seeds():
    a, again = (drawn(Sampling(steps=3, depth=3))[0][0] for _ in range(2))
    assert torch.equal(a, again)
    same = drawn(Sampling(steps=3, depth=3), same=True)[0]
    assert not torch.equal(same[0], same[1])
    assert not torch.equal(a, drawn(Sampling(steps=3, depth=3, seed=1))[0][0])


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_ddim_starts_from_noise_and_makes_no_use_of_any_on_its_way(sampler):
    generator, (y_hat, c0) = Generator(*tiny_networks(), Sampling(steps=3, depth=3, sampler=sampler)), frames(1)[0]
    usual, real = generator.latent(y_hat, c0, torch.ones(1), 1), generator._noise

    def drawn_with(other):
        generator.restart()
        generator._noise = lambda like, frame, step: real(like, frame, step) * (9.0 if other(step) else 1.0)
        return generator.latent(y_hat, c0, torch.ones(1), 1)

    assert torch.equal(drawn_with(lambda step: step != STARTING_NOISE), usual) == (sampler == "ddim")
    assert not torch.equal(drawn_with(lambda step: step == STARTING_NOISE), usual)


def test_the_starting_level_is_the_one_asked_for():
    full = Sampling().schedule()
    assert len(full) == 50 and full.timesteps[-1] == 999
    partial = replace(Sampling(), start=500, steps=20, depth=20).schedule()
    assert len(partial) == 20 and partial.timesteps[-1] == 499


def test_prompts_tell_ratios_apart():
    prompt = tiny_networks(trained=False)[2]
    with torch.no_grad():
        tokens = prompt(torch.tensor([0.1, 1.0, 10.0]))
    assert tokens.shape == (3, TINY.context_tokens, TINY.context_width)
    assert all(not torch.allclose(tokens[i], tokens[j], atol=1e-3) for i, j in ((0, 1), (1, 2), (0, 2)))
    assert quantisation_ratio(torch.tensor([[2.0, 8.0]]), torch.tensor([[1.0, 2.0]])).tolist() == [3.0]


def test_a_text_prompt_is_the_ratio_read_by_clip(tmp_path):
    save_text_encoder(tmp_path, width=16)
    prompt = TextPrompt(tmp_path)
    assert prompt.text(1.2345) == "1.23"
    tokens = prompt(torch.tensor([1.2345, 1.2349, 7.0]))
    assert tokens.shape == (3, 77, 16) and not tokens.requires_grad
    assert torch.allclose(tokens[0], tokens[1]) and not torch.allclose(tokens[0], tokens[2])


def test_a_text_prompt_says_what_it_lacks(tmp_path):
    with pytest.raises(MissingWeights, match="holds no tokenizer"):
        TextPrompt(tmp_path)


@pytest.mark.parametrize(("wrong", "message"), [({"sampler": "euler"}, "unknown sampler"), ({"steps": -1}, "cannot be"),
                                                ({"start": 20}, "cannot be"), ({"depth": 51}, "outside 0"),
                                                ({"start": 1001}, "cannot be"), ({"policy": "oldest"}, "no policy 'oldest'"),
                                                ({"seed": -1}, "a seed is"), ({"seed": 2**64}, "a seed is")])
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        Sampling(**wrong)


def test_without_a_word_half_of_the_steps_are_run_for_every_frame():
    assert [Sampling(steps=n).depth for n in (50, 10, 3, 1)] == [25, 5, 2, 1]
    assert Sampling(steps=4, depth=0).depth == 0
    with pytest.raises(UsageError, match="D = -2 is outside"):
        Sampling(depth=-2)
