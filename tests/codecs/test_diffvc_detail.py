"""Detail that is carried along from the I frame: in the coding loop, and in what is shown of a drawn latent."""

from dataclasses import replace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import SMALL, tiny_autoencoder, tiny_diffvc

from codec_lib.codecs.diffvc.detail import Carried, Gate
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.picture import PictureDecoder
from codec_lib.experiments.drawing import decoded
from codec_lib.layers.warping import warp

CARRYING = replace(SMALL, carried=True)


def believing(module, amount):
    """A module whose gate adds all of the detail (a large amount), or none (a large negative one)."""
    torch.nn.init.constant_(module.gate.conv_out.bias, amount)
    return module.eval()


def with_decoder(codec, amount=3.0):
    codec.generator.decoder = believing(PictureDecoder(tiny_autoencoder(seed=5)), amount)
    return codec


def test_what_is_carried_is_the_i_frame_in_two_parts():
    space, x_hat = Latents(tiny_autoencoder(), CARRYING), torch.rand(2, 3, 64, 64)
    carried = space.begun(x_hat)
    assert torch.allclose(carried.detail + carried.smooth, x_hat, atol=1e-6)
    assert torch.equal(carried.smooth, space.shown(space.signal(x_hat)))
    assert Latents(tiny_autoencoder(), SMALL).begun(x_hat) is None


def test_both_parts_follow_the_motion():
    carried, flow = Carried(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)), torch.zeros(1, 2, 16, 16)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(carried.moved(flow), carried, strict=True))
    flow[:, 0] = 3
    for before, after in zip(carried, carried.moved(flow), strict=True):
        assert torch.allclose(after[..., :13], before[..., 3:], atol=1e-4)
        assert torch.equal(after, warp(before, flow, "spline"))


def test_a_gate_begins_by_believing_and_learns_what_to_look_at():
    gate, carried, alone = Gate(), Carried(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)), torch.rand(2, 3, 16, 16)
    assert torch.allclose(gate.belief(alone, carried), torch.full((2, 3, 16, 16), 0.9526), atol=1e-4)
    torch.nn.init.normal_(gate.conv_out.weight)
    found = gate.belief(alone, carried)
    assert found.min() > 0 and found.max() < 1
    for other in ((alone + 0.3, carried), (alone, carried._replace(detail=carried.detail + 0.3)),
                  (alone, carried._replace(smooth=carried.smooth + 0.3))):
        assert not torch.allclose(found, gate.belief(*other))
    assert torch.equal(gate(alone, carried), alone + found * carried.detail) and gate(alone, None) is alone


@pytest.mark.parametrize("trust", [30.0, -30.0])
def test_pictures_are_what_the_latent_shows_and_the_detail_that_came_along(trust):
    """The equation of `detail`, frame by frame, at the gates' two ends: what is predicted from, and what is drawn."""
    codec = with_decoder(tiny_diffvc(config=CARRYING), trust)
    believing(codec.context.space, trust)
    states = decoded(codec, codec.encode(moving_video(4), 9)).states
    drawn, real = [], codec.generator.latent
    codec.generator.latent = lambda *args: drawn.append(real(*args)) or drawn[-1]
    with torch.inference_mode():
        for state in states:
            shown = codec.shown(state)
            if state.signal is None:
                assert torch.equal(shown, state.frame)
                x_hat = state.frame / 255
                detail = x_hat - codec.context.space.shown(codec.context.space.signal(x_hat))
                continue
            detail = warp(detail, state.flow, "spline")
            for picture, alone in ((state.frame, codec.context.space.shown(state.signal)),
                                   (shown, codec.generator.decoder.autoencoder.decode(drawn.pop(0)))):
                expected = alone + (trust > 0) * detail
                assert (picture.float() - 255 * expected.clamp(0, 1)).abs().max() <= 0.51


def test_a_decoder_of_its_own_shows_what_is_drawn_and_nothing_else():
    video, codec, other = moving_video(3), tiny_diffvc(), with_decoder(tiny_diffvc())
    stream = codec.encode(video, 9)
    a, b = codec.decode(stream).frames, other.decode(stream).frames
    assert torch.equal(a[0], b[0]) and not torch.equal(a[1:], b[1:])
    assert other.encode(video, 9) == stream


@pytest.mark.parametrize("loop", [False, True])
def test_an_encoder_carries_what_a_decoder_does(loop):
    codec = with_decoder(tiny_diffvc(config=CARRYING, loop=loop))
    video = moving_video(4)
    there = [coded.state.frame for coded in codec.code(video, 9)]
    here = [coded.state.frame for coded in codec.decode_frames(codec.encode(video, 9))]
    assert all(torch.equal(a, b) for a, b in zip(there, here, strict=True))


def test_only_the_gate_learns_from_pictures():
    space = Latents(tiny_autoencoder(), CARRYING)
    signal = torch.randn(1, 4, 8, 8, requires_grad=True)
    space.picture(signal, space.begun(torch.rand(1, 3, 64, 64))).square().sum().backward()
    assert signal.grad is None and space.gate.conv_out.bias.grad.abs().sum() > 0
    assert {n.split(".")[0] for n, _ in space.named_parameters()} == {"gate"}
