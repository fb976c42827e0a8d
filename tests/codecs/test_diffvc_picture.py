"""What is shown of a drawn latent: the last I frame is carried along and blended in."""

from dataclasses import replace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import SMALL, tiny_autoencoder, tiny_diffvc

from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.picture import CELL, Carried, Gates, carried
from codec_lib.experiments.drawing import decoded, drawn
from codec_lib.layers.warping import warp


def some_carried(count: int = 1, history: float = 0.0) -> Carried:
    return Carried(*torch.rand(2, count, 3, 16, 16), torch.full((count, 2, 16, 16), history))


def believing(*logits: float) -> Gates:
    """Gates with g_t, h_t and k_t of these logits everywhere: a large amount for all of it, a large negative one for nothing."""
    gates = Gates().eval()
    with torch.no_grad():
        gates.conv_out.bias.copy_(torch.tensor(logits))
    return gates


def test_what_is_carried_is_the_i_frame_in_two_parts():
    space, x_hat = Latents(tiny_autoencoder(), SMALL), torch.rand(2, 3, 64, 64)
    of = carried(space, x_hat)
    assert torch.allclose(of.detail + of.smooth, x_hat, atol=1e-6)
    assert torch.equal(of.smooth, space.picture(space.signal(x_hat))) and not of.history.any()


def test_both_parts_follow_the_motion():
    of, flow = some_carried(), torch.zeros(1, 2, 16, 16)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(of.moved(flow)[:2], of[:2], strict=True))
    flow[:, 0] = 3
    moved = of.moved(flow)
    for before, after in zip(of[:2], moved[:2], strict=True):
        assert torch.allclose(after[..., :13], before[..., 3:], atol=1e-4)
        assert torch.equal(after, warp(before, flow, "spline"))


def test_history_is_how_far_and_how_long_a_place_has_come():
    of, flow = some_carried(), torch.zeros(1, 2, 16, 16)
    flow[:, 0, :, :8], flow[:, 1, :, :8] = 3, 4  # the left half comes from five pixels away, in the lower right
    twice = of.moved(flow).moved(torch.zeros_like(flow))
    assert torch.allclose(twice.history[:, 1], torch.full((1, 16, 16), 2.0), atol=1e-4)
    assert torch.allclose(twice.history[:, 0, :, 10:], torch.zeros(1, 16, 6), atol=0.1)
    assert torch.allclose(twice.history[:, 0, :, :6], torch.full((1, 16, 6), 5.0), atol=0.1)
    still = some_carried(history=3.0).moved(flow).history  # what has come along moves on
    assert torch.allclose(still[0, :, 4, 4], torch.tensor([8.0, 4.0]), atol=1e-3)


def test_gates_begin_by_believing_the_detail_and_learn_what_to_look_at():
    gates, of = Gates(), some_carried(2, history=3.0)
    drawn, decoded = torch.rand(2, 2, 3, 16, 16)
    g, h, k = gates.beliefs(drawn, decoded, of)
    assert torch.allclose(g, torch.full((2, 1, 16, 16), 0.9526), atol=1e-4) and torch.allclose(g + h, torch.ones_like(g), atol=1e-6)
    assert torch.equal(g, k)
    torch.nn.init.normal_(gates.conv_out.weight)
    found = torch.cat(gates.beliefs(drawn, decoded, of))
    assert found.min() > 0 and found.max() < 1
    for other in ((drawn + 0.3, decoded, of), (drawn, decoded + 0.3, of), (drawn, decoded, of._replace(detail=of.detail + 0.3)),
                  (drawn, decoded, of._replace(smooth=of.smooth + 0.3)), (drawn, decoded, of._replace(history=of.history + 5))):
        for a, b in zip(found.chunk(3), gates.beliefs(*other), strict=True):
            assert not torch.allclose(a, b)


def test_gates_cannot_alternate_between_pixels():
    """Where cells look alike, whatever is in them, all pixels are believed alike, away from the borders."""
    gates, cells = Gates(), torch.rand(4, 1, 3, CELL, CELL).tile(1, 1, 1, 16, 16)
    torch.nn.init.normal_(gates.conv_out.weight, std=10)
    history = torch.rand(1, 2, CELL, CELL).tile(1, 1, 16, 16)
    for belief in gates.beliefs(cells[0], cells[1], Carried(cells[2], cells[3], history)):
        inside = belief[..., 5 * CELL : -5 * CELL, 5 * CELL : -5 * CELL]
        assert torch.allclose(inside, inside[..., :1, :1].expand_as(inside), atol=1e-6)


