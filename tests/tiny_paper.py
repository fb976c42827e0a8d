"""DCVC-DC's kinds of networks, small enough for tests: everything as in the paper profile, but for the widths."""

from dataclasses import replace

import torch
from tiny_intra import tiny_codec as tiny_intra_codec

from codec_lib.codecs.conditional.codec import ConditionalCodec
from codec_lib.codecs.conditional.fused_path import FusedEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.profiles import PAPER
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.entropy.fit import initial_tables

TINY_PAPER = replace(PAPER, widths=(8, 12, 16), feature_channels=8, y_channels=16, z_channels=8, fine_width=6, head_width=12,
                     unet_widths=(4, 6, 8), offset_groups=4, motion_channels=8, flow_widths=(4, 4), n_qualities=16)


def tiny_paper_model(seed=0):
    """An untrained model that has something to say: latents of frames and motion well away from zero, qualities that differ."""
    torch.manual_seed(seed)
    model = ConditionalModel(TINY_PAPER)
    with torch.no_grad():
        for conv, factor in ((model.g_a.head[-1], 60), (model.flow.g_a.leave[-1], 15), (model.h_a[-1], 30), (model.flow.h_a[-1], 30)):
            conv.weight.mul_(factor)
        for gain in (model.g_a.gain, model.flow.g_a.gain):
            gain.log_gain.copy_(torch.linspace(-1, 1, 4)[:, None])
        model.flow.g_s.leave[-1].conv.weight.mul_(20)  # a flow of a few pixels
    return model.eval()


def tiny_paper_codec(**options):
    model = tiny_paper_model()
    return ConditionalCodec(model, FusedEntropy(model.entropy), initial_tables("laplace"), FusedEntropy(model.flow.entropy),
                            tiny_intra_codec(), b"\1\2\3\4", profile="paper", structure=Structure(cut=float("inf")), **options)
