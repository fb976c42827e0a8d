"""An intra codec small enough for tests: a few thousand untrained parameters, real streams."""

from fractions import Fraction

import torch

from codec_lib.codecs.intra.codec import IntraCodec
from codec_lib.codecs.intra.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.intra.model import IntraConfig, IntraModel
from codec_lib.entropy.fit import initial_tables
from codec_lib.video.clip import Video

TINY = IntraConfig(widths=(16, 24, 32), y_channels=32, analysis_blocks=(1, 1, 1), synthesis_blocks=(1, 1, 1), z_channels=8,
                   hyper_width=16, context_width=24, prior_width=32, n_qualities=16, anchors=4)


def tiny_model(seed=0):
    torch.manual_seed(seed)
    model = IntraModel(TINY)
    with torch.no_grad():  # an untrained model sends almost nothing: give it something to say
        model.g_a.head.weight.mul_(30)
        model.h_a[-1].weight.mul_(30)
        model.entropy.quality.normal_()  # and something that differs between qualities
    return model.eval()


def tiny_codec(path="integer", **options):
    model = tiny_model()
    entropy = IntegerEntropy(TINY, model.entropy) if path == "integer" else FloatEntropy(TINY, model.entropy)
    return IntraCodec(model, entropy, initial_tables(), b"\1\2\3\4", **options)


def noise_video(frames=2, height=70, width=50, seed=0):
    pixels = torch.randint(0, 256, (frames, 3, height, width), generator=torch.Generator().manual_seed(seed))
    return Video(pixels.to(torch.uint8), Fraction(24000, 1001), "noise")
