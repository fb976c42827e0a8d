"""Motion on a lattice: order, prediction, interpolation, search and bits."""

import numpy as np
import pytest
import torch

from codec_lib.codecs.conditional import motion_coding
from codec_lib.codecs.conditional.lattice import (
    REACH,
    SPACING,
    STEPS,
    UNIT,
    flow_from_nodes,
    hat_weights,
    lattice_shape,
    predict,
    refine,
)
from codec_lib.codecs.conditional.motion_coding import MotionCoder, MotionFit, walk
from codec_lib.codecs.conditional.motion_search import (
    ENLARGED,
    Matcher,
    adjust,
    enlarged,
    rough_bits,
    search,
    search_each,
)
from codec_lib.entropy.coder import Decoder, Encoder


def smooth_luma(height, width, seed=0):
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.random((1, 1, height // 8, width // 8), np.float32))
    return 255 * torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic")[0, 0].clamp(0, 1).numpy()


@pytest.fixture(scope="module")
def fields():
    """Smooth fields with detail here and there, as if of one clip: (T, levels, 2, R, C)."""
    rng = np.random.default_rng(1)
    coarse = rng.normal(0, 12, (6, 4, 2, 5, 6))
    made = []
    for t in range(6):
        made.append([refine(refine(np.rint(c).astype(np.int16)))[:, :17, :17] for c in coarse[t // 2]])
    made = np.array(made)
    return made + (rng.random(made.shape) < 0.03) * rng.integers(-5, 6, made.shape).astype(np.int16)


def fitted(fields):
    """A coder with the statistics of fields (T, levels, 2, R, C)."""
    fit = MotionFit()
    for t, levels in enumerate(fields):
        for level, field in enumerate(levels):
            fit.add(field, level, fields[t - 1, level] if t else None)
    return fit.coder()


@pytest.mark.parametrize("size", [(64, 64), (256, 448), (128, 64)])
def test_every_node_belongs_to_one_step(size):
    count = np.zeros(lattice_shape(*size), int)
    for step in STEPS:
        for rows, columns in step.slices:
            count[rows, columns] += 1
    assert (count == 1).all()


def test_prediction_uses_earlier_steps_only():
    shape = lattice_shape(128, 192)
    known = np.zeros(shape, bool)
    known[:: 64 // SPACING, :: 64 // SPACING] = True
    for step in STEPS[1:]:
        field = np.where(known, 5, 1000)[None].repeat(2, 0)
        for (rows, columns), value in zip(step.slices, predict(field, step), strict=True):
            assert (value == 5).all() and not known[rows, columns].any()
        for rows, columns in step.slices:
            known[rows, columns] = True
    assert known.all()


def test_prediction_rounds_the_mean_half_up():
    nodes = np.zeros((2, 9, 9), int)
    nodes[:, 0, 0], nodes[0, 0, 8], nodes[1, 0, 8] = 1, 1, -3
    assert predict(nodes, STEPS[1])[0][:, 0, 0].tolist() == [1, 0]  # 2 / 4 and -2 / 4, both half up


def test_flow_is_bilinear_between_nodes():
    rng = np.random.default_rng(0)
    nodes = rng.integers(-40, 40, (1, 2, 9, 9))
    flow = flow_from_nodes(torch.from_numpy(nodes))[0].numpy()
    for y, x in ((0, 0), (8, 16), (13, 5), (63, 63)):
        i, j, v, w = y // 8, x // 8, y % 8 / 8, x % 8 / 8
        i1, j1 = min(i + 1, 8), min(j + 1, 8)
        n = nodes[0]
        expected = (1 - v) * ((1 - w) * n[:, i, j] + w * n[:, i, j1]) + v * ((1 - w) * n[:, i1, j] + w * n[:, i1, j1])
        assert np.allclose(flow[:, y, x], expected / UNIT, atol=1e-5)
    assert np.allclose(hat_weights(64).sum(1), 1)


def test_predictions_continue_an_affine_flow():
    i, j = np.mgrid[0:5, 0:7]
    coarse = np.stack([8 * i - 12 * j + 4, 20 * j + 4 * i])  # a zoom and turn
    i, j = np.mgrid[0:9, 0:13]
    expected = np.stack([4 * i - 6 * j + 4, 10 * j + 2 * i])
    assert np.array_equal(refine(coarse)[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])  # at borders three neighbours pull inwards


def test_matcher_agrees_with_a_plain_sum():
    current, reference = smooth_luma(64, 64), smooth_luma(64, 64, seed=1)
    nodes = np.random.default_rng(0).integers(-12, 12, (2, 9, 9))
    flow = flow_from_nodes(torch.from_numpy(nodes)[None])[0].numpy()
    found, r = Matcher(current, reference, 8).error(nodes), enlarged(reference).astype(float)
    for i, j in ((0, 0), (3, 5), (8, 8)):
        total = 0.0
        for y in range(max(0, 8 * i - 8), min(64, 8 * i + 8)):
            for x in range(max(0, 8 * j - 8), min(64, 8 * j + 8)):
                px, py = (np.clip(ENLARGED * (at + f) + 1.5, 0, 255) for at, f in zip((x, y), flow[:, y, x], strict=True))
                x0, y0 = int(px), int(py)
                x1, y1, w, v = min(x0 + 1, 255), min(y0 + 1, 255), px - x0, py - y0
                value = (1 - v) * ((1 - w) * r[y0, x0] + w * r[y0, x1]) + v * ((1 - w) * r[y1, x0] + w * r[y1, x1])
                total += (value - current[y, x]) ** 2
        assert found[i, j] == pytest.approx(total, rel=0.03)  # OpenCV interpolates in steps of 1/32 and rounds to 8 bits


def test_search_finds_a_translation():
    picture = smooth_luma(192, 192)
    current, reference = picture[32:160, 32:160], picture[29:157, 26:154]  # current(p) = reference(p + (6, 3))
    field = search(current, reference, 400.0)
    assert field.dtype == np.int16 and field.shape == (2, 17, 17)
    inside = field[:, 4:-4, 4:-4]
    assert np.abs(inside - np.array([6 * UNIT, 3 * UNIT])[:, None, None]).max() <= 1


def test_dearer_bits_give_smoother_fields():
    rng = np.random.default_rng(0)
    current = smooth_luma(128, 128) + rng.normal(0, 8, (128, 128)).astype(np.float32)
    reference = smooth_luma(128, 128) + rng.normal(0, 8, (128, 128)).astype(np.float32)
    fields = search_each(current, reference, (2500.0, 570.0, 130.0, 30.0))
    rough = [np.abs(np.diff(f, axis=1)).sum() + np.abs(np.diff(f, axis=2)).sum() for f in fields]
    assert rough[0] <= rough[1] < rough[2] < rough[3]


def test_adjusting_without_a_price_never_makes_the_error_larger():
    current, reference = smooth_luma(64, 64), smooth_luma(64, 64, seed=3)
    matcher, start = Matcher(current, reference, 16), np.zeros((2, 5, 5), np.int16)
    found = adjust(matcher, 0.0, start, (4, 2, 1), [])
    assert matcher.error(found).sum() < matcher.error(start).sum()


def test_rough_bits_are_zero_for_predictions_only():
    nodes = refine(refine(refine(np.full((2, 3, 4), 7, np.int16))))
    assert rough_bits(nodes, 8).max() == 0
    nodes[0, 3, 3] += 4
    assert rough_bits(nodes, 8)[3, 3] > 0 and rough_bits(nodes, 8)[12, 12] == 0


@pytest.mark.parametrize("with_previous", [False, True])
def test_fields_come_back(fields, with_previous):
    coder = fitted(fields)
    encoder = Encoder()
    for t in range(len(fields)):
        coder.encode(encoder, fields[t, 1], 1, fields[t - 1, 1] if t and with_previous else None)
    decoder, previous = Decoder(encoder.finish()), None
    for t in range(len(fields)):
        found = coder.decode(decoder, 1, previous, 128, 128)
        assert np.array_equal(found, fields[t, 1])
        previous = found if with_previous else None
    decoder.check_exhausted()


def test_wild_fields_come_back_too(fields):
    coder = fitted(fields)
    wild = np.random.default_rng(5).integers(-REACH, REACH + 1, (2, 9, 9)).astype(np.int16)
    encoder = Encoder()
    coder.encode(encoder, wild, 0, fields[0, 0][:, :9, :9])
    assert np.array_equal(coder.decode(Decoder(encoder.finish()), 0, fields[0, 0][:, :9, :9], 64, 64), wild)


def test_bits_are_those_of_the_file(fields):
    coder = fitted(fields)
    encoder = Encoder()
    coder.encode(encoder, fields[0, 2], 2, None)
    assert coder.bits(fields[0, 2], 2, None) == pytest.approx(8 * len(encoder.finish()), abs=16)


def test_statistics_and_the_frame_before_save_bits(fields):
    coder, untrained = fitted(fields), fitted(np.zeros((1, 4, 2, 9, 9), np.int16))
    trained_bits = sum(coder.bits(fields[t, 0], 0, fields[t - 1, 0]) for t in range(1, 6))
    assert trained_bits < 0.8 * sum(untrained.bits(fields[t, 0], 0, fields[t - 1, 0]) for t in range(1, 6))
    assert trained_bits < sum(coder.bits(fields[t, 0], 0, None) for t in range(1, 6))


def test_every_context_is_in_range(fields):
    seen = []

    def exchange(symbols, contexts):
        seen.append(contexts)
        return symbols

    for level in range(4):
        for previous in (None, fields[0, level]):
            walk(exchange, level, previous, fields.shape[-2:], fields[1, level])
    seen = np.concatenate(seen)
    assert 0 <= seen.min() and seen.max() < motion_coding.N_CONTEXTS and len(np.unique(seen)) > 100


def test_statistics_travel_in_arrays(fields):
    coder = fitted(fields)
    again = MotionCoder.from_arrays(coder.to_arrays())
    assert again.bits(fields[0, 0], 0, None) == coder.bits(fields[0, 0], 0, None)
    with pytest.raises(ValueError, match="contexts"):
        MotionCoder(coder.class_of[:-1], coder.tables)
