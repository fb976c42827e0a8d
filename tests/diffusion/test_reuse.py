"""TDIR: its identities, its buffer, and how often it calls the network."""

import pytest
import torch

from codec_lib.diffusion.noise import gaussian_noise
from codec_lib.diffusion.process import add_noise
from codec_lib.diffusion.reuse import Buffer, calls_per_period, resembles, reusing, similarity
from codec_lib.diffusion.samplers import ddim, ddpm, sample
from codec_lib.diffusion.schedule import scaled_linear
from codec_lib.errors import UsageError

STEPS = 10
SCHEDULE = scaled_linear().respaced(STEPS)
SHAPE = (1, 4, 6, 6)


class Network:
    """Sees a clean signal of its frame, a little disturbed by the state; counts its calls."""

    def __init__(self):
        self.calls = []

    def of(self, clean):
        def predict(y_n, n):
            self.calls.append(n)
            return clean + 0.1 * torch.tanh(y_n)
        return predict


def decode(frames, depth, policy="carry", step=ddpm, network=None, move=None):
    """Frames after an I frame; also what was kept at the end."""
    network, buffer, found = network or Network(), Buffer(policy), []
    for t, clean in enumerate(frames):
        if move and t:
            buffer.move(move)
        start = add_noise(SCHEDULE, clean, gaussian_noise(SHAPE, seed=0, frame=t, step=99), STEPS)
        predict = reusing(network.of(clean), buffer, depth)
        found.append(sample(predict, start, SCHEDULE, step, lambda n, t=t: gaussian_noise(SHAPE, seed=0, frame=t, step=n)))
        buffer.finish(depth)
    return found, buffer, network


def frames(count=4):
    return [torch.randn(SHAPE, generator=torch.Generator().manual_seed(i)) for i in range(count)]


@pytest.mark.parametrize("step", [ddpm, ddim(0.0), ddim(1.0)])
def test_depth_n_is_plain_sampling(step):
    found, _, _ = decode(frames(), STEPS, step=step)
    for t, clean in enumerate(frames()):
        start = add_noise(SCHEDULE, clean, gaussian_noise(SHAPE, seed=0, frame=t, step=99), STEPS)
        plain = sample(Network().of(clean), start, SCHEDULE, step, lambda n, t=t: gaussian_noise(SHAPE, seed=0, frame=t, step=n))
        assert torch.equal(found[t], plain)


def test_depth_zero_calls_the_network_for_the_first_frame_only():
    _, buffer, network = decode(frames(), 0)
    assert network.calls == list(range(STEPS, 0, -1)) and buffer.calls == STEPS


@pytest.mark.parametrize("depth", [0, 3, 5, STEPS, STEPS + 7])
@pytest.mark.parametrize("policy", ["carry", "newest"])
def test_calls_are_what_the_formula_says(depth, policy):
    network = decode(frames(5), depth, policy)[2]
    assert len(network.calls) == calls_per_period(5, STEPS, depth)


def test_of_the_published_setting_half_the_calls_are_left():
    """`tdir` of data/papers/diffvc.yaml: 31 P frames, N = 50, D = 25."""
    assert calls_per_period(31, 50, 25) / calls_per_period(31, 50, 50) == pytest.approx(0.516, abs=5e-4)
    assert calls_per_period(0, 50, 25) == 0


def test_a_reused_step_is_the_posterior_step_with_the_kept_prediction():
    first, second = frames(2)
    buffer, network = Buffer(), Network()
    sample(reusing(network.of(first), buffer, 4), first, SCHEDULE, ddpm, lambda n: torch.zeros(SHAPE))
    kept, seen = dict(buffer.kept), {}
    predict = reusing(network.of(second), buffer, 4)
    sample(predict, second, SCHEDULE, ddpm, lambda n: torch.zeros(SHAPE), lambda n, y0, y: seen.update({n: y0}))
    assert all(seen[n] is kept[n] for n in range(5, STEPS + 1))
    assert all(not torch.equal(seen[n], kept[n]) for n in range(1, 5))


def test_policies_differ_in_what_stands_above_the_depth():
    carried, newest = (decode(frames(3), 4, policy)[1].kept for policy in ("carry", "newest"))
    of_first = decode(frames(1), 4)[1].kept
    assert all(torch.equal(carried[n], of_first[n]) for n in range(5, STEPS + 1))
    assert all(torch.equal(newest[n], newest[1]) for n in range(5, STEPS + 1))
    assert not torch.equal(newest[4], newest[1])


def test_after_clearing_all_steps_are_run():
    buffer, network = Buffer(), Network()
    for _ in range(2):
        sample(reusing(network.of(frames()[0]), buffer, 2), frames()[0], SCHEDULE, ddim())
        buffer.clear()
    assert len(network.calls) == 2 * STEPS and not buffer.kept


def test_the_buffer_can_be_moved():
    buffer = decode(frames(2), 0, move=lambda y: y.roll(1, -1))[1]
    of_first = decode(frames(1), 0)[1].kept
    assert all(torch.equal(buffer.kept[n], of_first[n].roll(1, -1)) for n in of_first)


def test_similarity_and_gate():
    a, b = frames(2)
    assert similarity(a, 3 * a).item() == pytest.approx(1) and similarity(a, -a).item() == pytest.approx(-1)
    dot = (a * b).sum() / (a.norm() * b.norm())
    assert similarity(a, b).item() == pytest.approx(dot.item(), abs=1e-6)
    assert resembles(a, a, 0.99) and not resembles(a, b, 0.5) and not resembles(a, None, -1.0)


@pytest.mark.parametrize("make", [lambda: Buffer("oldest"), lambda: reusing(lambda y, n: y, Buffer(), -1)])
def test_bad_settings_are_refused(make):
    with pytest.raises(UsageError):
        make()
