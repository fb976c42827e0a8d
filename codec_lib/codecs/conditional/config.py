"""Sizes and kinds of the `conditional` codec: what makes one set of classes a lab model or DCVC-DC (`profiles`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from codec_lib.errors import UsageError

CELL = 16
"""Stride of the latents at lab size, in whole cells of which integer priors move what they remember."""
FRAME_STRIDE = 64
"""Sides of frames are multiples of this at least: motion and the hyper-latents of I frames lie at 1/64."""
CHOICES = {
    "coding": ("both", "conditional", "difference", "residual"),
    "alignment": ("frame", "features"),
    "motion": ("lattice", "learned"),
    "temporal_prior": ("symbols", "context"),
    "spatial_prior": ("dual", "quadtree"),
    "density": ("gaussian", "laplace"),
}
"""What can be chosen, and from what. No value belongs to two of them, so that values alone can name a profile."""
CODINGS = CHOICES["coding"]
KINDS = ("bottleneck", "residual", "narrow", "unet")
MERGES = ("1x1", "3x3", "concatenate")


@dataclass(frozen=True)
class ConditionalConfig:
    """Sizes and kinds of the P-frame networks. Defaults are the lab profile.

    Networks work at one scale for each of ``widths``, each half as fine as the one before; tuples go with these, finest first.
    At lab size and at that of DCVC-DC they are 1 / fold, 1 / (2 fold) and 1 / (4 fold) of the frame.
    Raises UsageError for values that do not exist or do not go together.
    """

    coding: str = "both"
    """What the prediction is used for.

    "residual": it is subtracted before coding and added after, and the codec sees the difference only.
    "difference": the same, and the networks get contexts (conditional residual coding, Brand et al. 2023); the decoder's deep
    part adds something only where things move or anything was sent, if the frame is what is moved (``alignment``).
    "conditional": nothing is subtracted, the networks get contexts.
    "both": the linear part of the transforms works on the difference, the deep part sees the frame itself, and contexts."""
    widths: tuple[int, ...] = (96, 160, 224)  # channels of the contexts
    context_blocks: tuple[int, ...] = (2, 2, 1)  # blocks of each scale
    analysis_blocks: tuple[int, ...] = (2, 2, 2)
    synthesis_blocks: tuple[int, ...] = (4, 3, 3)
    feature_channels: int = 64  # feature handed to the next frame, at the finest scale
    y_channels: int = 384  # latents, at 1/16
    z_channels: int = 64  # hyper-latents, at 1/64
    hyper_width: int = 128
    prior_features: int = 192  # what both steps of the two-step prior read
    prior_width: int = 256
    intra_channels: int = 384  # latents of the I-frame codec, which the first P frame's prior looks at
    n_qualities: int = 64
    anchors: int = 8  # of them learned, the rest interpolated
    lambda_low: float = 0.0006  # rate-distortion trade at the lowest and highest quality: bpp + lambda * 255^2 * MSE
    lambda_high: float = 0.2

    fold: int = 4  # pixels on a side that are folded into channels; 1: convolutions at full resolution, which is what costs
    context_kinds: tuple[str, ...] = ("bottleneck",) * 3  # kinds of blocks, see `blocks.BLOCKS`
    analysis_kinds: tuple[str, ...] = ("bottleneck",) * 3
    synthesis_kinds: tuple[str, ...] = ("bottleneck",) * 3
    analysis_merges: tuple[str, ...] = ("1x1",) * 3  # how contexts join the features, see `merge.Merge`
    synthesis_merges: tuple[str, ...] = ("1x1",) * 3
    up_kernel: int = 1  # of the decoder's sub-pixel convolutions
    fine_width: int = 0  # the decoder's channels at the finest scale before the context joins; 0: as the context has
    head_width: int = 0  # channels at scales between the coarsest and 1/16, where there are any
    unet_widths: tuple[int, int, int] = (32, 64, 128)
    linear: bool = True
    """Whether a linear block transform, which starts as a DCT, carries the signal and the deep part starts at zero."""
    gain_scale: int | None = None
    """Where the quality acts. None: on the latents, and on the features before every group of bottlenecks. A number: on the
    features of that scale alone (0, 1 or 2), as a fixed gain a channel times one for the quality."""
    alignment: str = "frame"
    """What the motion is applied to. "frame": to the decoded frame and its feature, before contexts are extracted from them.
    "features": to what was extracted at each scale, at the finest by offset diversity, with a fusion across scales after."""
    offset_groups: int = 16
    feature_adaptors: bool = False  # three 1x1 convolutions for the feature, chosen by the frame's number, see `context`
    motion: str = "lattice"
    """"lattice": integers, searched by the encoder and coded by counted statistics. "learned": a flow estimated by SpyNet
    and coded as latents."""
    motion_channels: int = 64  # of learned motion: of its latents, hyper-latents and features
    flow_widths: tuple[int, ...] = (32, 64, 32, 16)  # of each level of its flow estimation
    temporal_prior: str = "symbols"
    """What the prior knows of earlier frames. "symbols": decoded integers only, so that streams decode everywhere. "context":
    also the coarsest temporal context, in floats, as the papers have it: streams are marked as not portable."""
    spatial_prior: str = "dual"
    """In how many steps latents are decoded (`codec_lib.entropy.priors`). "dual": two. "quadtree": four."""
    density: str = "gaussian"
    """Of latents around their means: "gaussian" or "laplace"."""
    mask: bool = False
    """Whether the decoder's deep part adds something only where things move or anything was sent, whatever the coding."""
    signal_channels: int = 3
    """Of what is coded (`space`). 3: the frame itself."""
    signal_stride: int = 1
    """How much smaller than the frame it is on each side."""
    latent_stride: int = CELL
    """The same of the latents."""

    def __post_init__(self):
        for field, choices in CHOICES.items():
            if getattr(self, field) not in choices:
                raise UsageError(f"{field} '{getattr(self, field)}' does not exist: choose from {', '.join(choices)}")
        for part, known in (("context_kinds", KINDS), ("analysis_kinds", KINDS), ("synthesis_kinds", KINDS),
                            ("analysis_merges", MERGES), ("synthesis_merges", MERGES)):
            if wrong := [k for k in getattr(self, part) if k not in known]:
                raise UsageError(f"{part} '{wrong[0]}' does not exist: choose from {', '.join(known)}")
        if self.fold not in (1, 2, 4) or self.scales[-1] > self.latent_stride:
            raise UsageError(f"fold {self.fold} does not lead to latents at 1/{self.latent_stride}: choose 1, 2 or 4, so that the "
                             f"coarsest of {len(self.widths)} scales is no coarser than that")
        if self.spatial_prior == "dual" and self.latent_stride != CELL:
            raise UsageError(f"the dual prior is for latents at 1/{CELL}: choose spatial_prior 'quadtree' with others")
        if self.spatial_prior == "dual" and self.motion != "lattice":
            raise UsageError("the dual prior follows motion on the lattice: choose motion 'lattice' or spatial_prior 'quadtree'")
        if self.temporal_prior == "context" and len(self.widths) != 3:
            raise UsageError(f"a prior that looks at the coarsest of three contexts cannot be had with {len(self.widths)} scales: choose "
                             "temporal_prior 'symbols'")
        if self.spatial_prior == "quadtree" and self.temporal_prior != "context":
            raise UsageError("the quadtree prior is there in floats only: choose temporal_prior 'context' with it")

    @property
    def scales(self) -> tuple[int, ...]:
        """What the frame's sides are divided by at each scale."""
        return tuple(self.signal_stride * self.fold * 2**i for i in range(len(self.widths)))

    @property
    def block(self) -> int:
        """Side of the blocks of the linear transforms, in samples of the signal."""
        return self.latent_stride // self.signal_stride

    @property
    def centre(self) -> float:
        """Middle of the signal's range, which networks see as zero: grey for frames."""
        return 0.5 if self.signal_channels == 3 else 0.0

    @property
    def halvings(self) -> int:
        """How often the sides are halved between the coarsest scale and the latents."""
        return (self.latent_stride // self.scales[-1]).bit_length() - 1

    @property
    def stride(self) -> int:
        """What sides of frames are padded to multiples of: the hyper-latents lie at a quarter of the latents."""
        return max(FRAME_STRIDE, 4 * self.latent_stride)

    @property
    def portable(self) -> bool:
        """Whether probabilities depend on integers alone."""
        return self.temporal_prior == "symbols"

    def step(self, lam: float) -> float:
        """Best quantiser step at high rate, as in `IntraConfig.step`."""
        return math.sqrt(18 / (math.log(2) * lam * 255**2))

    def lambdas(self, u: Tensor) -> Tensor:
        """Rate-distortion trade at relative quality u, log-spaced."""
        return self.lambda_low * (self.lambda_high / self.lambda_low) ** u

    def pixel_lambdas(self, u: Tensor) -> Tensor:
        """The same trade in squared error of pixels on the 0..255 scale, bpp + lambda * MSE, which is what motion is searched for."""
        return self.lambdas(u)
