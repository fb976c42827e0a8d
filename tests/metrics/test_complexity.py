"""Parameters and multiply-accumulates of layers whose closed form is known; memory and time of known work."""

import time

import pytest
import torch
from torch import nn

from codec_lib.metrics.complexity import count_macs, parameters, peak_memory, speed


def test_parameters_by_submodule():
    net = nn.Sequential(nn.Conv2d(3, 8, 5), nn.Sequential(nn.Linear(10, 4), nn.Linear(4, 2, bias=False)))
    conv, first, second = 3 * 8 * 25 + 8, 10 * 4 + 4, 8
    assert parameters(net) == {"": conv + first + second, "0": conv, "1": first + second}
    deep = parameters(net, depth=2)
    assert deep["1.0"] == first and deep["1.1"] == second
    assert parameters(net, depth=0) == {"": conv + first + second}


def test_shared_parameters_count_once():
    layer = nn.Linear(7, 7, bias=False)
    assert parameters(nn.ModuleDict({"a": layer, "b": layer})) == {"": 49, "a": 49}


CASES = {
    "convolution": (nn.Conv2d(3, 8, 3, stride=2, padding=1), (1, 3, 16, 20), 8 * 10 * 8 * 27),
    "depthwise": (nn.Conv2d(6, 6, 5, padding=2, groups=6), (2, 6, 8, 8), 2 * 64 * 6 * 25),
    "convolution in time": (nn.Conv3d(4, 5, 3, padding=1), (1, 4, 3, 8, 8), 3 * 64 * 4 * 5 * 27),
    "transposed": (nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1), (1, 4, 8, 8), 64 * 4 * 6 * 16),
    "linear": (nn.Linear(12, 5), (2, 9, 12), 18 * 12 * 5),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("real", [False, True])
def test_closed_forms(case, real):
    module, shape, expected = CASES[case]
    counted = count_macs(module, torch.zeros(shape), real=real)
    assert counted.total == expected == sum(counted.kinds.values())
    assert set(counted.kinds) == {
        {"transposed": "transposed convolution", "linear": "matrix product"}.get(case, "convolution")
    }


class Attention(nn.Module):
    def forward(self, q, k, v):
        return nn.functional.scaled_dot_product_attention(q, k, v)


@pytest.mark.parametrize("real", [False, True])
def test_attention_is_counted_on_every_device(real):
    """Scores are N x M sums of D products, the result N x D sums of M products, for each head of each sample."""
    q, k, v = (torch.zeros(2, 3, n, d) for n, d in ((10, 8), (14, 8), (14, 6)))
    assert count_macs(Attention(), q, k, v, real=real).total == 2 * 3 * (10 * 14 * 8 + 10 * 6 * 14)


@pytest.mark.parametrize("real", [False, True])
def test_multi_head_attention_and_encoder_layer(real):
    n, d, hidden = 12, 16, 40
    attention = 4 * n * d * d + 2 * n * n * d  # projections of q, k, v and the result; scores and weighted sum
    x = torch.zeros(1, n, d)
    assert count_macs(nn.MultiheadAttention(d, 4, batch_first=True).eval(), x, x, x, real=real).total == attention
    layer = nn.TransformerEncoderLayer(d, 4, hidden, batch_first=True).eval()
    assert count_macs(layer, x, real=real).total == attention + 2 * n * d * hidden


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.dec = nn.Conv2d(4, 3, 1)
        self.register_buffer("basis", torch.ones(5, 4))

    def encode(self, x, scale=1.0):
        return self.enc(x) * scale

    def forward(self, x):
        y = self.encode(x)
        return self.dec(y), torch.einsum("nchw,kc->nkhw", y, self.basis)


def test_rows_by_module_and_kind():
    counted = count_macs(Net(), torch.zeros(1, 3, 8, 8))
    assert counted.modules == {
        "": 64 * (12 + 16 + 12 + 20), "enc": 64 * 28, "enc.0": 64 * 12, "enc.2": 64 * 16, "dec": 64 * 12
    }  # fmt: skip
    assert counted.kinds == {"convolution": 64 * 40, "batched matrix product": 64 * 20}
    assert counted.kmac_per_pixel(64) == pytest.approx(0.060)


def test_another_method_than_forward():
    counted = count_macs(Net(), torch.zeros(1, 3, 8, 8), call=lambda net, x, scale: net.encode(x, scale), scale=2.0)
    assert counted.total == counted.modules["enc"] == 64 * 28


def test_a_module_that_runs_twice_counts_twice_and_stays_as_it_was():
    net = Net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    counted = count_macs(net, torch.zeros(1, 3, 8, 8), call=lambda net, x: (net(x), net(x)))
    assert counted.total == 2 * 64 * 60
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert torch.backends.mha.get_fastpath_enabled()


def test_published_sizes_cost_nothing_to_count():
    with torch.device("meta"):
        huge = nn.Sequential(*[nn.Linear(20_000, 20_000) for _ in range(5)])  # 8 GB of weights
    assert parameters(huge)[""] == 5 * (20_000**2 + 20_000)
    start = time.perf_counter()
    assert count_macs(huge, torch.zeros(1000, 20_000, device="meta")).total == 5 * 1000 * 20_000**2
    assert time.perf_counter() - start < 2


def test_code_that_looks_at_values_runs_for_real():
    class Branching(nn.Linear):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    assert count_macs(Branching(4, 4), torch.ones(1, 4), real=True).total == 16
    assert count_macs(Branching(4, 4), -torch.ones(1, 4), real=True).total == 0


def test_peak_memory_sees_what_was_freed_again():
    def work():
        block = torch.ones(64 * 2**20, dtype=torch.uint8)
        return int(block[-1])

    peak = peak_memory(work)
    assert 60 * 2**20 < peak.increase < 90 * 2**20 and peak.bytes > peak.increase
    assert peak_memory(lambda: None).increase < 16 * 2**20


def test_speed_times_only_the_measured_calls():
    calls = []

    def work():
        calls.append(0)
        time.sleep(0.2 if len(calls) == 1 else 0.01)

    s = speed(work, frames=5, warmup=1, repeats=3)
    assert len(calls) == 4
    assert 0.01 <= s.fastest <= s.seconds <= s.slowest < 0.2 and s.fps == pytest.approx(5 / s.seconds)
