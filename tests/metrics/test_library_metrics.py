"""MS-SSIM, LPIPS, DISTS, SSIMULACRA2, VMAF and XPSNR equal their libraries exactly as called by hand."""

import json
import re
import subprocess
import warnings
from dataclasses import replace

import pytest
import torch
import torchvision
from metric_clips import SHARED_WEIGHTS, panning

from codec_lib.errors import MissingWeights
from codec_lib.metrics import metric
from codec_lib.metrics.ffmpeg_filter import ffmpeg_exe
from codec_lib.metrics.lpips_metric import load_lpips
from codec_lib.video import rgb_to_yuv

NETS = {"squeeze": "squeezenet1_1", "alex": "alexnet", "vgg": "vgg16"}
NAMES = {"squeeze": "lpips", "alex": "lpips-alex", "vgg": "lpips-vgg"}


def mean(values):
    return sum(values) / len(values)


def test_ms_ssim(clip, worse):
    from pytorch_msssim import ms_ssim

    by_hand = [
        ms_ssim(a[None].float(), b[None].float(), data_range=255).item()
        for a, b in zip(clip.frames, worse.frames, strict=True)
    ]
    assert metric("ms-ssim")(clip, worse) == mean(by_hand)
    together = ms_ssim(clip.frames.float(), worse.frames.float(), data_range=255).item()
    assert metric("ms-ssim")(clip, worse) == pytest.approx(together, abs=1e-6)


def random_backbone(net: str) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        if net == "vgg":  # its classifier alone has 120 million weights that nobody looks at
            model = torch.nn.Module()
            model.features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
            return model
        with torch.device("meta"):
            model = getattr(torchvision.models, NETS[net])(weights=None)
        model.features = model.features.to_empty(device="cpu")
        for m in model.features.modules():
            if isinstance(m, torch.nn.Conv2d):
                m.reset_parameters()
        return model


@pytest.mark.parametrize(("net", "whole"), [("squeeze", True), ("squeeze", False), ("alex", False), ("vgg", True)])
def test_lpips_wiring_with_a_random_backbone(net, whole, install, monkeypatch):
    """A backbone file made here, whole classifier or features only, gives what lpips gives with the same weights."""
    import lpips

    backbone = random_backbone(net)
    prefix = "features." if whole else ""
    state = {prefix + k: v for k, v in backbone.features.state_dict().items()}
    state |= {"classifier.1.weight": torch.zeros(2)} if whole else {}
    install(f"lpips-{net}", 0, lambda path: torch.save(state, path))
    monkeypatch.setattr(lpips.pretrained_networks.tv, NETS[net], lambda pretrained: backbone)
    official = lpips.LPIPS(net=net, verbose=False)

    clip = panning(2, 64, 80)
    other = panning(2, 64, 80, step=5)
    with torch.no_grad():
        by_hand = [
            official(a[None].float() / 127.5 - 1, b[None].float() / 127.5 - 1).item()
            for a, b in zip(clip.frames, other.frames, strict=True)
        ]
    assert metric(NAMES[net]).available() is None
    assert metric(NAMES[net])(clip, other) == mean(by_hand) > 0
    assert metric(NAMES[net])(clip, clip) == 0


def test_loading_lpips_leaves_random_numbers_alone_and_can_be_trained_through(install):
    install("lpips-squeeze", 0, lambda path: torch.save(random_backbone("squeeze").features.state_dict(), path))
    clip = panning(1, 64, 64)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    metric("lpips")(clip, clip)  # loads in inference mode
    assert torch.rand(1) == expected
    x = torch.zeros(1, 3, 64, 64, requires_grad=True)
    load_lpips("squeeze", torch.device("cpu"))(x, clip.frames.float() / 127.5 - 1).sum().backward()
    assert x.grad.abs().sum() > 0


def test_damaged_backbone_is_refused(install):
    path = install("lpips-squeeze", 0, lambda p: torch.save(random_backbone("squeeze").features.state_dict(), p))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    clip = panning(1, 64, 64)
    with pytest.raises(MissingWeights, match="damaged or not the published file.*weights get lpips-squeeze"):
        metric("lpips")(clip, clip)


def test_backbone_file_that_is_no_tensor_file(install):
    install("lpips-squeeze", 0, lambda path: path.write_bytes(b"<html>not found</html>"))
    clip = panning(1, 64, 64)
    with pytest.raises(MissingWeights, match="not a file of tensors.*weights get lpips-squeeze"):
        metric("lpips")(clip, clip)