@pytest.mark.parametrize("logits", [(30.0, -30.0, 30.0), (-30.0, -30.0, 30.0), (-30.0, -30.0, -30.0), (30.0, 30.0, 0.0), (0.0, 0.0, 0.0)])
def test_shown_is_a_blend_of_what_was_drawn_and_what_came_along(logits):
    """The equations of `picture`, frame by frame, at the gates' ends and between."""
    codec = tiny_diffvc()
    codec.generator.gates = believing(*logits)
    g, h, k = torch.tensor(logits).sigmoid()
    states = decoded(codec, codec.encode(moving_video(4), 9)).states
    drawn, real, space = [], codec.generator.latent, codec.context.space
    codec.generator.latent = lambda *args: drawn.append(real(*args)) or drawn[-1]
    with torch.inference_mode():
        shown = [codec.shown(state) for state in states]
        for state, picture in zip(states, shown, strict=True):
            if state.signal is None:
                assert torch.equal(picture, state.frame)
                s_t = space.picture(space.signal(state.frame / 255))
                d_t = state.frame / 255 - s_t
                continue
            s_t, d_t = warp(s_t, state.flow, "spline"), warp(d_t, state.flow, "spline")
            plain, alone = state.frame / 255, space.picture(drawn.pop(0))
            base = plain + k * (alone - plain)
            expected = base + g * d_t + h * (s_t - base)
            assert (picture.float() - 255 * expected.clamp(0, 1)).abs().max() <= 0.51


def test_the_gates_see_the_picture_of_the_decoded_latent():
    codec, seen = tiny_diffvc(), []
    codec.generator.gates = believing(3.0, -3.0, 3.0)
    real = codec.generator.gates.forward
    codec.generator.gates.forward = lambda drawn, decoded, of: seen.append(decoded) or real(drawn, decoded, of)
    states = decoded(codec, codec.encode(moving_video(3), 9)).states
    for state in states:
        codec.shown(state)
    for state, found in zip(states[1:], seen, strict=True):
        assert (255 * (found - codec.context.space.picture(state.signal).clamp(0, 1))).abs().max() <= 0.51


def test_gates_change_what_is_shown_of_p_frames_and_nothing_else():
    video, codec, other = moving_video(3), tiny_diffvc(), tiny_diffvc()
    stream = codec.encode(video, 9)
    other.generator.gates = believing(3.0, -3.0, 3.0)
    a, b = codec.decode(stream).frames, other.decode(stream).frames
    assert torch.equal(a[0], b[0]) and not torch.equal(a[1:], b[1:])
    assert other.encode(video, 9) == stream


def test_a_viewer_may_leave_the_i_frame_out():
    video, codec, none = moving_video(3), tiny_diffvc(), tiny_diffvc()
    codec.generator.gates = believing(3.0, 0.0, 3.0)
    stream = codec.encode(video, 9)
    with_it = codec.decode(stream).frames
    codec.generator.sampling = replace(codec.generator.sampling, detail=False)
    without = codec.decode(stream).frames
    assert not torch.equal(with_it, without) and torch.equal(without, none.decode(stream).frames)


def test_latents_that_are_known_are_shown_in_another_way_and_not_drawn_again(monkeypatch):
    codec = tiny_diffvc()
    codec.generator.gates = believing(3.0, 0.0, 3.0)
    both = codec.generator.sampling
    alone = replace(both, detail=False)
    of = decoded(codec, codec.encode(moving_video(3), 9))
    first, fresh = drawn(codec, of, alone), drawn(codec, of, both)
    monkeypatch.setattr(type(codec.generator.denoiser), "forward", None)  # not to be called
    again = drawn(codec, of, both, known=first)
    assert torch.equal(again.video.frames, fresh.video.frames) and not torch.equal(again.video.frames, first.video.frames)
    assert (again.calls, again.denoising_s) == (first.calls, first.denoising_s) and first.calls == fresh.calls > 0
    assert sorted(first.latents) == [1, 2]


def test_in_the_loop_the_encoder_shows_as_the_decoder_does():
    codec = tiny_diffvc(loop=True)
    codec.generator.gates = believing(3.0, 0.0, 3.0)
    video, shown = moving_video(3), []
    for coded in codec.code(video, 9):
        shown.append(coded.state.frame)
    found = codec.decode(codec.encode(video, 9)).frames
    height, width = video.frames.shape[-2:]
    assert torch.equal(torch.cat(shown)[..., :height, :width], found)
