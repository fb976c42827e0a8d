"""The network that predicts noise in latents: diffusers' `UNet2DConditionModel`, at two sizes.

`lab` is trained here on latents of the lab autoencoder; `paper` is Stable Diffusion 2.1's, loaded from a folder in diffusers'
format. Both attend to a context, tokens that say what the picture is or how it was coded (chapter 07); without one they
get ``empty``, learned in the lab profile, zero in a folder of diffusers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from codec_lib.checkpoint import compact, from_diffusers, load_model, save_checkpoint
from codec_lib.diffusion.process import to_data
from codec_lib.diffusion.samplers import Predict
from codec_lib.diffusion.schedule import Schedule, scaled_linear
from codec_lib.errors import UsageError

KIND = "unet"


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes. Defaults are the lab profile: 7.72 M parameters.

    widths: channels at 1/8, 1/16, 1/32 ... of the frame. attention: at which of them there is attention.
    heads: attention heads at each. context_tokens, context_width: size of the context.
    prediction: what the output is: "noise", "data" or "velocity".
    """

    latent_channels: int = 16
    widths: tuple[int, ...] = (96, 112, 144)
    attention: tuple[bool, ...] = (False, True, True)
    layers_per_block: int = 1
    heads: tuple[int, ...] = (4, 4, 4)
    context_tokens: int = 8
    context_width: int = 64
    groups: int = 16
    prediction: str = "noise"

    @property
    def network(self) -> dict:
        """Arguments of `UNet2DConditionModel`."""
        down = ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in self.attention]
        up = ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(self.attention)]
        # diffusers calls the number of heads attention_head_dim, and keeps the name for old configurations
        return {"in_channels": self.latent_channels, "out_channels": self.latent_channels, "down_block_types": tuple(down),
                "up_block_types": tuple(up), "block_out_channels": self.widths, "layers_per_block": self.layers_per_block,
                "cross_attention_dim": self.context_width, "attention_head_dim": self.heads, "norm_num_groups": self.groups,
                "use_linear_projection": True}


PROFILES = {
    "lab": DenoiserConfig(),
    # https://huggingface.co/stabilityai/stable-diffusion-2-1-base, unet/config.json
    "paper": DenoiserConfig(latent_channels=4, widths=(320, 640, 1280, 1280), attention=(True, True, True, False),
                            layers_per_block=2, heads=(5, 10, 20, 20), context_tokens=77, context_width=1024, groups=32),
}


class Denoiser(nn.Module):
    """eps_theta(y_n, timestep, context)."""

    def __init__(self, config: DenoiserConfig | None = None):
        super().__init__()
        c = self.config = config or DenoiserConfig()
        self.network = UNet2DConditionModel(**c.network)
        self.empty = nn.Parameter(torch.zeros(c.context_tokens, c.context_width))

    def forward(self, y_n: Tensor, timestep: Tensor | int, context: Tensor | None = None,
                residuals: tuple[tuple[Tensor, ...], Tensor] | None = None) -> Tensor:
        """Network output for states y_n (N, C, h, w), h and w divisible by the network's own stride.

        timestep: what the schedule's ``timesteps`` says, () or (N,). context: tokens (N, T, D). residuals: what a control network
        adds to the skip connections and to the middle.
        """
        context = self.empty.expand(len(y_n), -1, -1) if context is None else context
        down, middle = residuals or (None, None)
        return self.network(y_n, timestep, context, down_block_additional_residuals=down,
                            mid_block_additional_residual=middle).sample

    @property
    def stride(self) -> int:
        """Sides of latents must be multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    def predictor(self, schedule: Schedule | None = None, context: Tensor | None = None) -> Predict:
        """This network as a sampler wants it: predict(y_n, n) gives the clean latent seen in the state of step n."""
        schedule = schedule or scaled_linear()

        def predict(y_n: Tensor, n: int) -> Tensor:
            output = self(y_n, schedule.timesteps[n].to(y_n.device), context)
            return to_data(schedule, y_n, output, n, self.config.prediction)

        return predict


def save_denoiser(path: Path, model: Denoiser) -> str:
    """Write a checkpoint, weights in eight bits. Returns its SHA-256."""
    return save_checkpoint(path, compact(model.state_dict()), asdict(model.config), KIND)


def load_denoiser(path: Path) -> Denoiser:
    """From a checkpoint of ours, or from a folder in diffusers' format (a ``unet`` folder or one that holds it).

    Raises MissingWeights or UsageError where there is no denoiser.
    """
    path = Path(path)
    return _from_diffusers(path) if path.is_dir() else load_model(path, KIND, Denoiser, DenoiserConfig)


def _from_diffusers(folder: Path) -> Denoiser:
    network = from_diffusers(UNet2DConditionModel, folder, "unet", "U-Net")
    c = network.config
    stages, heads = len(c.block_out_channels), c.attention_head_dim
    if len(set(c.down_block_types)) > 2 or not isinstance(c.cross_attention_dim, int):
        raise UsageError(f"the U-Net in '{folder.name}' is of a kind that Stable Diffusion does not use")
    root = folder if (folder / "unet").is_dir() else folder.parent  # the scheduler's folder lies beside the U-Net's
    scheduler = root / "scheduler" / "scheduler_config.json"
    model = Denoiser(DenoiserConfig(
        latent_channels=c.in_channels, widths=tuple(c.block_out_channels),
        attention=tuple("CrossAttn" in kind for kind in c.down_block_types), layers_per_block=c.layers_per_block,
        heads=tuple(heads) if not isinstance(heads, int) else (heads,) * stages, context_tokens=77,
        context_width=c.cross_attention_dim, groups=c.norm_num_groups, prediction=_prediction(scheduler)))
    model.network = network
    return model.eval()


def _prediction(scheduler: Path) -> str:
    """What the network predicts, as the folder's scheduler says: noise where it says nothing. Raises UsageError."""
    if not scheduler.is_file():
        return "noise"
    names = {"epsilon": "noise", "sample": "data", "v_prediction": "velocity"}
    try:
        said = json.loads(scheduler.read_text()).get("prediction_type", "epsilon")
    except (ValueError, AttributeError):
        raise UsageError(f"'{scheduler}' is damaged: fetch it again") from None
    if said not in names:
        raise UsageError(f"{scheduler.name} names the unknown prediction '{said}'")
    return names[said]
