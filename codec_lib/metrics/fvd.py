"""Fréchet video distance (Unterthiner et al., arXiv 1812.01717): are decoded clips drawn from the same distribution?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from codec_lib import weights
from codec_lib.errors import MissingWeights
from codec_lib.metrics.base import Metric, Undefined
from codec_lib.video.clip import Video

WINDOW = 16
"""Frames that the network sees at once."""


@cache
def load_i3d(device: torch.device | str = "cpu") -> nn.Module:
    """I3D as TorchScript. A TorchScript file is a program: its digest is compared before it is loaded."""
    path = next(iter(weights.checked("fvd").values()))
    try:
        with torch.inference_mode(False), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated; the published file is one
            model = torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise MissingWeights(
            f"{path} is not a TorchScript file: delete it and run `python -m codec_lib weights get fvd`"
        ) from error
    for p in model.parameters():
        p.requires_grad_(False)
    return model


class FVD(Metric):
    """FVD between the windows of a clip and those of its decoded twin; 0 is identical.

    Protocol: every window of 16 consecutive frames (stride 1), resized to 224x224 (bilinear, aspect ratio not kept),
    scaled to [-1, 1], through I3D trained on Kinetics-400; its 400 logits are the features, and the distance is
    Fréchet's between Gaussians fitted to both sets, in float64. The value of one clip rests on few, overlapping
    windows and ranks codecs on that clip at best; ``over`` pools the windows of many clips and is what a table should
    print. FVD is biased upwards for few windows, so compare only values from equally many.
    """

    name, better, needs = "fvd", "lower", "fvd"
    about = "I3D (Kinetics-400, StyleGAN-V's TorchScript), 16-frame windows, stride 1, 224x224, 400 logits"

    def undefined_for(self, reference: Video) -> str | None:
        if len(reference) > WINDOW:
            return None
        return f"it needs at least {WINDOW + 1} frames (two windows of {WINDOW}), and the clip has {len(reference)}"

    def measure(self, reference: Video, decoded: Video) -> float:
        return frechet_distance(self.features(reference), self.features(decoded))

    def over(self, pairs: Sequence[tuple[Video, Video]]) -> float:
        """One FVD over the windows of several clips, as pairs of (reference, decoded). Raises as a call does."""
        if not pairs:
            raise Undefined("fvd is not defined for an empty list of clips")
        for reference, decoded in pairs:
            self._check(reference, decoded)
        with torch.inference_mode():
            a, b = (torch.cat([self.features(pair[i]) for pair in pairs]) for i in (0, 1))
            return frechet_distance(a, b)

    def features(self, video: Video, batch: int = 4) -> Tensor:
        """I3D's logits for each window, (windows, 400), float64."""
        i3d = load_i3d(self.device)
        small = torch.cat([self._resize(f) for f in video.frames.split(8)])  # (T, 3, 224, 224)
        windows = small.unfold(0, WINDOW, 1)  # (T - 15, 3, 224, 224, 16), a view
        parts = [
            i3d(w.movedim(-1, 2).to(self.device), rescale=False, resize=False, return_features=True).double().cpu()
            for w in windows.split(batch)
        ]
        return torch.cat(parts).flatten(1)

    @staticmethod
    def _resize(frames: Tensor) -> Tensor:
        x = frames.float() / 127.5 - 1
        return torch.nn.functional.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) between Gaussians fitted to the rows of two feature sets.

    a: float64 (M, D), b: (N, D), M, N >= 2; covariances with the divisor M - 1.
    With centred rows A, B (divided by the root of M - 1, N - 1), S_a = A'A and S_b = B'B, and the eigenvalues of
    (S_a S_b)^(1/2) are the singular values of A B'. So no matrix square root is taken, and nothing breaks when there
    are fewer rows than columns, where S_a S_b is singular and ``scipy.linalg.sqrtm`` returns noise.
    """
    a, b = a.double(), b.double()
    mean_a, mean_b = a.mean(0), b.mean(0)
    root_a = (a - mean_a) / (len(a) - 1) ** 0.5
    root_b = (b - mean_b) / (len(b) - 1) ** 0.5
    trace = root_a.square().sum() + root_b.square().sum() - 2 * torch.linalg.svdvals(root_a @ root_b.T).sum()
    return float((mean_a - mean_b).square().sum() + trace.clamp(min=0))
