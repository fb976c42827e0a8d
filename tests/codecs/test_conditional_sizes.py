"""The conditional codec in its sizes and with its choices: lab stays as trained, all that may be chosen runs."""

import hashlib
import itertools
from dataclasses import asdict, replace

import pytest
import torch
from tiny_conditional import TINY, tiny_model
from tiny_paper import TINY_PAPER, tiny_paper_model

from codec_lib.checkpoint import config_from
from codec_lib.codecs.conditional.config import CHOICES, ConditionalConfig
from codec_lib.codecs.conditional.context import Contexts
from codec_lib.codecs.conditional.contextual import ContextualDecoder
from codec_lib.codecs.conditional.model import ConditionalModel, Reference
from codec_lib.codecs.conditional.profiles import LAB, PAPER, profile_config, require_profile, with_options
from codec_lib.errors import UsageError


def on_meta(config):
    with torch.device("meta"):
        return ConditionalModel(config)


def names_and_shapes(model):
    return hashlib.sha256("\n".join(f"{n} {tuple(t.shape)}" for n, t in model.state_dict().items()).encode()).hexdigest()


def size(*modules):
    return sum(p.numel() for m in modules for p in m.parameters())


def reference(config, size=(64, 64), n=1, seed=0):
    random = torch.Generator().manual_seed(seed)
    channels = config.intra_channels
    return Reference(torch.rand(n, 3, *size, generator=random), None, torch.zeros(n, channels, size[0] // 16, size[1] // 16),
                     torch.full((n,), 0.6))


def test_the_lab_profile_keeps_the_names_and_shapes_of_its_checkpoint():
    model = on_meta(LAB)
    assert names_and_shapes(model) == "de0f4c6f01ce2208ff0435f671c369ef26bb3285ca0e102da2387141fc6443cf"
    assert size(model) == 10_617_248


@pytest.mark.parametrize("profile, expected", [
    ("lab-residual", 10_447_264),
    ("lab-conditional", 10_617_248),
    ("lab-difference", 10_617_248),
    ("lab-context", 11_576_160),
    ("lab-difference-context", 11_576_160),
])
def test_networks_that_are_compared_are_not_equally_large(profile, expected):
    assert size(on_meta(profile_config(profile))) == expected


def test_the_wide_residual_network_is_as_large_as_the_one_it_is_compared_with():
    residual, rival = (size(on_meta(profile_config(p))) for p in ("wide-residual", "lab-difference-context"))
    assert residual == 11_608_768
    assert 0 <= residual / rival - 1 < 0.003  # what is left is in favour of residual coding


@pytest.mark.parametrize("coding", ["residual", "difference", "both"])
def test_the_mask_keeps_the_deep_part_from_what_stands_still(coding):
    config = replace(TINY, coding=coding, mask=True)
    torch.manual_seed(0)
    decoder, plain = ContextualDecoder(config).eval(), ContextualDecoder(replace(config, mask=False)).eval()
    torch.nn.init.normal_(decoder.tail.weight, std=0.1)
    plain.load_state_dict(decoder.state_dict())
    x_bar = torch.rand(1, 3, 64, 64)
    scales = [torch.rand(1, c, 64 // s, 64 // s) for c, s in zip(config.widths, config.scales, strict=True)]
    still = Contexts(x_bar, *scales, torch.zeros(1, 1, 64, 64))
    nothing, u = torch.zeros(1, config.y_channels, 4, 4), torch.tensor([0.5])
    with torch.no_grad():
        assert torch.equal(decoder(nothing, still, u)[0], x_bar)
        moved = still._replace(moves=torch.ones(1, 1, 64, 64))
        assert torch.equal(decoder(nothing, moved, u)[0], plain(nothing, moved, u)[0])
        assert torch.equal(plain(nothing, still, u)[0], x_bar) == (coding == "difference")


@pytest.mark.parametrize("coding, expected", [
    ("both", (0.503193, 5406.22, 25.3717)),
    ("residual", (0.500428, 4919.93, 24.9796)),
    ("conditional", (0.506566, 4778.56, 17.5616)),
    ("difference", (0.503929, 5379.23, 25.6657)),
])
def test_a_seeded_lab_model_codes_as_it_did(coding, expected):
    """Figures of the commit in which a network with contexts came to start as the one without; another processor may round a latent
    or two to other integers."""
    model = tiny_model(coding=coding)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    nodes = torch.randint(-30, 30, (1, 2, 9, 9), generator=torch.Generator().manual_seed(2))
    torch.manual_seed(3)
    with torch.no_grad():
        first = model(x, reference(TINY), nodes, torch.tensor([0.4]))
        coded = model(x, first.reference, nodes, torch.tensor([0.4]))
    found = (coded.reference.x_hat.mean().item(), coded.bits_y.item(), coded.bits_z.item())
    assert found == pytest.approx(expected, rel=2e-3)


def test_a_checkpoint_from_before_the_paper_size_is_the_lab_profile():
    old = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(LAB).items()}
    old = {k: old[k] for k in list(old)[: list(old).index("fold")]}
    assert config_from(ConditionalConfig, old) == LAB
    assert config_from(ConditionalConfig, {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(PAPER).items()}) == PAPER


def test_scales_of_the_paper_profile():
    assert PAPER.scales == (1, 2, 4) and PAPER.halvings == 2 and not PAPER.portable
    assert LAB.scales == (4, 8, 16) and LAB.halvings == 0 and LAB.portable


def test_the_paper_profile_runs():
    torch.manual_seed(0)
    model = ConditionalModel(PAPER).eval()
    model.quantise = True
    x, u = torch.rand(1, 3, 64, 64), torch.tensor([0.5])
    with torch.no_grad():
        coded = model(x, reference(PAPER), None, u)
    assert coded.reference.x_hat.shape == x.shape and coded.reference.x_hat.isfinite().all()
    assert coded.reference.feature.shape == (1, 48, 64, 64) and coded.reference.y_hat.shape == (1, 128, 4, 4)
    for bits in (coded.bits_y, coded.bits_z, coded.bits_motion):
        assert bits.isfinite().all() and bits > 0


@pytest.mark.parametrize("quantise", [False, True])
def test_everything_learns_in_a_sequence(quantise):
    model = tiny_paper_model().train()
    model.quantise = quantise
    x, u = torch.rand(2, 3, 64, 128), torch.tensor([0.2, 0.9])
    left, loss = reference(TINY_PAPER, (64, 128), 2), 0
    for t in range(1, 6):
        coded = model(x, left, None, u)
        left = coded.reference
        assert left.t == t
        loss = loss + (left.x_hat - x).pow(2).mean() + (coded.bits_y + coded.bits_z + coded.bits_motion).mean() / 1e4
    loss.backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()]
    assert not without


def test_the_frames_number_chooses_the_adaptor():
    model, u = tiny_paper_model(), torch.tensor([0.5])
    feature, x, flow = torch.rand(1, 8, 64, 64), torch.rand(1, 3, 64, 64), torch.zeros(1, 2, 64, 64)
    with torch.no_grad():
        found = [model.context(x, feature, flow, u, u, t).c0 for t in range(8)]
    for t in range(8):
        for other in range(t):
            same = (0, 1, 0, 2)[t % 4] == (0, 1, 0, 2)[other % 4]
            assert torch.equal(found[t], found[other]) == same


def test_quantiser_steps_are_at_least_a_half():
    model = tiny_paper_model()
    features = 5 * torch.randn(1, 48, 4, 4)
    step = model.entropy.quant_step(features)
    assert step.min() == 0.5 and step.max() > 2
    assert torch.equal(model.entropy.quant_step(torch.zeros(1, 48, 4, 4)), torch.ones(1, 16, 4, 4))


def test_qualities_are_log_linear_between_four_anchors():
    gain = ConditionalModel(TINY_PAPER).g_a.gain
    with torch.no_grad():
        gain.log_gain.copy_(torch.tensor([1.0, 2.0, 4.0, 32.0]).log()[:, None])
    found = gain.gain(torch.arange(64) / 63)[:, 0]
    assert len(found.unique()) == 64  # every one of 64 qualities has a rate of its own
    assert torch.allclose(found[[0, 21, 42, 63]], torch.tensor([1.0, 2.0, 4.0, 32.0]), rtol=1e-4)
    assert found[52].item() == pytest.approx(4 * 8 ** (10 / 21), rel=1e-4)


@pytest.mark.parametrize("changes, message", [
    ({"motion": "learned"}, "choose motion 'lattice'"),
    ({"spatial_prior": "quadtree"}, "choose temporal_prior 'context'"),
    ({"temporal_prior": "guess"}, "temporal_prior 'guess' does not exist"),
    ({"temporal_prior": "context", "widths": (8, 16), "context_blocks": (1, 1), "analysis_blocks": (1, 1), "synthesis_blocks": (1, 1)},
     "cannot be had with 2 scales"),
    ({"synthesis_kinds": ("unet", "cake", "unet")}, "synthesis_kinds 'cake' does not exist"),
    ({"fold": 3}, "choose 1, 2 or 4"),
])
def test_what_does_not_go_together_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        replace(LAB, **changes)


def test_kinds_can_be_mixed():
    """The configuration picks parts; profiles are only two of its values."""
    config = replace(TINY, fold=2, temporal_prior="context", head_width=20, alignment="features", offset_groups=4,
                     context_kinds=("residual", "bottleneck", "narrow"), feature_adaptors=True,
                     synthesis_kinds=("unet", "narrow", "residual"), spatial_prior="quadtree", analysis_merges=("3x3",) * 3)
    model = ConditionalModel(config)
    nodes, u = torch.zeros(1, 2, 9, 9, dtype=torch.int64), torch.tensor([0.5])
    with torch.no_grad():
        coded = model(torch.rand(1, 3, 64, 64), reference(config), nodes, u)
        coded = model(torch.rand(1, 3, 64, 64), coded.reference, nodes, u)
    assert coded.reference.x_hat.shape == (1, 3, 64, 64) and coded.bits_y.isfinite().all()


@pytest.mark.parametrize("name, changes", [
    ("lab", {}),
    ("lab-context", {"temporal_prior": "context"}),
    ("lab-residual-context", {"coding": "residual", "temporal_prior": "context"}),
    ("lab-features-context-quadtree-laplace", {"alignment": "features", "temporal_prior": "context", "spatial_prior": "quadtree",
                                               "density": "laplace"}),
])
def test_a_configuration_has_one_name(name, changes):
    assert profile_config(name) == replace(LAB, **changes)
    for order in (list(changes.items()), list(changes.items())[::-1]):
        assert with_options("lab", [f"{k}={v}" for k, v in order]) == name
    assert with_options(name, [f"{k}={getattr(LAB, k)}" for k in changes]) == "lab"
    assert with_options("paper-residual", ["coding=conditional"]) == "paper"


def test_values_alone_tell_what_was_chosen():
    values = [v for known in CHOICES.values() for v in known]
    assert len(set(values)) == len(values) and not any("-" in v for v in values)


@pytest.mark.parametrize("profile, message", [
    ("huge", "choose from lab, wide, paper"),
    ("lab-fast", "names 'fast'"),
    ("lab-both", "is called 'lab'"),
    ("lab-context-residual", "is called 'lab-residual-context'"),
    ("paper-symbols", "choose temporal_prior 'context'"),
])
def test_names_that_are_none_are_refused(profile, message):
    with pytest.raises(UsageError, match=message):
        profile_config(profile)


@pytest.mark.parametrize("option, message", [
    ("coding", "write NAME=VALUE"),
    ("fold=2", "with a name from coding"),
    ("coding=none", "choose from both, conditional, difference, residual"),
    ("motion=learned", "choose motion 'lattice'"),
])
def test_options_that_cannot_be_are_refused(option, message):
    with pytest.raises(UsageError, match=message):
        with_options("lab", [option])


def test_a_checkpoint_is_taken_for_its_own_profile_only():
    config = replace(TINY, coding="residual")
    require_profile(config, "lab-residual", "file")
    with pytest.raises(UsageError, match="'file' was trained with coding 'residual', profile lab has 'both'"):
        require_profile(config, "lab", "file")


def valid_choices(size):
    """Every configuration of a size that is not refused."""
    for values in itertools.product(*CHOICES.values()):
        try:
            yield replace(size, **dict(zip(CHOICES, values, strict=True)), motion_channels=8, flow_widths=(4, 4), offset_groups=4)
        except UsageError:
            continue


@pytest.mark.parametrize("size", [TINY, TINY_PAPER], ids=["lab", "paper"])
def test_whatever_may_be_chosen_runs(size):
    configs, u = list(valid_choices(size)), torch.tensor([0.5])
    assert len(configs) == 64
    nodes, x = torch.zeros(1, 2, 9, 9, dtype=torch.int64), torch.rand(1, 3, 64, 64)
    for config in configs:
        model, left = ConditionalModel(config), reference(config)
        with torch.no_grad():
            for _ in range(2):
                coded = model(x, left, nodes, u)
                left = coded.reference
        assert left.x_hat.shape == x.shape and left.x_hat.isfinite().all(), config
        assert torch.stack([coded.bits_y, coded.bits_z, coded.bits_motion]).isfinite().all(), config
