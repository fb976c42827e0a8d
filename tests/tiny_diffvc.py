"""A DiffVC small enough for tests: untrained networks, real streams."""

import torch
from tiny_conditional import TINY, tiny_motion
from tiny_intra import tiny_codec as tiny_intra_codec

from codec_lib.codecs.conditional.entropy_path import FloatEntropy, IntegerEntropy
from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.diffvc.codec import DiffVCCodec
from codec_lib.codecs.diffvc.config import LatentConfig
from codec_lib.codecs.diffvc.control import Control
from codec_lib.codecs.diffvc.generator import Generator, Sampling
from codec_lib.codecs.diffvc.latents import Latents
from codec_lib.codecs.diffvc.prompt import LearnedPrompt
from codec_lib.diffusion.autoencoder import Autoencoder, AutoencoderConfig
from codec_lib.diffusion.denoiser import Denoiser, DenoiserConfig
from codec_lib.entropy.fit import initial_tables

SMALL = LatentConfig(signal_channels=4, widths=(16, 24), y_channels=16, context_blocks=(1, 1), analysis_blocks=(1, 1),
                     synthesis_blocks=(1, 1), feature_channels=8, z_channels=8, hyper_width=16, prior_features=24, prior_width=32,
                     intra_channels=TINY.intra_channels, n_qualities=16, anchors=4)
TINY_VAE = AutoencoderConfig(latent_channels=4, widths=(32, 32), linear=False)
TINY_UNET = DenoiserConfig(latent_channels=4, widths=(16, 32), attention=(False, True), heads=(2, 2), context_tokens=3,
                           context_width=8, groups=8)


def tiny_autoencoder(seed=0):
    torch.manual_seed(seed)
    return Autoencoder(TINY_VAE).eval()


def tiny_latent_model(seed=0):
    space = Latents(tiny_autoencoder(), SMALL)
    torch.manual_seed(seed)
    model = ConditionalModel(SMALL, space)
    with torch.no_grad():  # give it something to say
        model.g_a.head.weight.normal_(std=0.3)
        model.h_a[-1].weight.mul_(30)
        model.entropy.quality.normal_()
    return model.eval()


def tiny_networks(trained=True):
    """Denoiser, control and prompt."""
    torch.manual_seed(0)
    denoiser = Denoiser(TINY_UNET).eval()
    control = Control(denoiser, SMALL.signal_channels + SMALL.widths[0], width=8).eval()
    prompt = LearnedPrompt(TINY_UNET.context_tokens, TINY_UNET.context_width, 0.1, 10.0).eval()
    if trained:
        for conv in (*control.network.controlnet_down_blocks, control.network.controlnet_mid_block,
                     control.network.controlnet_cond_embedding.conv_out):
            torch.nn.init.normal_(conv.weight, std=0.2)
    return denoiser, control, prompt


def tiny_diffvc(path="integer", sampling=None, diffusion=True, **options):
    model = tiny_latent_model()
    entropy = (IntegerEntropy if path == "integer" else FloatEntropy)(SMALL, model.entropy)
    generator = Generator(*tiny_networks(), sampling or Sampling(steps=3, depth=1)) if diffusion else None
    return DiffVCCodec(model, entropy, initial_tables(), tiny_motion(), tiny_intra_codec(path), b"\1\2\3\5", generator=generator,
                       structure=Structure(cut=float("inf")), **options)