def test_lpips_squeeze_with_the_published_backbone(folder, monkeypatch):
    if not (SHARED_WEIGHTS / "squeezenet1_1_features.pth").is_file():
        pytest.skip("needs ../shared/weights/squeezenet1_1_features.pth beside the repository")
    monkeypatch.setenv("CODEC_LIB_WEIGHTS", str(SHARED_WEIGHTS))
    clip, other = panning(1, 64, 80), panning(1, 64, 80, step=5)
    other = replace(other, frames=other.frames.flip(-1))
    import lpips

    state = torch.load(SHARED_WEIGHTS / "squeezenet1_1_features.pth", weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hand = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
    for key in hand.net.state_dict():
        hand.net.get_parameter(key).data = state[key.split(".", 1)[1]]
    with torch.no_grad():
        expected = hand(clip.frames.float() / 127.5 - 1, other.frames.float() / 127.5 - 1).item()
    assert metric("lpips")(clip, other) == expected
    assert expected == pytest.approx(0.2557, abs=1e-4)  # a random backbone gives about a tenth


def test_dists_wiring_with_a_random_backbone(install, monkeypatch):
    import piq.perceptual

    backbone = random_backbone("vgg")
    g = torch.Generator().manual_seed(0)
    terms = {k: torch.rand(1, 1475, 1, 1, generator=g) for k in ("alpha", "beta")}
    total = sum(t.sum() for t in terms.values())
    terms = {k: t / total for k, t in terms.items()}
    install("dists", 0, lambda path: torch.save(terms, path))
    install("dists", 1, lambda path: torch.save(backbone.features.state_dict(), path))
    clip, other = panning(2, 64, 80), panning(2, 64, 80, step=5)
    ours = metric("dists")(clip, other)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: terms)
    monkeypatch.setattr(piq.perceptual, "vgg16", lambda **_: backbone)
    official = piq.DISTS()
    with torch.no_grad():
        by_hand = [
            official(a[None].float() / 255, b[None].float() / 255).item()
            for a, b in zip(clip.frames, other.frames, strict=True)
        ]
    assert ours == mean(by_hand) > 0
    assert metric("dists")(clip, clip) == pytest.approx(0, abs=1e-6)


def test_dists_refuses_weights_that_are_not_normalised(install):
    terms = {k: torch.ones(1, 1475, 1, 1) for k in ("alpha", "beta")}
    install("dists", 0, lambda path: torch.save(terms, path))
    install("dists", 1, lambda path: torch.save(random_backbone("vgg").features.state_dict(), path))
    clip = panning(1, 64, 64)
    with pytest.raises(MissingWeights, match="does not hold piq's DISTS weights"):
        metric("dists")(clip, clip)


def test_ssimulacra2_equals_the_package_on_png_files(tmp_path):
    from PIL import Image
    from ssimulacra2 import compute_ssimulacra2

    clip, other = panning(2, 48, 64), panning(2, 48, 64, step=5)
    by_hand = []
    for t in range(2):
        for name, video in (("a", clip), ("b", other)):
            Image.fromarray(video.frames[t].permute(1, 2, 0).numpy()).save(tmp_path / f"{name}{t}.png")
        by_hand.append(compute_ssimulacra2(tmp_path / f"a{t}.png", tmp_path / f"b{t}.png"))
    assert metric("ssimulacra2")(clip, other) == mean(by_hand)


@pytest.fixture
def files(clip, worse, tmp_path):
    for name, video in (("reference", clip), ("decoded", worse)):
        p = rgb_to_yuv(video.frames)
        data = b"".join(plane[t].numpy().tobytes() for t in range(len(video)) for plane in (p.y, p.u, p.v))
        (tmp_path / f"{name}.yuv").write_bytes(data)
    return tmp_path


def by_hand_filter(files, clip, spec):
    size = f"{clip.width}x{clip.height}"
    raw = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", size, "-r", "24000/1001"]
    command = [ffmpeg_exe(), "-v", "info", *raw, "-i", "decoded.yuv", *raw, "-i", "reference.yuv"]
    run = subprocess.run(
        [*command, "-lavfi", f"[0:v][1:v]{spec}", "-f", "null", "-"],
        cwd=files, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stderr


def test_vmaf_equals_ffmpeg_called_by_hand(files, clip, worse):
    log = by_hand_filter(files, clip, "libvmaf=log_fmt=json:log_path=v.json")
    hand = json.loads((files / "v.json").read_text())
    assert metric("vmaf")(clip, worse) == hand["pooled_metrics"]["vmaf"]["mean"]
    assert metric("vmaf").per_frame(clip, worse) == [f["metrics"]["vmaf"] for f in hand["frames"]]
    assert float(re.search(r"VMAF score: (\S+)", log)[1]) == pytest.approx(metric("vmaf")(clip, worse), abs=1e-5)
    assert "vmaf_v0.6.1" in metric("vmaf").about


def test_xpsnr_equals_ffmpeg_called_by_hand(files, clip, worse):
    log = by_hand_filter(files, clip, "xpsnr")
    y, u, v = (float(x) for x in re.search(r"XPSNR +y: (\S+) +u: (\S+) +v: (\S+)", log).groups())
    assert metric("xpsnr")(clip, worse) == (6 * y + u + v) / 8
    assert len(metric("xpsnr").per_frame(clip, worse)) == len(clip)
