"""DISTS (Ding, Ma, Wang, Simoncelli, TPAMI 2020), as piq computes it, with weights from local files."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from codec_lib import weights
from codec_lib.errors import MissingWeights
from codec_lib.metrics.backbones import load_features, load_tensors
from codec_lib.metrics.base import FrameMetric
from codec_lib.video.clip import Video

# DISTS compares the image itself and five stages of VGG-16: the layer that ends each stage, and all channel counts.
_STAGES = {"relu1_2": "3", "relu2_2": "8", "relu3_3": "15", "relu4_3": "22", "relu5_3": "29"}
_CHANNELS = [3, 64, 128, 256, 512, 512]


@cache
def load_dists(device: torch.device | str = "cpu") -> nn.Module:
    """piq's DISTS without its downloads: two tensors (N, 3, H, W) in [0, 1] to (N,). Raises MissingWeights."""
    features = load_features("dists", weights.VGG16.name)
    path = weights.checked("dists")["dists_weights.pt"]
    terms = load_tensors(path, "dists")
    # No digest of this file is published, so its contents are checked: identical images must be at distance 0,
    # which holds when all weights together make 1.
    alpha, beta = terms.get("alpha"), terms.get("beta")
    shape = (1, sum(_CHANNELS), 1, 1)
    if alpha is None or beta is None or alpha.shape != shape or abs(float(alpha.sum() + beta.sum()) - 1) > 1e-3:
        raise MissingWeights(
            f"{path} does not hold piq's DISTS weights: delete it and run `python -m codec_lib weights get dists`"
        )
    import piq.perceptual
    import torchvision

    with torch.device("meta"):
        vgg = torchvision.models.vgg16(weights=None).features
    vgg.load_state_dict(features, assign=True)

    class LocalDISTS(piq.perceptual.DISTS):
        """piq's class, given its backbone and weights where its own constructor fetches them."""

        def __init__(self):
            split = [*torch.split(alpha, _CHANNELS, dim=1), *torch.split(beta, _CHANNELS, dim=1)]
            piq.perceptual.ContentLoss.__init__(
                self,
                vgg,
                layers=list(_STAGES.values()),
                weights=split,
                replace_pooling=True,
                reduction="none",
                allow_layers_weights_mismatch=True,
            )

    with torch.inference_mode(False):
        return LocalDISTS().eval().to(device)


class DISTS(FrameMetric):
    """DISTS of RGB frames in [0, 1], shorter side reduced to 256 as its authors do, mean over frames; 0 is identical.

    It forgives texture that is resampled rather than reproduced, which is why generative codecs report it.
    """

    name, better, needs = "dists", "lower", "dists"
    about = "piq, VGG-16, RGB in [0, 1], shorter side reduced to 256, mean over frames"

    def frame_values(self, reference: Video, decoded: Video) -> list[float]:
        model = load_dists(self.device)

        def scaled(frame):
            return frame[None].to(self.device).float() / 255

        return [
            model(scaled(a), scaled(b)).item() for a, b in zip(reference.frames, decoded.frames, strict=True)
        ]
