"""Coding in steps: the trained form, the shipped form, and the densities they measure rates with."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import laplace

from codec_lib.entropy.coder import Decoder, Encoder
from codec_lib.entropy.density import class_sigmas, gaussian_bits, laplace_bits
from codec_lib.entropy.factorised import FactorisedDensity
from codec_lib.entropy.fit import initial_tables
from codec_lib.entropy.integer import LIMIT
from codec_lib.entropy.latent_coder import UNIT, LatentCoder
from codec_lib.entropy.priors import dual_masks, quadtree_masks
from codec_lib.entropy.steps import code_in_steps
from codec_lib.entropy.two_step import code_in_two_steps


class Neighbours:
    """A probability path without weights: the mean of a latent is that of what is known around it, its class depends on it."""

    def __init__(self, masks):
        self.masks = masks

    def step(self, index, features, y16):
        near = torch.nn.functional.avg_pool2d(y16, 3, 1, 1) + features + index
        return near.round(), (30 + near.abs() / 8).round().clamp(0, 63)


@pytest.mark.parametrize("masks", [dual_masks, quadtree_masks])
@pytest.mark.parametrize("shape", [(8, 6, 4), (6, 5, 3)])
def test_a_decoder_takes_the_same_steps(masks, shape):
    torch.manual_seed(0)
    y, features = 4 * torch.randn(2, *shape), torch.randn(2, *shape).round()
    coder = LatentCoder(Neighbours(masks), initial_tables(), torch.device("cpu"), math.inf)
    found = coder.quantise(y, features)
    decoders = []
    for symbols, classes in zip(found.symbols, found.classes, strict=True):
        encoder = Encoder(coder.tables)
        coder.push(encoder, symbols, classes)
        decoders.append(Decoder(encoder.finish(), coder.tables))
    symbols, y16 = coder.pop(decoders, features, shape[0])
    assert np.array_equal(symbols, found.symbols) and torch.equal(y16, found.y16)
    assert (y16 / UNIT - y).abs().max() <= 0.5 + 1 / 32  # nearest integers around means on the 1/16 grid


@pytest.mark.parametrize("masks", [dual_masks, quadtree_masks])
def test_what_is_trained_quantises_as_what_is_shipped(masks):
    torch.manual_seed(1)
    y, features, path = 4 * torch.randn(2, 8, 6, 4), torch.randn(2, 8, 6, 4).round(), Neighbours(masks)

    def head(step, y_hat):
        mean, position = path.step(step, features, UNIT * y_hat)
        return mean / UNIT, position

    y_hat, bits = code_in_steps(y, masks(8, 6, 4), head, rounded=True)
    shipped = LatentCoder(path, initial_tables(), torch.device("cpu"), math.inf).quantise(y, features)
    assert (UNIT * y_hat - shipped.y16).abs().mean() < 0.01  # halves may be rounded either way
    counted = initial_tables().bits(shipped.symbols.ravel(), shipped.classes.ravel())
    assert bits.sum().item() == pytest.approx(counted, rel=0.02)


def test_a_latent_sees_what_was_decoded_before_it_and_nothing_else():
    masks, seen = quadtree_masks(8, 4, 4), []

    def head(step, y_hat):
        seen.append((y_hat != 0).expand(1, 8, 4, 4))
        return torch.zeros(1, 8, 4, 4), torch.full((1, 8, 4, 4), 30.0)

    code_in_steps(torch.full((1, 8, 4, 4), 3.0), masks, head, rounded=True)
    for step in range(4):
        assert torch.equal(seen[step], sum(masks[:step], torch.zeros(1, 8, 4, 4, dtype=torch.bool)))


def test_two_steps_are_steps():
    torch.manual_seed(2)
    y, features = 3 * torch.randn(1, 4, 6, 6), torch.randn(1, 5, 6, 6)
    prior_1, prior_2 = torch.nn.Conv2d(5, 8, 1), torch.nn.Conv2d(9, 8, 1)
    with torch.no_grad():
        torch.manual_seed(3)
        rounded = code_in_two_steps(y, features, prior_1, prior_2, quantise=True)
        torch.manual_seed(3)
        split = code_in_two_steps(y, features, prior_1, prior_2, quantise=True, on_grid=False)
    assert torch.equal(rounded[0].isfinite(), split[0].isfinite())
    assert not torch.equal(rounded[1], split[1])  # off the grid the second step sees other numbers
    assert (rounded[1] / split[1] - 1).abs() < 0.1


def test_laplace_bits_are_those_of_the_distribution():
    r = torch.tensor([0.0, 0.2, 0.4999, 0.5, 0.7, 3.0, 40.0], dtype=torch.float64)
    for sigma in (0.11, 1.0, 30.0):
        expected = -np.log2(np.diff(laplace.cdf(np.stack([-r - 0.5, -r + 0.5]), scale=sigma / math.sqrt(2)), axis=0)[0])
        assert torch.allclose(laplace_bits(r, torch.tensor(sigma, dtype=torch.float64)), torch.from_numpy(expected), rtol=1e-6)


@pytest.mark.parametrize("density", [gaussian_bits, laplace_bits])
def test_densities_keep_their_gradients_far_out(density):
    r = torch.tensor([0.0, 0.3, 0.5, 8.0, 300.0], requires_grad=True)
    sigma = torch.full((5,), 0.11, requires_grad=True)
    density(r, sigma).sum().backward()
    assert r.grad.isfinite().all() and sigma.grad.isfinite().all() and (r.grad[3:] > 0).all()


def test_initial_tables_follow_the_density():
    for density, bits in (("gaussian", gaussian_bits), ("laplace", laplace_bits)):
        k, symbols = 30, np.arange(-3, 4)
        expected = bits(torch.from_numpy(symbols).double(), class_sigmas()[k].expand(7))
        assert np.allclose(initial_tables(density).symbol_bits(symbols, np.full(7, k)), expected, atol=1e-3)


def test_a_factorised_density_learns_and_its_tables_code_at_its_rate():
    torch.manual_seed(0)
    density = FactorisedDensity(3)
    z = (torch.randn(64, 3, 4, 4) * torch.tensor([0.2, 2.0, 9.0])[:, None, None] + torch.tensor([0.0, 5.0, -20.0])[:, None, None])
    optimizer = torch.optim.Adam(density.parameters(), lr=0.03)
    for _ in range(400):
        optimizer.zero_grad()
        density.bits(z, rounded=True).mean().backward()
        optimizer.step()
    symbols = z.round()
    estimated = density.bits(z, rounded=True).sum(dim=(0, 2, 3)).detach()
    tables = density.tables()
    for c in range(3):
        counted = tables.bits(symbols[:, c].int().numpy().ravel(), np.full(64 * 16, c))
        assert counted == pytest.approx(estimated[c].item(), rel=1e-3)
        _, counts = symbols[:, c].unique(return_counts=True)
        entropy = -(counts * (counts / 1024).log2()).sum().item()
        assert counted < 1.15 * entropy + 20
    assert (density.bits(torch.full((1, 3, 1, 1), float(LIMIT)), rounded=True) <= 30).all()
