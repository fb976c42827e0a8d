"""What DiffVC's contextual codec codes, and what it expects of it."""

import torch
from tiny_diffvc import SMALL, TINY_VAE

from codec_lib.codecs.conditional.linear_start import basis
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.reference import Reference
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.diffusion.autoencoder import Autoencoder


def space(seed=0):
    torch.manual_seed(seed)
    return Latents(Autoencoder(TINY_VAE), SMALL)


def model(seed=0):
    torch.manual_seed(seed)
    return ConditionalModel(SMALL, space())


def test_what_stands_still_is_predicted_exactly():
    s, x, y = space(), torch.rand(1, 3, 64, 64), torch.randn(1, 4, 8, 8)
    still = torch.zeros(1, 2, 64, 64)
    assert torch.allclose(s(s.seen(x, y), still), y, atol=1e-5)
    assert torch.allclose(s(s.seen(x, None), still), s.signal(x), atol=1e-5)  # of an I frame there is the picture only


def test_the_way_through_pixels_moves_the_picture():
    s, x = space(), torch.rand(1, 3, 64, 64)
    flow = torch.zeros(1, 2, 64, 64)
    flow[:, 0] = 8
    moved = s(s.seen(x, None), flow)
    there = s.signal(torch.cat([x[..., 8:], x[..., -1:].expand(-1, -1, -1, 8)], dim=-1))
    assert torch.allclose(moved, there, atol=1e-3)


def test_the_autoencoder_is_no_part_of_the_codec_s_weights():
    m = model()
    assert not [n for n in m.state_dict() if "autoencoder" in n] and not [n for n, _ in m.named_parameters() if "autoencoder" in n]
    m.double()
    assert next(m.context.space.autoencoder.parameters()).dtype == torch.float64  # but goes where it goes


def test_a_frame_is_coded_and_leaves_what_the_next_needs():
    m, u = model(), torch.tensor([0.4])
    nodes = torch.zeros(1, 2, 9, 9, dtype=torch.int64)
    reference = Reference(torch.rand(1, 3, 64, 64), None, torch.zeros(1, SMALL.intra_channels, 4, 4), u)
    x = torch.rand(1, 3, 64, 64)
    for _ in range(2):
        coded = m(x, reference, nodes, u)
        reference = coded.reference
        assert coded.signal.shape == coded.x_bar.shape == reference.signal.shape == (1, 4, 8, 8)
        assert reference.x_hat.shape == x.shape and reference.feature.shape == (1, 8, 8, 8)
    (coded.bits_y.sum() + coded.bits_z.sum() + (reference.signal - coded.signal).pow(2).sum()).backward()
    assert all(p.grad is None for p in m.context.space.autoencoder.parameters())
    without = [n for n, p in m.named_parameters() if p.grad is None and not n.startswith(("context.adaptor_i", "entropy.temporal_i"))]
    assert not without


def test_the_linear_part_begins_as_each_channel_s_transform():
    b = basis(SMALL)
    assert b.shape == (16, 16) and torch.allclose(b @ b.T, torch.eye(16), atol=1e-6)
    means = torch.zeros(16).view(4, 2, 2)
    means[1] = 1
    assert torch.allclose((b @ means.flatten()).nonzero().flatten(), torch.tensor([1]))  # the mean of a channel is one number


def test_scales_and_steps_are_those_of_latents():
    assert LatentConfig().scales == (8, 16) and LatentConfig().block == 2 and LatentConfig().centre == 0
    c = LatentConfig()
    s = c.step(c.lambda_low)
    cost = [c.lambda_low * (k * s) ** 2 / 12 - torch.log2(torch.tensor(k * s)).item() for k in (0.99, 1, 1.01)]
    assert cost[1] < min(cost[0], cost[2])
