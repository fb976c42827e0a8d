"""CLIP-F: does the meaning of a clip stay the same from frame to frame?"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

from codec_lib import weights
from codec_lib.errors import MissingWeights
from codec_lib.metrics.backbones import load_tensors
from codec_lib.metrics.base import Metric
from codec_lib.video.clip import Video

# ViT-B/32, the image tower of openai/clip-vit-base-patch32.
VIT_B_32 = dict(
    hidden_size=768,
    intermediate_size=3072,
    num_hidden_layers=12,
    num_attention_heads=12,
    patch_size=32,
    image_size=224,
    projection_dim=512,
    hidden_act="quick_gelu",
)


@cache
def load_clip(device: torch.device | str = "cpu") -> nn.Module:
    """CLIP's image tower and projection, a transformers ``CLIPVisionModelWithProjection``. Raises MissingWeights."""
    path = next(iter(weights.checked("clip-f").values()))
    state = load_tensors(path, "clip-f")
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    with torch.inference_mode(False):
        with torch.random.fork_rng(devices=[]):
            model = CLIPVisionModelWithProjection(CLIPVisionConfig(**VIT_B_32))
        own = model.state_dict()
        if missing := [k for k in own if k not in state or state[k].shape != own[k].shape]:
            raise MissingWeights(f"{path} is not CLIP ViT-B/32: it lacks {missing[0]}")
        model.load_state_dict({k: state[k] for k in own})
        return model.requires_grad_(False).eval().to(device)


class CLIPF(Metric):
    """Mean cosine similarity of the CLIP image embeddings of consecutive decoded frames; 1 is a still image.

    It looks at the decoded clip alone (the reference only has to match in shape): a codec whose objects change their
    appearance scores low, but so does honest fast motion, so compare it with the reference's own value.
    """

    name, better, needs = "clip-f", "higher", "clip-f"
    about = "CLIP ViT-B/32, cosine of consecutive frames' embeddings, mean over pairs; centre crop at 224x224"

    def undefined_for(self, reference: Video) -> str | None:
        return None if len(reference) > 1 else "it compares neighbouring frames and the clip has only one"

    def measure(self, reference: Video, decoded: Video) -> float:
        e = self.embeddings(decoded)
        return math.fsum((e[:-1] * e[1:]).sum(1).tolist()) / (len(e) - 1)

    def embeddings(self, video: Video, chunk: int = 8) -> Tensor:
        """Unit-length embeddings (T, D), float64."""
        from transformers import CLIPImageProcessor

        model, prepare, parts = load_clip(self.device), CLIPImageProcessor(), []
        for frames in video.frames.split(chunk):
            pixels = prepare(images=list(frames.cpu()), return_tensors="pt")["pixel_values"]
            parts.append(model(pixel_values=pixels.to(self.device)).image_embeds.double().cpu())
        return torch.nn.functional.normalize(torch.cat(parts), dim=1)
