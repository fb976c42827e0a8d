"""LPIPS (Zhang et al., CVPR 2018), through the official package, with a backbone from a local file."""

from __future__ import annotations

import warnings
from functools import cache
from typing import ClassVar

import torch
from torch import nn

from codec_lib.metrics.backbones import load_features
from codec_lib.metrics.base import FrameMetric
from codec_lib.video.clip import Video


@cache
def load_lpips(net: str, device: torch.device | str = "cpu") -> nn.Module:
    """The official ``lpips.LPIPS(net=...)``, v0.1 linear heads, its backbone filled from the weights folder.

    Takes two tensors (N, 3, H, W) in [-1, 1] and returns (N, 1, 1, 1). Also what training uses as a loss.
    Raises MissingWeights.
    """
    features = load_features(f"lpips-{net}")
    import lpips

    # The backbone is built with random weights first (the package would download it): nobody else's random numbers may
    # change by that. Tensors made in inference mode could never serve as a training loss.
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net=net, pretrained=True, pnet_rand=True, verbose=False)
        # lpips cuts torchvision's `features` into slices and keeps their numbers: slice3.5.weight is 5.weight there.
        model.net.load_state_dict({k: features[k.partition(".")[2]] for k in model.net.state_dict()})
        return model.requires_grad_(False).eval().to(device)


class LPIPS(FrameMetric):
    """LPIPS v0.1 of RGB frames scaled to [-1, 1], averaged over the frame and then over frames; 0 is identical.

    Numbers of different nets are different metrics: they have different names and never share a table.
    """

    unit, better = "", "lower"
    net: ClassVar[str]

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        model = load_lpips(self.net, self.device)

        def scaled(frame):
            return frame[None].to(self.device).float() / 127.5 - 1

        pairs = zip(reference.frames, decoded.frames, strict=True)
        return [model(scaled(a), scaled(b)).item() for a, b in pairs]


class LPIPSSqueeze(LPIPS):
    __doc__ = LPIPS.__doc__
    name, net, needs = "lpips", "squeeze", "lpips-squeeze"
    about = "lpips v0.1, net squeeze, RGB in [-1, 1], mean over frames"


class LPIPSAlex(LPIPS):
    __doc__ = LPIPS.__doc__
    name, net, needs = "lpips-alex", "alex", "lpips-alex"
    about = "lpips v0.1, net alex, RGB in [-1, 1], mean over frames"


class LPIPSVGG(LPIPS):
    __doc__ = LPIPS.__doc__
    name, net, needs = "lpips-vgg", "vgg", "lpips-vgg"
    about = "lpips v0.1, net vgg, RGB in [-1, 1], mean over frames"
