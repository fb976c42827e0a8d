"""Quantization-Parameter Prompting (QPP): telling the diffusion model how coarsely a frame was quantised.

The contextual codec multiplies with q_enc before it rounds and with q_dec after, one gain a channel and quality. Their ratio,
averaged over channels, rises with the rate; it becomes tokens that the denoiser attends to, as it would to words, and so one
model serves all rates (DiffVC, section on QPP). How a number becomes tokens is not printed. Two readings, one
interface, prompt(r) -> (N, tokens, width):

    TextPrompt      r as text through CLIP's tokeniser and text encoder, as for Stable Diffusion
    LearnedPrompt   a small network on log r
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from codec_lib.errors import MissingWeights

WAVES = 8
"""Frequencies in which a network is told a number."""


def quantisation_ratio(q_enc: Tensor, q_dec: Tensor) -> Tensor:
    """r, (N,), of gains q_enc (N, C) and q_dec (N, C'): the mean over channels of q_enc / q_dec; where encoder and decoder do not
    have equally many, as in DCVC-DC, the ratio of their means."""
    if q_enc.shape == q_dec.shape:
        return (q_enc / q_dec).mean(dim=1)
    return q_enc.mean(dim=1) / q_dec.mean(dim=1)


def ratio(codec, u: Tensor) -> Tensor:
    """r at relative qualities u (N,): (N,). codec: has contextual encoder ``g_a`` and decoder ``g_s``."""
    return quantisation_ratio(codec.g_a.gain.gain(u), codec.g_s.gain.gain(u))


class LearnedPrompt(nn.Module):
    """log r as waves of several lengths, then two layers to tokens.

    low, high: ratios between which the waves tell numbers apart; beyond, the prompt goes on smoothly, untrained.
    """

    def __init__(self, tokens: int, width: int, low: float, high: float, hidden: int = 128):
        super().__init__()
        self.tokens, self.low, self.span = tokens, math.log(low), math.log(high / low)
        self.first = nn.Linear(2 * WAVES + 1, hidden)
        self.second = nn.Linear(hidden, tokens * width)

    def forward(self, r: Tensor) -> Tensor:
        """Tokens (N, tokens, width) of ratios r (N,)."""
        position = (r.float().log()[:, None] - self.low) / self.span  # about 0 to 1
        angles = position * math.pi * 2.0 ** torch.arange(WAVES, device=r.device) / 4
        waves = torch.cat([position, angles.sin(), angles.cos()], dim=1)
        return self.second(nn.functional.silu(self.first(waves))).unflatten(1, (self.tokens, -1))


class TextPrompt(nn.Module):
    """r as text through CLIP. ``digits``: after the point; CLIP splits numbers into digits, so they are tokens of their own.

    Raises MissingWeights where the folder, in diffusers' format, has no tokenizer or text_encoder.
    """

    def __init__(self, folder: Path, digits: int = 2):
        super().__init__()
        from transformers import CLIPTextModel, CLIPTokenizer
        from transformers.utils.logging import disable_progress_bar

        for part in ("tokenizer", "text_encoder"):
            if not (Path(folder) / part).is_dir():
                raise MissingWeights(f"'{folder}' holds no {part}: name a folder of Stable Diffusion 2.1 in diffusers' format")
        disable_progress_bar()
        self.tokenizer = CLIPTokenizer.from_pretrained(Path(folder) / "tokenizer", local_files_only=True)
        self.encoder = CLIPTextModel.from_pretrained(Path(folder) / "text_encoder", local_files_only=True).eval()
        self.encoder.requires_grad_(False)
        self.digits = digits

    def text(self, r: float) -> str:
        """A ratio as the words that CLIP is given."""
        return f"{r:.{self.digits}f}"

    @torch.no_grad()
    def forward(self, r: Tensor) -> Tensor:
        """Tokens (N, 77, width) of ratios r (N,)."""
        words = self.tokenizer([self.text(v) for v in r.tolist()], padding="max_length", truncation=True, return_tensors="pt",
                               max_length=self.tokenizer.model_max_length)
        return self.encoder(words.input_ids.to(r.device)).last_hidden_state
