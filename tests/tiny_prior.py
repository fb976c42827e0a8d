"""A folder like that of Stable Diffusion 2.1, small enough for tests: untrained networks in diffusers' format."""

import json

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from codec_lib.diffusion.autoencoder import AutoencoderConfig
from codec_lib.diffusion.denoiser import DenoiserConfig

TOKENS = 77


def save_text_encoder(folder, width):
    """A tokenizer that knows digits, and an encoder of them."""
    folder.mkdir(exist_ok=True)
    letters = [*"0123456789.", *(f"{c}</w>" for c in "0123456789."), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({c: i for i, c in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=TOKENS)
    tokenizer.save_pretrained(folder / "tokenizer")
    torch.manual_seed(0)
    CLIPTextModel(CLIPTextConfig(
        vocab_size=len(letters), hidden_size=width, intermediate_size=width, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=TOKENS, bos_token_id=22, eos_token_id=23)).save_pretrained(folder / "text_encoder")


def save_tiny_prior(folder, seed=0):
    """Autoencoder with four stages, as Stable Diffusion's, U-Net with a stride of 2, and text encoder."""
    torch.manual_seed(seed)
    vae = AutoencoderConfig(unfold=1, latent_channels=4, widths=(32, 32, 32, 32), linear=False, scale=0.18215)
    AutoencoderKL(**vae.network).save_pretrained(folder / "vae")
    unet = DenoiserConfig(latent_channels=4, widths=(32, 32), attention=(True, False), heads=(2, 2), context_tokens=TOKENS,
                          context_width=16, groups=32)
    UNet2DConditionModel(**unet.network).save_pretrained(folder / "unet")
    save_text_encoder(folder, width=16)
    return folder
