"""The conditional codec: streams of any size, exact priors, what the encoder decides frame by frame."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from tiny_conditional import TINY, moving_video, tiny_codec, tiny_model, tiny_motion
from tiny_intra import tiny_codec as tiny_intra_codec

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.config import CODINGS, ConditionalConfig
from codec_lib.codecs.conditional.context import MARGIN, moving
from codec_lib.codecs.conditional.entropy_path import Earlier, FloatEntropy, IntegerEntropy
from codec_lib.codecs.conditional.export import load_parts, round_as_shipped, save_parts
from codec_lib.codecs.conditional.fit import fit_tables
from codec_lib.codecs.conditional.lattice import flow_from_nodes
from codec_lib.codecs.conditional.model import ConditionalModel, Reference
from codec_lib.codecs.conditional.motion_coding import MotionFit
from codec_lib.codecs.conditional.prior import shift_cells, unevenness
from codec_lib.codecs.conditional.structure import Structure, stillness
from codec_lib.codecs.conditional.wear import Wear
from codec_lib.entropy.container import Packet, latent_digest, read_header, read_stream, write_stream
from codec_lib.entropy.fit import initial_tables
from codec_lib.entropy.integer import set_quantise
from codec_lib.errors import BitstreamError, UsageError
from codec_lib.layers.blocks import relative
from codec_lib.video.clip import Video
from codec_lib.video.padding import pad_to_multiple


def kinds(stream):
    return "".join("I" if p.payload[0] & 0x80 else "P" for p in read_stream(stream)[1])


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 63), (70, 130)])
@pytest.mark.parametrize("frames", [1, 4])
def test_any_size_and_length_comes_back(size, frames):
    codec, video = tiny_codec(), moving_video(frames, *size)
    stream = codec.encode(video, 7)
    decoded = codec.decode(stream)
    assert decoded.frames.shape == video.frames.shape and decoded.fps == video.fps
    header = read_header(stream)
    assert (header.codec, header.quality, header.frames) == ("conditional", 7, frames)
    assert kinds(stream) == "I" + "P" * (frames - 1)


@pytest.mark.parametrize("path", ["integer", "float"])
def test_decoder_finds_the_encoders_symbols_and_frames(path):
    codec, video = tiny_codec(path), moving_video(4)
    coded = list(codec.code(video, 9))
    stream = codec.encode(video, 9)
    header, packets = read_stream(stream)
    found = list(codec._read(header, packets))
    for a, b in zip(coded, found, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.symbols, b.symbols, strict=True))
        assert torch.equal(a.state.frame, b.state.frame)
    assert [len(c.symbols) for c in coded] == [2, 3, 3, 3]
    assert all(len(np.unique(s)) > 3 for c in coded for s in c.symbols)
    assert header.flags == (0 if path == "integer" else 1)
    assert torch.equal(codec.decode(stream).frames, torch.cat([c.state.frame for c in coded])[..., :70, :90])


def test_trained_form_and_shipped_form_say_the_same():
    model = tiny_model()
    model.quantise = True
    set_quantise(model.entropy, True)
    shipped, e = IntegerEntropy(TINY, model.entropy), model.entropy
    z = torch.randint(-9, 10, (2, TINY.z_channels, 2, 3)).float()
    y16 = torch.randint(-300, 300, (2, 32, 8, 12)).float()
    nodes = torch.randint(-90, 90, (2, 2, 17, 25))
    memory = torch.randint(-127, 128, (2, TINY.prior_features, 8, 12)).float()
    for features, quality, before in ((None, 5, 7), (memory, 15, 0), (memory, 9, 10)):
        u, u_ref = relative(quality, TINY).expand(2), relative(before, TINY).expand(2)
        with torch.no_grad():
            real = None if features is None else features / 16
            trained = e.features(z, y16 / 16, real, nodes, u, u_ref, True)
            assert torch.equal(16 * trained, shipped.features(z, Earlier(y16, features is None, before, features), nodes, quality))


def test_training_can_go_on_from_shipped_integers():
    shipped = IntegerEntropy(TINY, tiny_model().entropy)
    again = IntegerEntropy(TINY, shipped.trainable(TINY))
    z, y16 = torch.randint(-9, 10, (1, TINY.z_channels, 2, 3)).float(), torch.randint(-300, 300, (1, 32, 8, 12)).float()
    nodes = torch.randint(-90, 90, (1, 2, 17, 25))
    for features in (None, torch.randint(-127, 128, (1, TINY.prior_features, 8, 12)).float()):
        a, b = (e.features(z, Earlier(y16, features is None, 5, features), nodes, 5) for e in (shipped, again))
        assert (a - b).abs().max() <= 1 and (a - b).abs().mean() < 0.1
        (mean_a, class_a), (mean_b, class_b) = shipped.step_2(a, y16), again.step_2(a, y16)
        assert (mean_a - mean_b).abs().max() <= 1 and (class_a - class_b).abs().max() <= 1
    assert torch.equal(shipped.z_class_table[::5], again.z_class_table[::5])


def test_the_float_twin_says_nearly_the_same_and_is_no_integer_network():
    integer, twin = (c(TINY, tiny_model().entropy) for c in (IntegerEntropy, FloatEntropy))
    z, y16 = torch.randint(-9, 10, (1, TINY.z_channels, 2, 3)).float(), torch.randint(-300, 300, (1, 32, 8, 12)).float()
    nodes = torch.randint(-90, 90, (1, 2, 17, 25))
    exact, real = (e.features(z, Earlier(y16, True, 5), nodes, 5) for e in (integer, twin))
    assert torch.equal(exact, exact.round()) and not torch.equal(real, real.round())
    assert (exact - real).abs().max() < 4
    mean, scale_class = twin.step_1(real)
    assert torch.equal(mean, mean.round()) and torch.equal(scale_class, scale_class.round())
    assert (mean - integer.step_1(exact)[0]).abs().float().mean() < 3
    assert integer.portable and not twin.portable


def test_the_prior_follows_the_motion():
    latent = torch.arange(4 * 5, dtype=torch.float32).reshape(1, 1, 4, 5)
    nodes = torch.zeros(1, 2, 9, 11, dtype=torch.int64)
    nodes[:, 0], nodes[:, 1] = 140, -66  # one cell to the right, one up: -66 is nearer to -128 than to 0
    moved = shift_cells(latent, nodes)[0, 0]
    for i in range(4):
        for j in range(5):
            assert moved[i, j] == latent[0, 0, max(i - 1, 0), min(j + 1, 4)]
    nodes[:, 1] = -32  # halfway counts as none
    assert torch.equal(shift_cells(latent, nodes)[0, 0, :, 0], latent[0, 0, :, 1])


def test_unevenness_is_the_range_around_a_cell():
    nodes = torch.randint(-60, 60, (1, 2, 9, 11))
    found = unevenness(nodes)
    for i in range(4):
        for j in range(5):
            around = nodes[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].flatten(1)
            assert found[0, :, i, j].tolist() == (around.amax(1) - around.amin(1)).clamp(max=127).tolist()


@pytest.mark.parametrize("coding", CODINGS)
def test_what_the_contexts_reach(coding):
    model = tiny_model(coding=coding)
    x, u = torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    reference = Reference(torch.rand(1, 3, 64, 64), None, torch.zeros(1, 32, 4, 4), u)
    nodes = torch.zeros(1, 2, 9, 9, dtype=torch.int64)
    with torch.no_grad():
        contexts = model.context(reference.x_hat, None, flow_from_nodes(nodes), u, u)
        changed = contexts._replace(c1=contexts.c1 + 1)
        same = torch.equal(model.g_a(x, contexts, u), model.g_a(x, changed, u))
        assert same == (coding == "residual")  # residual coding sees the prediction alone
        assert model(x, reference, nodes, u).reference.x_hat.shape == x.shape


def test_training_begins_as_if_there_were_no_contexts():
    torch.manual_seed(0)
    model, u = ConditionalModel(TINY), torch.tensor([0.5])
    x, y_hat = torch.rand(1, 3, 64, 64), torch.randn(1, TINY.y_channels, 4, 4)
    with torch.no_grad():
        contexts = model.context(torch.rand(1, 3, 64, 64), None, torch.zeros(1, 2, 64, 64), u, u)
        other = contexts._replace(c0=-contexts.c0, c1=contexts.c1 + 1, c2=2 * contexts.c2)
        assert torch.equal(model.g_a(x, contexts, u), model.g_a(x, other, u))
        assert torch.equal(model.g_s(y_hat, contexts, u)[0], model.g_s(y_hat, other, u)[0])


def test_coding_a_difference_with_contexts_begins_as_residual_coding():
    x, x_bar, u = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    latents, features = [], []
    for coding in ("residual", "difference"):
        torch.manual_seed(0)
        model = ConditionalModel(replace(TINY, coding=coding))
        torch.manual_seed(1)
        torch.nn.init.normal_(model.g_a.head.weight)  # the deep part begins at zero
        with torch.no_grad():
            contexts = model.context(x_bar, None, torch.zeros(1, 2, 64, 64), u, u)
            latents.append(model.g_a(x, contexts, u))
            features.append(model.g_s(latents[-1], contexts, u)[1])
    assert torch.equal(*latents) and torch.equal(*features)


def test_where_nothing_moves_and_nothing_is_sent_a_coder_of_differences_keeps_the_prediction():
    model, u = tiny_model(coding="difference"), torch.tensor([0.5])
    x_bar, y_hat = torch.rand(1, 3, 128, 128), torch.zeros(1, TINY.y_channels, 8, 8)
    flow = torch.zeros(1, 2, 128, 128)
    flow[..., :16] = 3.0
    y_hat[0, 0, 6, 6] = 1
    with torch.no_grad():
        contexts = model.context(x_bar, None, flow, u, u)
        changed = (model.g_s(y_hat, contexts, u)[0] != contexts.x_bar).any(dim=1)[0]
    assert changed[:, :16].any() and changed[80:, 80:].any()
    by_hand = torch.zeros(128, 128, dtype=torch.bool)
    by_hand[:, : 16 + MARGIN] = True  # around what moves, in whole squares of the folded pixels
    by_hand[80:, 80:] = True  # the cell of which something was sent, and those around it
    assert not changed[~by_hand].any()


def test_an_unknown_coding_is_refused():
    with pytest.raises(UsageError, match="coding 'magic' does not exist"):
        ConditionalConfig(coding="magic")


def test_residual_coding_starts_as_a_transform_of_the_difference():
    torch.manual_seed(0)
    model = tiny_model(coding="residual")
    torch.nn.init.zeros_(model.g_a.head.weight)
    x, u = torch.rand(1, 3, 64, 64), torch.tensor([0.3])
    reference = Reference(x, None, torch.zeros(1, 32, 4, 4), u)
    torch.nn.init.zeros_(model.context.tail.weight)
    with torch.no_grad():
        contexts = model.context(x, None, torch.zeros(1, 2, 64, 64), u, u)
        assert model.g_a(reference.x_hat, contexts, u).abs().max() < 1e-3  # a perfect prediction leaves nothing to send


def test_qualities_follow_the_structure():
    structure = Structure(intra_period=3, intra_offset=4, offsets=(0, 2, -1), cut=math.inf)
    stream = tiny_codec(structure=structure).encode(moving_video(7), 9)
    assert kinds(stream) == "IPPIPPI"
    assert [p.payload[0] & 0x3F for p in read_stream(stream)[1]] == [13, 11, 8, 13, 11, 8, 13]
    assert [Structure(intra_offset=9).quality(0, q, True, 15) for q in (0, 15)] == [9, 15]
    sloped = Structure(intra_offset=5, intra_slope=0.5, still_offset=4)
    assert [sloped.quality(0, q, True, 63) for q in (0, 20, 60)] == [5, 15, 35]
    assert sloped.quality(0, 20, True, 63, still=1.0) == 19 and sloped.quality(1, 20, False, 63) == 20


def test_a_cut_of_scene_becomes_an_i_frame():
    a, b = moving_video(3), moving_video(3, seed=9)
    video = replace(a, frames=torch.cat([a.frames, 255 - b.frames]))
    assert kinds(tiny_codec(structure=Structure(cut=0.5)).encode(video, 9)) == "IPPIPP"


def test_an_i_frame_is_due_when_the_rent_has_come_to_its_price():
    wear = Wear(refresh=2.0, lam=4.0)
    assert not wear.enough
    wear.see(0.1, 0.3, True)
    due = []
    for lack in (0.2, 0.05, 0.25, 0.1, 0.3):  # rents of twice 0.1, 0, 0.15, 0, 0.2; the price is twice 0.3
        wear.see(lack, 0.01, False)
        due.append(wear.enough)
    assert due == [False, False, False, False, True]
    assert [wear.pays(left) for left in (0, 1, 2, 3)] == [False, False, True, True]  # 0.4 a frame, of 0.6
    wear.see(0.1, 0.3, True)
    assert not wear.enough and not Wear(math.inf, 1.0).enough


def test_i_frames_are_sent_again_where_p_frames_lack_much():
    video = moving_video(7)
    found = {refresh: kinds(tiny_codec(structure=Structure(refresh=refresh, cut=math.inf)).encode(video, 9)) for refresh in
             (1e-9, math.inf)}
    assert found[math.inf] == "IPPPPPP" and found[1e-9].count("I") > 1
    codec = tiny_codec(structure=Structure(cut=math.inf))
    state = next(codec.code(video, 9)).state
    frame = pad_to_multiple(video.frames[:1], codec.config.stride)[0]
    wanted, seen = (codec.context.space.signal(f.float() / 255) for f in (frame, state.frame))
    share = (seen - wanted).pow(2).mean() / wanted.var(dim=(2, 3)).mean()
    assert codec._lack(frame, state) == pytest.approx(share.item(), rel=1e-4)


@pytest.mark.parametrize("wrong", [{"intra_period": -1}, {"cut": 0}, {"refresh": 0}, {"cut": math.nan}, {"offsets": ()}, {"intra_slope": -1.0}])
def test_impossible_structures_are_refused(wrong):
    with pytest.raises(UsageError, match="must be"):
        Structure(**wrong)


def repacked(stream, change):
    """The stream with packets changed by ``change`` and all checksums right."""
    header, packets = read_stream(stream)
    return write_stream(header, change(packets))


def test_packets_that_no_encoder_writes_are_named():
    codec = tiny_codec()
    stream = codec.encode(moving_video(3), 9)
    for change, message in (
        (lambda p: [p[1], *p[1:]], "packet 0 refers to a frame before the first"),
        (lambda p: [p[0], Packet(b"", 0), p[2]], "packet 1 is empty"),
        (lambda p: [p[0], Packet(b"\x40" + p[1].payload[1:], p[1].digest), p[2]], "packet 1 begins with 0x40"),
        (lambda p: [p[0], Packet(b"\x3f" + p[1].payload[1:], p[1].digest), p[2]], "packet 1 begins with 0x3f"),
        (lambda p: [p[0], Packet(p[1].payload[:9], p[1].digest), p[2]], "packet 1"),
        (lambda p: [p[0], p[2], p[1]], "packet 1"),
    ):
        with pytest.raises(BitstreamError, match=message):
            codec.decode(repacked(stream, change))


def test_frames_before_a_damaged_packet_are_saved():
    codec = tiny_codec()
    stream = codec.encode(moving_video(5), 9)
    whole = codec.decode(stream).frames
    start = stream.index(read_stream(stream)[1][3].payload)
    damaged = stream[: start + 5] + bytes([stream[start + 5] ^ 1]) + stream[start + 6 :]
    with pytest.raises(BitstreamError, match="packet 3"):
        codec.decode(damaged)
    assert torch.equal(codec.decode(damaged, salvaged=True).frames, whole[:3])


def test_file_bits_stay_close_to_the_information():
    codec, video = tiny_codec(), moving_video(4, 128, 192)
    bits, previous = 0.0, None
    for coded in codec.code(video, 12):
        if coded.state.motion is None:
            bits += 8 * (len(coded.payload) - 1)
        else:
            bits += codec.motion.bits(coded.symbols[0], 3, previous)
            bits += sum(codec.tables.bits(s.ravel(), c.ravel()) for s, c in zip(coded.symbols[1:], coded.classes, strict=True))
        previous = coded.state.motion
    size = 8 * len(codec.encode(video, 12))
    assert bits <= size <= 1.005 * bits + 64 * 8


def test_channel_order_in_memory_changes_no_symbol():
    stream = tiny_codec().encode(moving_video(4), 3)
    assert len({tiny_codec(channels_last=c).symbols_sha256(stream) for c in (True, False)}) == 1


def test_fitted_tables_do_not_cost_more_than_gaussian_ones():
    clips = [moving_video(3, 128, 128, seed=s) for s in range(3)]
    fitted, motion = fit_tables(tiny_model(), tiny_intra_codec(), clips, range(TINY.n_qualities))
    coded = [c for v in clips for c in tiny_codec().code(v, 8) if c.classes]
    pairs = [(c.symbols[2].ravel(), c.classes[1].ravel()) for c in coded]
    assert sum(fitted.bits(*p) for p in pairs) < sum(initial_tables().bits(*p) for p in pairs)
    fields = [c.symbols[0] for c in coded]
    assert sum(motion.bits(f, 2, None) for f in fields) < sum(MotionFit().coder().bits(f, 2, None) for f in fields)


def test_checkpoint_round_trip_gives_the_same_streams(tmp_path):
    model, video = tiny_model(), moving_video(3)
    round_as_shipped(model)
    path = tmp_path / "conditional-tiny.safetensors"
    digest = save_parts(path, model, initial_tables(), tiny_motion(), "01020304")
    for kind in ("integer", "float"):
        parts = load_parts(path, kind)
        assert parts.digest.hex() == digest[:8] and parts.intra == "01020304"
        codec = ConditionalCodec(parts.model, parts.entropy, parts.tables, parts.motion, tiny_intra_codec(kind), parts.digest,
                                 structure=Structure(cut=math.inf))
        stream = codec.encode(video, 6)
        decoded = [c.symbols for c in codec._read(*read_stream(stream))]
        again = [latent_digest(*s) for s in decoded]
        assert again == [p.digest for p in read_stream(stream)[1]]
        if kind == "integer":
            entropy = IntegerEntropy(TINY, model.entropy)
            fresh = ConditionalCodec(model, entropy, initial_tables(), tiny_motion(), tiny_intra_codec(), parts.digest,
                                     structure=Structure(cut=math.inf))
            assert fresh.encode(video, 6) == stream


def test_predictions_are_corrected_around_what_moves_only():
    model, u = tiny_model(), torch.tensor([0.5])
    x, flow = torch.rand(1, 3, 64, 128), torch.zeros(1, 2, 64, 128)
    flow[:, 0, :, 96:] = 0.5
    with torch.no_grad():
        model.context.tail.weight.mul_(30)
        x_bar = model.context(x, None, flow, u, u).x_bar
    assert torch.allclose(x_bar[..., :90], x[..., :90], atol=5e-4)  # the spline gives back what it goes through
    assert not torch.allclose(x_bar[..., 92:96], x[..., 92:96], atol=5e-3)
    assert moving(flow)[0, 0, 0].tolist() == [0.0] * 92 + [1.0] * 36 and moving(flow, 8)[0, 0, 0].tolist() == [0.0] * 11 + [1.0] * 5


def test_stillness_is_the_share_of_cells_that_hardly_change():
    frame = torch.randint(0, 200, (3, 40, 64), dtype=torch.uint8)
    after = frame.clone()
    assert stillness(frame, after) == 1
    after[:, :, 32:] += 3
    assert stillness(frame, after) == 0.5
    after = frame.clone()
    after[:, 32:, :16] += 20  # a cell at the border, half as high
    assert stillness(frame, after) == pytest.approx(11 / 12)


def test_i_frames_before_still_frames_are_better():
    picture = moving_video(1).frames
    still = Video(picture.repeat(2, 1, 1, 1), Fraction(25), "still")
    qualities = [read_stream(tiny_codec(structure=Structure(intra_offset=2, still_offset=5, cut=math.inf)).encode(v, 3))[1][0].payload[0]
                 & 0x3F for v in (still, moving_video(2, step=(9, 9)), moving_video(1))]
    assert qualities == [10, 5, 5]
