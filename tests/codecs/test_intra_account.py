"""Where the bytes of an intra stream go: symbols and classes as they were coded, parts that sum to the file."""

import numpy as np
import pytest
from tiny_intra import noise_video, tiny_codec

from codec_lib.codecs.intra.account import HYPER, STEPS, account, beyond_border, bits_of, symbols_of
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import read_header, read_stream, write_stream
from codec_lib.entropy.priors import dual_masks
from codec_lib.errors import BitstreamError
from codec_lib.experiments.golden import golden

ROUNDING = 0.0057  # bits that a symbol can lose to the coder's integers (codec_lib.entropy.coder)


def test_symbols_and_classes_are_those_that_were_coded():
    codec, video = tiny_codec(), noise_video(5, 70, 130)
    z, y, classes = codec.latents(video.frames, 9)
    found = symbols_of(codec, codec.encode(video, 9))
    assert np.array_equal(found.z, z) and np.array_equal(found.y, y)
    assert np.array_equal(found.y_classes, classes)
    assert all(part.dtype == np.int32 for part in found)
    assert found.z.shape == found.z_classes.shape and found.y.shape == found.y_means.shape


@pytest.mark.parametrize(("frames", "size"), [(1, (1, 1)), (3, (64, 64)), (6, (70, 130))])
def test_parts_sum_to_the_file_exactly(frames, size):
    codec = tiny_codec()
    stream = codec.encode(noise_video(frames, *size), 7)
    parts = account(codec, stream)
    assert sum(parts.bits().values()) == 8 * len(stream)
    assert list(parts.bits()) == ["header", "packet framing", HYPER, *STEPS, "ending"]
    _, packets = read_stream(stream)
    symbols = symbols_of(codec, stream)
    assert 0 <= parts.ending <= 8.01 * len(packets) + ROUNDING * (symbols.z.size + 3 * symbols.y.size)


def test_bits_of_symbols_are_split_by_the_masks_of_the_prior():
    codec = tiny_codec()
    stream = codec.encode(noise_video(2), 12)
    symbols, parts = symbols_of(codec, stream), account(codec, stream)
    z_bits, y_bits = bits_of(codec, symbols)
    assert z_bits.shape == symbols.z.shape and y_bits.shape == symbols.y.shape and min(z_bits.min(), y_bits.min()) >= 0
    assert parts.coded[HYPER] == pytest.approx(z_bits.sum(), abs=0.01)
    for name, mask in zip(STEPS, dual_masks(*symbols.y.shape[1:]), strict=True):
        assert parts.coded[name] == pytest.approx(y_bits[:, mask[0].numpy()].sum(), abs=0.01)


def test_positions_beyond_the_border_are_those_that_no_pixel_needs():
    header = read_header(tiny_codec().encode(noise_video(1, 70, 50), 3))  # padded to 128 x 64
    beyond = beyond_border(header, (8, 4))
    assert beyond.sum() == 8 * 4 - 5 * 4  # rows 0 to 4 hold pixels 0 to 79
    assert not beyond[:5].any() and beyond[5:].all()


def test_a_damaged_stream_has_no_account():
    codec = tiny_codec()
    header, packets = read_stream(codec.encode(noise_video(2), 2))
    packets[1] = type(packets[1])(packets[1].payload, packets[1].digest ^ 1)
    with pytest.raises(BitstreamError, match="packet 1"):
        account(codec, write_stream(header, packets))


@pytest.mark.parametrize("stream", [g for g in golden() if g.codec == "intra"], ids=lambda g: g.path.stem)
def test_golden_streams_are_accounted_for(stream):
    data = stream.path.read_bytes()
    codec = load_codec(stream.codec, profile=stream.profile)
    parts = account(codec, data)
    assert sum(parts.bits().values()) == 8 * len(data)
    _, packets = read_stream(data)
    symbols = symbols_of(codec, data)
    assert 0 <= parts.ending <= 8.01 * len(packets) + ROUNDING * (symbols.z.size + symbols.y.size)
    if len(data) < 4000:  # few symbols, little rounding
        assert parts.ending <= 10 * len(packets)
