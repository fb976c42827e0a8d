"""A conditional codec small enough for tests: a few thousand untrained parameters, real streams."""

from fractions import Fraction

import numpy as np
import torch
from tiny_intra import TINY as TINY_INTRA
from tiny_intra import tiny_codec as tiny_intra_codec

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context_path import ContextEntropy
from codec_lib.codecs.conditional.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.conditional.merge import Merge
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.motion_coding import MotionFit
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.entropy.fit import initial_tables
from codec_lib.video.clip import Video

TINY = ConditionalConfig(widths=(16, 24, 32), y_channels=32, context_blocks=(1, 1, 1), analysis_blocks=(1, 1, 1),
                         synthesis_blocks=(1, 1, 1), feature_channels=8, z_channels=8, hyper_width=16, prior_features=24,
                         prior_width=32, intra_channels=TINY_INTRA.y_channels, n_qualities=16, anchors=4)


def tiny_model(seed=0, **changes):
    torch.manual_seed(seed)
    model = ConditionalModel(TINY if not changes else ConditionalConfig(**(TINY.__dict__ | changes)))
    with torch.no_grad():  # an untrained model sends almost nothing: give it something to say
        model.g_a.head.weight.normal_(std=0.3)
        model.g_s.tail.weight.normal_(std=0.003)
        model.context.tail.weight.normal_(std=0.003)
        model.h_a[-1].weight.mul_(30)
        model.entropy.quality.normal_()  # and something that differs between qualities
        model.entropy.quality_step.normal_()
        for merge in (m for m in model.modules() if isinstance(m, Merge)):  # and contexts that are looked at
            merge.conv.weight.normal_(std=0.1)
    return model.eval()


def tiny_motion():
    """Motion statistics of a few random smooth fields."""
    rng = np.random.default_rng(0)
    fit, previous = MotionFit(), [None] * 4
    for fields in np.rint(rng.normal(0, 3, (4, 4, 2, 9, 9))).astype(np.int16):
        for level, field in enumerate(fields):
            fit.add(field, level, previous[level])
        previous = fields
    return fit.coder()


def tiny_codec(path="integer", structure=None, **options):
    model = tiny_model()
    entropy = IntegerEntropy(TINY, model.entropy) if path == "integer" else FloatEntropy(TINY, model.entropy)
    intra = tiny_intra_codec(path)
    return ConditionalCodec(model, entropy, initial_tables(), tiny_motion(), intra, b"\1\2\3\4",
                            structure=structure or Structure(cut=float("inf")), **options)


def tiny_context_codec(**options):
    """The same with the papers' float prior: profile lab-context."""
    model = tiny_model(temporal_prior="context")
    return ConditionalCodec(model, ContextEntropy(model.config, model.entropy), initial_tables(), tiny_motion(), tiny_intra_codec(),
                            b"\1\2\3\4", profile="lab-context", structure=Structure(cut=float("inf")), **options)


def moving_video(frames=3, height=70, width=90, seed=0, step=(2, 1)):
    """A smooth random picture that moves by ``step`` = (x, y) pixels a frame, and a little noise."""
    random = torch.Generator().manual_seed(seed)
    big = torch.rand(1, 3, (height + 64) // 8, (width + 64) // 8, generator=random)
    big = torch.nn.functional.interpolate(big, size=(height + 64, width + 64), mode="bicubic").clamp(0, 1) * 255
    crops = [big[0, :, t * step[1] : t * step[1] + height, t * step[0] : t * step[0] + width] for t in range(frames)]
    pixels = torch.stack(crops) + torch.randn(frames, 3, height, width, generator=random)
    return Video(pixels.clamp(0, 255).round().to(torch.uint8).contiguous(), Fraction(25), "moving")
