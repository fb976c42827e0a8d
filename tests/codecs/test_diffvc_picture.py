"""What is shown of a drawn latent: a decoder of its own, and detail of the I frame that is carried along."""

from dataclasses import replace

import pytest
import torch
from tiny_conditional import moving_video
from tiny_diffvc import SMALL, tiny_autoencoder, tiny_diffvc

from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.picture import Carried, Gate, PictureDecoder, carried
from codec_lib.experiments.drawing import decoded
from codec_lib.layers.warping import warp


def believing(amount: float) -> PictureDecoder:
    """A decoder that adds all of the detail (a large amount), or none (a large negative one)."""
    decoder = PictureDecoder(tiny_autoencoder(seed=5)).eval()
    torch.nn.init.constant_(decoder.gate.conv_out.bias, amount)
    return decoder


def test_what_is_carried_is_the_i_frame_in_two_parts():
    space, x_hat = Latents(tiny_autoencoder(), SMALL), torch.rand(2, 3, 64, 64)
    of = carried(space, x_hat)
    assert torch.allclose(of.detail + of.smooth, x_hat, atol=1e-6)
    assert torch.equal(of.smooth, space.picture(space.signal(x_hat)))


def test_both_parts_follow_the_motion():
    of, flow = Carried(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16)), torch.zeros(1, 2, 16, 16)
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(of.moved(flow), of, strict=True))
    flow[:, 0] = 3
    moved = of.moved(flow)
    for before, after in zip(of, moved, strict=True):
        assert torch.allclose(after[..., :13], before[..., 3:], atol=1e-4)
        assert torch.equal(after, warp(before, flow, "spline"))


def test_a_gate_begins_by_believing_and_learns_what_to_look_at():
    gate, of, alone = Gate(), Carried(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)), torch.rand(2, 3, 16, 16)
    assert torch.allclose(gate(alone, of), torch.full((2, 3, 16, 16), 0.9526), atol=1e-4)
    torch.nn.init.normal_(gate.conv_out.weight)
    found = gate(alone, of)
    assert found.min() > 0 and found.max() < 1
    for other in (gate(alone + 0.3, of), gate(alone, of._replace(detail=of.detail + 0.3)), gate(alone, of._replace(smooth=of.smooth + 0.3))):
        assert not torch.allclose(found, other)


@pytest.mark.parametrize("trust", [30.0, -30.0])
def test_shown_is_what_the_latent_shows_and_the_detail_that_came_along(trust):
    """The equation of `picture`, frame by frame, at the gate's two ends."""
    codec = tiny_diffvc()
    codec.generator.decoder = believing(trust)
    states = decoded(codec, codec.encode(moving_video(4), 9)).states
    drawn, real = [], codec.generator.latent
    codec.generator.latent = lambda *args: drawn.append(real(*args)) or drawn[-1]
    with torch.inference_mode():
        shown, detail = [codec.shown(s) for s in states], None
        for state, picture in zip(states, shown, strict=True):
            if state.signal is None:
                assert torch.equal(picture, state.frame)
                detail = carried(codec.context.space, state.frame / 255).detail
                continue
            detail = warp(detail, state.flow, "spline")
            expected = codec.generator.decoder.autoencoder.decode(drawn.pop(0)) + (trust > 0) * detail
            assert (picture.float() - 255 * expected.clamp(0, 1)).abs().max() <= 0.51


def test_a_decoder_of_its_own_shows_what_is_drawn_and_nothing_else():
    video, codec, other = moving_video(3), tiny_diffvc(), tiny_diffvc()
    stream = codec.encode(video, 9)
    other.generator.decoder = believing(3.0)
    a, b = codec.decode(stream).frames, other.decode(stream).frames
    assert torch.equal(a[0], b[0]) and not torch.equal(a[1:], b[1:])
    assert other.encode(video, 9) == stream


def test_a_viewer_may_leave_the_detail_out():
    video, codec, none = moving_video(3), tiny_diffvc(), tiny_diffvc()
    codec.generator.decoder, none.generator.decoder = believing(3.0), believing(-30.0)
    stream = codec.encode(video, 9)
    with_detail = codec.decode(stream).frames
    codec.generator.sampling = replace(codec.generator.sampling, detail=False)
    without = codec.decode(stream).frames
    assert not torch.equal(with_detail, without)
    assert (without.float() - none.decode(stream).frames.float()).abs().max() <= 1


def test_in_the_loop_the_encoder_shows_as_the_decoder_does():
    codec = tiny_diffvc(loop=True)
    codec.generator.decoder = believing(3.0)
    video, shown = moving_video(3), []
    for coded in codec.code(video, 9):
        shown.append(coded.state.frame)
    found = codec.decode(codec.encode(video, 9)).frames
    height, width = video.frames.shape[-2:]
    assert torch.equal(torch.cat(shown)[..., :height, :width], found)
