"""`python -m codec_lib train NAME`: find the pictures, run the recipe, export the checkpoint and its card."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from codec_lib.errors import UsageError

RECIPES = {"intra": "codec_lib.training.intra", "conditional": "codec_lib.training.conditional",
           "vae": "codec_lib.training.autoencoder", "unet": "codec_lib.training.denoiser",
           "diffvc": "codec_lib.training.diffvc", "diffvc-generator": "codec_lib.training.diffvc_generator",
           "diffvc-gates": "codec_lib.training.diffvc_gates"}
"""What can be trained; each module offers train(arguments, progress) -> Path of the checkpoint. One with choices also offers
with_options(profile, ["NAME=VALUE", ...]) -> name of the profile that makes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the `train` command."""
    parser.add_argument("name", metavar="NAME", help=f"what to train: {', '.join(RECIPES)}")
    parser.add_argument("--profile", default="lab", help="size of the model (default: lab)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE",
                        help="choose otherwise than the profile does, for an ablation, as in coding=residual; can be given several "
                             "times. That makes a profile of its own, here lab-residual")
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR",
                        help="folders of training clips and photographs; folders named 'dev' in them are left out")
    parser.add_argument("--out", type=Path, default=None, metavar="DIR",
                        help="working folder (default: runs/NAME, or runs/NAME-PROFILE for a profile other than lab)")
    parser.add_argument("--checkpoint", type=Path, default=None, metavar="FILE",
                        help="where the exported checkpoint goes (default: OUT/NAME-PROFILE.safetensors)")
    parser.add_argument("--minutes", type=float, default=100.0, help="training time, earlier runs included (100)")
    parser.add_argument("--steps", type=int, default=None, help="train for so many steps instead")
    parser.add_argument("--batch", type=int, default=8, help="crops a step (8)")
    parser.add_argument("--crop", type=int, default=256, help="side of the crops of a video codec's training, a multiple of 64 (256)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, default=None, metavar="FILE",
                        help="begin with the weights of this checkpoint (and of its float twin beside it)")
    parser.add_argument("--resume", action="store_true", help="go on with the training in OUT")
    parser.add_argument("--intra", type=Path, default=None, metavar="FILE",
                        help="checkpoint of the I-frame codec under a video codec (default: the shipped one)")
    parser.add_argument("--autoencoder", type=Path, default=None, metavar="FILE",
                        help="checkpoint of the autoencoder whose latents a denoiser is trained in")
    parser.add_argument("--prior", type=Path, default=None, metavar="DIR",
                        help="folder in diffusers' format with the image prior of a diffusion codec (default: the lab's)")
    parser.add_argument("--note", default="", metavar="TEXT", help="a sentence for the card, on what the recipe does not say")


def run(args: argparse.Namespace) -> Path:
    """Train as asked; returns the checkpoint's path. Raises UsageError for an unknown name, option or folder."""
    import importlib

    if args.name not in RECIPES:
        raise UsageError(f"no recipe for '{args.name}': choose from {', '.join(RECIPES)}")
    for folder in args.data:
        if not folder.is_dir():
            raise UsageError(f"'{folder}' is not a folder: --data takes folders of clips and photographs")
    recipe = importlib.import_module(RECIPES[args.name])
    if args.option:
        if not hasattr(recipe, "with_options"):
            raise UsageError(f"{args.name} has no options: leave out --option")
        args.profile = recipe.with_options(args.profile, args.option)
    args.out = args.out or Path("runs") / (args.name if args.profile == "lab" else f"{args.name}-{args.profile}")
    return recipe.train(args, Meter())


class Meter:
    """One line of progress on a terminal, a line every two minutes elsewhere."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()
        self.last = 0.0

    def __call__(self, progress: float, figures: dict[str, float]) -> None:
        if time.monotonic() - self.last < (0.5 if self.terminal else 120):
            return
        self.last = time.monotonic()
        text = f"{100 * progress:5.1f} %  " + "  ".join(f"{k} {v:.4g}" for k, v in figures.items())
        print(f"\r{text}   " if self.terminal else text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> Path:
    """Entry point for `python -m codec_lib.training.train`."""
    parser = argparse.ArgumentParser(prog="codec-lib train", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    main()
