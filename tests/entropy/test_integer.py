"""Integer-carried layers: exact, equal to plain integer arithmetic, and equal to what was trained."""

import pytest
import torch

from codec_lib.entropy.integer import (
    EXACT,
    LIMIT,
    InexactLayer,
    IntegerConv2d,
    IntegerPixelShuffle,
    QConv2d,
    export,
    self_check,
    set_quantise,
)


def random_integers(*shape, seed=0):
    return torch.randint(-LIMIT, LIMIT + 1, shape, generator=torch.Generator().manual_seed(seed)).float()


def chain(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(
        QConv2d(8, 64, 3, in_frac=0, relu=True), IntegerPixelShuffle(), QConv2d(16, 24, 3), QConv2d(24, 6, out_limit=4095)
    )
    with torch.no_grad():  # make activations large enough to clamp now and then
        layers[0].weight.mul_(0.3)
        layers[2].weight.mul_(4)
        layers[3].weight.mul_(40)
    return layers


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("relu", [False, True])
def test_forward_equals_64_bit_integer_arithmetic(kernel, relu):
    torch.manual_seed(kernel)
    conv = QConv2d(40, 12, kernel, relu=relu, out_limit=4095)
    with torch.no_grad():
        conv.weight.mul_(10)
    layer = conv.export()
    n = random_integers(2, 40, 9, 7)
    assert torch.equal(layer(n), layer.reference(n))
    assert layer(n).abs().max() > 100  # the comparison is not about zeros


def test_trained_form_with_rounding_equals_exported_integers():
    layers = chain()
    set_quantise(layers, True)
    n = random_integers(3, 8, 5, 6)
    real, integers = layers(n), export(layers)(n)
    assert torch.equal(real * 16, integers)
    assert integers.unique().numel() > 20


def test_float_twin_is_close_to_integers_but_not_equal():
    layers = chain()
    n = (random_integers(1, 8, 12, 12) / 16).round()
    twin, integers = layers(n), export(layers)(n) / 16
    assert not torch.equal(twin, integers)
    assert (twin - integers).abs().mean() < 0.1 * integers.abs().mean()


def test_gradient_passes_straight_through_rounding():
    layers = chain()
    set_quantise(layers, True)
    layers(random_integers(1, 8, 4, 4)).sum().backward()
    for layer in layers:
        if isinstance(layer, QConv2d):
            assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_same_integers_for_every_layout_batch_and_thread_count(threads, layout):
    integers = export(chain())
    n = random_integers(4, 8, 16, 12)
    expected = torch.cat([integers(one[None]) for one in n])
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert torch.equal(integers.to(memory_format=layout)(n.to(memory_format=layout)), expected)
    finally:
        torch.set_num_threads(before)


def test_a_layer_that_could_exceed_float32_is_refused():
    channels = EXACT // LIMIT // LIMIT + 1  # all weights 127, all inputs 127: one step past 2^24
    weight = torch.full((1, channels, 1, 1), float(LIMIT))
    with pytest.raises(InexactLayer, match="2\\^24|16777216"):
        IntegerConv2d(weight, torch.zeros(1), torch.full((1,), 8.0))
    IntegerConv2d(weight[:, :-1], torch.zeros(1), torch.ones(1))  # one input fewer is exact


def test_extreme_sums_are_exact():
    channels = EXACT // LIMIT // LIMIT - 1
    sign = torch.where(torch.arange(channels) % 3 == 0, -1.0, 1.0)
    layer = IntegerConv2d((LIMIT * sign).reshape(1, -1, 1, 1), torch.tensor([12345.0]), torch.ones(1), out_limit=EXACT)
    n = (LIMIT * sign).reshape(1, -1, 1, 1)
    assert layer(n).item() == (channels * LIMIT**2 + 12345 + 1) // 2
    layer.self_check()


def test_self_check_notices_a_convolution_that_rounds(monkeypatch):
    integers = export(chain())
    self_check(integers)
    plain = torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d",
                        lambda n, w, b, padding: plain(n.bfloat16(), w.bfloat16(), b.bfloat16(), padding=padding).float())
    with pytest.raises(InexactLayer, match="self-check"):
        self_check(integers)


def test_many_large_weights_get_fewer_bits_instead_of_inexact_sums():
    conv = QConv2d(512, 4, 3, relu=True)
    with torch.no_grad():
        conv.weight.copy_(torch.where(torch.rand(conv.weight.shape) < 0.5, -1.0, 1.0))
    layer = conv.export()  # 4608 weights of magnitude 127 would reach 2^26
    assert layer.weight.abs().max() < LIMIT
    layer.self_check()
