"""E_warp, CLIP-F and FVD: against closed forms and plain references."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import torch
from metric_clips import noisy, panning, texture

from codec_lib.errors import MissingWeights
from codec_lib.metrics import Undefined, clip_f, metric
from codec_lib.metrics.e_warp import consistent, fetch, inside, motion, warping_error
from codec_lib.metrics.fvd import WINDOW, frechet_distance
from codec_lib.video.clip import Video


def with_exact_flow(video: Video, step: int) -> Video:
    flow = torch.zeros(len(video) - 1, 2, video.height, video.width)
    flow[:, 0] = -step
    return replace(video, flow=flow, visible=torch.stack([inside(f) for f in flow]))


def test_exact_flow_of_a_pan_leaves_no_error():
    clip = with_exact_flow(panning(4, 48, 64, step=3), 3)
    assert metric("e-warp")(clip, clip) < 1e-8


def test_the_sign_and_axis_of_the_flow_matter():
    clip = with_exact_flow(panning(3, 48, 64, step=3), 3)
    assert metric("e-warp")(replace(clip, flow=-clip.flow), clip) > 50
    assert metric("e-warp")(replace(clip, flow=clip.flow.flip(1)), clip) > 50


def test_unit_is_squared_8_bit_values():
    """Independent noise of variance s^2 in each frame of a still clip gives 2 s^2 (plus 1/6 for rounding twice)."""
    still = Video((texture(96, 96)[None] * 0.5 + 60).round().to(torch.uint8).repeat(6, 1, 1, 1), Fraction(25), "still")
    still = replace(still, flow=torch.zeros(5, 2, 96, 96))
    assert metric("e-warp")(still, noisy(still, 5.0)) == pytest.approx(2 * 25 + 1 / 6, rel=0.02)


def test_fetch_is_bilinear_and_clamped():
    image = texture(12, 15)[:1]
    flow = torch.rand(2, 12, 15, generator=torch.Generator().manual_seed(2)) * 8 - 4
    got = fetch(image, flow)[0]
    for y, x in [(0, 0), (5, 7), (11, 14), (3, 13), (8, 2)]:
        px = min(max(x + float(flow[0, y, x]), 0), 14)
        py = min(max(y + float(flow[1, y, x]), 0), 11)
        x0, y0 = min(int(px), 13), min(int(py), 10)
        a, b = px - x0, py - y0
        corners = image[0, y0 : y0 + 2, x0 : x0 + 2].double()
        expected = (1 - b) * ((1 - a) * corners[0, 0] + a * corners[0, 1]) + b * (
            (1 - a) * corners[1, 0] + a * corners[1, 1]
        )
        assert float(got[y, x]) == pytest.approx(float(expected), abs=2e-3)


def test_only_visible_pixels_count():
    a, b = texture(16, 16, 0), texture(16, 16, 1)
    visible = torch.zeros(16, 16, dtype=torch.bool)
    assert math.isnan(warping_error(a, b, torch.zeros(2, 16, 16), visible))
    visible[3, 5] = True
    expected = float((a[:, 3, 5].double() - b[:, 3, 5].double()).square().mean())
    assert warping_error(a, b, torch.zeros(2, 16, 16), visible) == pytest.approx(expected, rel=1e-5)


def test_clip_of_which_nothing_stays_visible_has_no_value():
    clip = with_exact_flow(panning(3, 48, 64), 2)
    hidden = replace(clip, visible=torch.zeros_like(clip.visible))
    with pytest.raises(Undefined, match="no pixel is seen in two frames"):
        metric("e-warp")(hidden, hidden)


def test_dis_finds_the_motion_and_is_the_same_under_any_number_of_threads(monkeypatch):
    import cv2

    clip = panning(3, 96, 128, step=4)
    flow, visible = next(motion(clip))
    middle = (slice(16, -16), slice(16, -16))
    assert (flow[0][middle] + 4).abs().median() < 0.2 and flow[1][middle].abs().median() < 0.2
    assert visible[middle].float().mean() > 0.95 and not visible[:, :3].any()
    own = metric("e-warp")(clip, clip)
    still = metric("e-warp")(replace(clip, flow=torch.zeros(2, 2, 96, 128), visible=None), clip)
    assert own < 0.1 * still
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        assert metric("e-warp")(clip, clip) == own
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(threads)


def test_flow_that_does_not_come_back_is_occluded():
    forth = torch.zeros(2, 8, 8)
    forth[0] = 2
    back = -forth.clone()
    back[0, 4:] = 3
    seen = consistent(forth, back)
    assert seen[:4].all() and not seen[4:].any()


TINY = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, projection_dim=16)


def test_clip_f_equals_transformers_called_by_hand(install, monkeypatch):
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    monkeypatch.setattr(clip_f, "VIT_B_32", clip_f.VIT_B_32 | TINY)
    torch.manual_seed(0)
    model = CLIPVisionModelWithProjection(CLIPVisionConfig(**clip_f.VIT_B_32)).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(3)  # the library's initial weights are so small that all embeddings are alike
    # The published file holds the text tower too, and a buffer that newer versions no longer keep.
    extra = {"text_model.final_layer_norm.weight": torch.ones(2), "logit_scale": torch.ones(())}
    install("clip-f", 0, lambda path: torch.save(model.state_dict() | extra, path))

    clip = panning(10, 64, 96, step=6)
    with torch.no_grad():
        pixels = CLIPImageProcessor()(images=list(clip.frames), return_tensors="pt")["pixel_values"]
        e = model(pixel_values=pixels).image_embeds
        by_hand = torch.nn.functional.cosine_similarity(e[:-1], e[1:]).mean().item()
    assert metric("clip-f")(clip, clip) == pytest.approx(by_hand, abs=1e-6)
    assert by_hand < 0.9999
    still = replace(clip, frames=clip.frames[:1].repeat(10, 1, 1, 1))
    assert metric("clip-f")(clip, still) == pytest.approx(1, abs=1e-9)


def test_clip_f_refuses_another_model(install):
    install("clip-f", 0, lambda path: torch.save({"visual.conv1.weight": torch.zeros(3)}, path))
    clip = panning(2, 64, 64)
    with pytest.raises(MissingWeights, match="is not CLIP ViT-B/32"):
        metric("clip-f")(clip, clip)


class TinyI3D(torch.nn.Module):
    """Takes what the published TorchScript takes and returns 6 features a window."""

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(12, 6)

    def forward(self, x, rescale: bool, resize: bool, return_features: bool):
        assert x.shape[1:] == (3, 16, 224, 224) and not rescale and not resize and return_features
        quarters = x.reshape(x.shape[0], 3, 4, 4, 224 * 224).mean(-1).std(-1)
        return self.mix(quarters.flatten(1) * 10)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # torch.jit.script, which makes the file here
def test_fvd_protocol(install):
    torch.manual_seed(1)
    net = TinyI3D()
    install("fvd", 0, lambda path: torch.jit.script(net).save(str(path)))
    clip, other = panning(22, 32, 48, step=3), panning(22, 32, 48, step=1)
    features = metric("fvd").features(clip)
    assert features.shape == (22 - WINDOW + 1, 6) and features.dtype == torch.float64
    window = torch.nn.functional.interpolate(clip.frames[2:18].float() / 127.5 - 1, (224, 224), mode="bilinear")
    with torch.no_grad():
        hand = net(window.movedim(0, 1)[None], False, False, True)[0]
    assert torch.allclose(features[2], hand.double(), atol=1e-6)

    assert metric("fvd")(clip, clip) == pytest.approx(0, abs=1e-9)
    value = metric("fvd")(clip, other)
    assert value == pytest.approx(frechet_distance(features, metric("fvd").features(other))) and value > 1e-3
    assert metric("fvd").over([(clip, other)]) == pytest.approx(value)
    assert metric("fvd").over([(clip, other), (other, clip)]) == pytest.approx(0, abs=1e-9)


def samples(n: int, d: int, seed: int, scale=1.0, shift=0.0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=g) * scale + shift


def test_frechet_distance_equals_the_textbook_formula():
    a, b = samples(300, 12, 0), samples(250, 12, 1) @ samples(12, 12, 2) + 1.0
    sa, sb = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = scipy.linalg.sqrtm(sa @ sb).real
    textbook = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(sa + sb - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(textbook, rel=1e-9)


def test_frechet_distance_closed_forms():
    a = samples(40, 400, 0)
    assert frechet_distance(a, a + 0.5) == pytest.approx(400 * 0.25)  # a shift: its squared length
    variance = (a - a.mean(0)).square().sum().item() / 39
    assert frechet_distance(a - a.mean(0), (a - a.mean(0)) * 3) == pytest.approx(4 * variance)  # (3 - 1)^2 tr S
    assert frechet_distance(a, samples(50, 400, 1)) == pytest.approx(frechet_distance(samples(50, 400, 1), a))
