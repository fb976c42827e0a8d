"""`train`: a codec of the book from scratch; what can be said about it is said in `codec_lib.training.train`."""

from __future__ import annotations

import argparse

from codec_lib.training.train import add_arguments as add_arguments

HELP = "train a codec of the book"
EXAMPLES = ("python -m codec_lib train intra --data clips photographs --minutes 100",
            "python -m codec_lib train intra --data clips --out runs/intra --resume",
            "python -m codec_lib train vae --data clips photographs --minutes 100",
            "python -m codec_lib train unet --data photographs --autoencoder data/checkpoints/vae-lab.safetensors",
            "python -m codec_lib train conditional --option temporal_prior=context --data clips")


def run(args: argparse.Namespace) -> None:
    from codec_lib.training import train

    print(f"checkpoint: {train.run(args)}")
