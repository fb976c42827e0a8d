"""Table `diffvc-complexity`: what DiffVC's networks cost, at lab size and with Stable Diffusion 2.1, and how long frames take.

Networks are counted, not run. Counts are for a P frame of 832x480, padded; attention grows faster than the frame, so other sizes
have other numbers a pixel. A generator with N = 50 and D = 25 is called 25.8 times a frame, as the mean of an intra period of 32.

Seconds are measured, of the conditional codec, of the lab codec with its own and with the paper's number of steps, and with its
generator in the coding loop, in this process with as many threads as are named: the first P frame after an I frame, which runs all
N steps, and later ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.diffvc.config import PROFILES, LatentConfig
from codec_lib.codecs.diffvc.control import Control
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.codecs.diffvc.picture import Carried, Gates
from codec_lib.codecs.neural import NeuralCodec
from codec_lib.codecs.protocol import load_codec
from codec_lib.diffusion import autoencoder, denoiser
from codec_lib.diffusion.reuse import calls_per_period
from codec_lib.entropy.container import read_stream
from codec_lib.experiments import p_frame
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.papers import cell
from codec_lib.experiments.provenance import provenance, weights_of
from codec_lib.experiments.records import Results, label
from codec_lib.metrics.complexity import count_macs
from codec_lib.video import Video, find_clips

DESCRIPTION = "parameters, kMAC/pixel and seconds a frame of DiffVC's parts, at lab and at paper size"

SIZES = ("lab", "paper")
"""Profiles that are counted; `mse` has lab's networks."""
WIDTH, HEIGHT = 832, 480
PERIOD = 32
FRAMES = 5
"""The I frame, the first P frame, and three more that are timed."""
CODEC, ENCODE, DECODE, DENOISER, CONTROL = "contextual codec", "autoencoder: encoder", "autoencoder: decoder", "denoiser", "control"
GATES = "gates"
"""The last I frame is blended in at lab size alone, as there is a shortcut beside the control at lab size alone."""
PARTS = (CODEC, ENCODE, DECODE, DENOISER, CONTROL, GATES)
CONDITIONAL, QUICK, FREE, LOOP = (label("conditional", "lab"), label("diffvc", "lab"), label(f"diffvc:steps={Sampling.steps}", "lab"),
                                  label("diffvc", "lab-loop"))
"""Those of DiffVC: as the lab draws if nothing is said, and with the paper's steps outside and inside the coding loop."""
TIMED = (CONDITIONAL, QUICK, FREE, LOOP)
SLOWER, SYMMETRIC, UNET = "decoding time over conditional", "encoding time over decoding time", "size"
PAPER_CELLS = {
    ("parameters", DENOISER): "diffvc.parameters/unet/value",
    ("parameters", CONTROL): "diffvc.parameters/controlnet/value",
    ("parameters", CODEC): "diffvc.parameters/codec/value",
}
PAPER = {f"{what} {part}": asdict(cell(key)) for (what, part), key in PAPER_CELLS.items()}
PAPER |= {f"{way} fps": asdict(cell(f"diffvc.speed/diffvc/{WIDTH}x{HEIGHT}-{way[:3]}")) for way in ("encoding", "decoding")}


class Shapes(nn.Module):
    """Stands for the space of latents where only shapes are asked for."""

    def __init__(self, c: LatentConfig):
        super().__init__()
        self.c = c

    def _latents(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), self.c.signal_channels, x.shape[2] // self.c.signal_stride, x.shape[3] // self.c.signal_stride)

    def signal(self, x: Tensor) -> Tensor:
        return self._latents(x)

    def picture(self, signal: Tensor) -> Tensor:
        return F.interpolate(signal[:, :3], scale_factor=self.c.signal_stride)

    def seen(self, x_hat: Tensor, signal: Tensor | None) -> Tensor:
        return x_hat

    def still(self, seen: Tensor) -> Tensor:
        return self._latents(seen)

    def forward(self, seen: Tensor, flow: Tensor) -> Tensor:
        return self._latents(seen)


def calls(config: LatentConfig) -> dict[str, tuple[float, float]]:
    """How often each part is called for a P frame after a P frame: (by an encoder, by a decoder).

    Predictions through pixels encode the frame before, and it again where it has come to lie; an encoder encodes its own frame. The
    decoded latent becomes a picture for the next frame, and what is drawn becomes one to be shown.
    """
    s = Sampling()
    seen = 2 if config.alignment == "frame" else 0
    drawn = calls_per_period(PERIOD - 1, s.steps, s.depth) / (PERIOD - 1)
    return {CODEC: (1, 1), ENCODE: (seen + 1, seen), DECODE: (1, 2), DENOISER: (0, drawn), CONTROL: (0, drawn), GATES: (0, 1)}


def networks(profile: str) -> dict[str, nn.Module]:
    """The parts that are whole networks, on the meta device."""
    c, lab = PROFILES[profile], profile == "lab"
    with torch.device("meta"):
        unet = denoiser.Denoiser(denoiser.PROFILES[profile])
        return {CODEC: ConditionalModel(c, Shapes(c)), "autoencoder": autoencoder.Autoencoder(autoencoder.PROFILES[profile]),
                DENOISER: unet, CONTROL: Control(unet, c.signal_channels + c.widths[0], shortcut=lab), **({GATES: Gates()} if lab else {})}


def parameters(parts: dict[str, nn.Module]) -> dict[str, int]:
    """Parameters of each part. What a denoiser is given where there is no prompt is not counted."""
    vae = parts["autoencoder"]
    encoder = [n for n, _ in vae.named_parameters() if n.startswith(("network.encoder.", "network.quant_conv.", "linear.analysis."))]
    sizes = {n: p.numel() for n, p in vae.named_parameters()}
    counted = {part: sum(p.numel() for p in m.parameters()) for part, m in parts.items()}
    return {CODEC: counted[CODEC], ENCODE: sum(sizes[n] for n in encoder), DECODE: counted["autoencoder"] - sum(sizes[n] for n in encoder),
            DENOISER: counted[DENOISER] - parts[DENOISER].empty.numel(), **{p: counted[p] for p in (CONTROL, GATES) if p in counted}}


def macs(parts: dict[str, nn.Module]) -> dict[str, tuple[int, int]]:
    """Multiply-accumulates of each part called once: (by an encoder, by a decoder), which differ for the contextual codec."""
    model, vae, unet = parts[CODEC], parts["autoencoder"], parts[DENOISER]
    c = model.config
    height, width = (-(-side // c.stride) * c.stride for side in (HEIGHT, WIDTH))
    codec = p_frame.macs(model, height, width)
    with torch.device("meta"):
        x, y = torch.zeros(1, 3, height, width), torch.zeros(1, c.signal_channels, height // 8, width // 8)
        c0, step = torch.zeros(1, c.widths[0], height // 8, width // 8), torch.zeros(1)
    encode = count_macs(vae, x, call=lambda m, x: m.encode(x)).total
    decode = count_macs(vae, y, call=lambda m, y: m.decode(y)).total
    context = unet.empty.expand(1, -1, -1)
    noise = count_macs(unet, y, step).total
    control = count_macs(parts[CONTROL], y, step, context, y, c0, call=_controlled).total
    gates = {GATES: (count_macs(parts[GATES], x, x, Carried(x, x, x[:, :2])).total,) * 2} if GATES in parts else {}
    return {CODEC: (codec[p_frame.WHOLE], codec[p_frame.DECODING]), ENCODE: (encode,) * 2, DECODE: (decode,) * 2,
            DENOISER: (noise,) * 2, CONTROL: (control,) * 2, **gates}


def _controlled(control: Control, *seen: Tensor) -> Tensor:
    """All that a control does in a step of denoising; arguments as for `Control`."""
    control(*seen)
    return control.predicted(*seen)


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None) -> Results:
    """Count the networks, and time the first frames of the first clip (the offline samples unless given), enlarged to 832x480."""
    results, checkpoints = Results("diffvc-complexity"), {}
    for profile in SIZES:
        _count(results, profile)
    video = enlarged(next(s for named in clips or ["sample"] for s in find_clips(named)).load(FRAMES))
    seconds = {}
    for done, name in enumerate(TIMED):
        if progress:
            progress(done, len(TIMED), name)
        codec = load_codec(name)
        checkpoints[name] = weights_of(codec)
        seconds[name] = {way: of_period(t) for way, t in timed(codec, video).items()}
        for way, s in seconds[name].items():
            results.add_value(f"{way} seconds", s, "s", codec=name)
        results.add_value("threads", torch.get_num_threads(), codec=name)
    results.add_value(SLOWER, seconds[FREE]["decoding"] / seconds[CONDITIONAL]["decoding"], codec=FREE)
    results.add_value(SYMMETRIC, seconds[LOOP]["encoding"] / seconds[LOOP]["decoding"], codec=LOOP)
    config = {"count_at": [WIDTH, HEIGHT], "frames": FRAMES, "clip": video.name, "sampling": asdict(Sampling()), "period": PERIOD}
    results.provenance |= provenance(config, checkpoints=checkpoints)
    return results


def _count(results: Results, profile: str) -> None:
    parts, name = networks(profile), label("diffvc", profile)
    size, cost, called = parameters(parts), macs(parts), calls(PROFILES[profile])
    ways = [0.0, 0.0]
    for part in cost:
        results.add_value(f"parameters {part}", size[part], codec=name)
        results.add_value(f"kmac_per_pixel {part}", cost[part][0] / (1000 * WIDTH * HEIGHT), "kMAC/px", codec=name)
        for i, way in enumerate(("encoding", "decoding")):
            results.add_value(f"{way} calls {part}", called[part][i], codec=name)
            ways[i] += called[part][i] * cost[part][i] / (1000 * WIDTH * HEIGHT)
    results.add_value("encoding kmac_per_pixel", ways[0], "kMAC/px", codec=name)
    results.add_value("decoding kmac_per_pixel", ways[1], "kMAC/px", codec=name)
    results.add_value(UNET, size[DENOISER] / 1e6, "M", codec=name)


def enlarged(video: Video) -> Video:
    """A clip at 832x480. What is in the frames hardly changes how long they take."""
    frames = F.interpolate(video.frames.float(), (HEIGHT, WIDTH), mode="bicubic", align_corners=False)
    return replace(video, frames=frames.clamp(0, 255).round().to(torch.uint8))


def timed(codec: NeuralCodec, video: Video) -> dict[str, list[float]]:
    """Seconds of each frame, I frame first, encoding and decoding, pictures included; the encoder's first pass (`Structure.refresh`),
    which is the lab's own, is not."""
    quality = codec.qualities[len(codec.qualities) // 2]
    header, packets = read_stream(codec.encode(video, quality))  # its first pass is kept for what follows
    with torch.inference_mode():
        return {"encoding": list(_laps(codec.code(video, quality), lambda coded: None)),
                "decoding": list(_laps(codec.read(header, packets, False), lambda read: read.pictures()))}


def _laps(steps: Iterator, finish: Callable) -> Iterator[float]:
    start = time.perf_counter()
    for step in steps:
        finish(step)
        yield time.perf_counter() - start
        start = time.perf_counter()


def of_period(seconds: Sequence[float]) -> float:
    """Mean over the P frames of an intra period: one like the first that was timed, all others like the later ones."""
    return (seconds[1] + (PERIOD - 2) * float(np.median(seconds[2:]))) / (PERIOD - 1)


def rows(results: Results) -> list[dict]:
    """A row for each part and for the sum of its calls; then a row for each codec that was timed."""
    values, table = {(v.codec, v.metric): v for v in results.values}, []
    for profile in SIZES:
        name = label("diffvc", profile)
        for part in (p for p in PARTS if (name, f"parameters {p}") in values):
            wanted = {"parameters": f"parameters {part}", "kmac_per_pixel": f"kmac_per_pixel {part}",
                      "encoding_calls": f"encoding calls {part}", "decoding_calls": f"decoding calls {part}"}
            row = _row({"codec": name, "part": part}, wanted, values)
            known = PAPER.get(f"parameters {part}") if profile == "paper" else None
            table.append(row | ({"paper_parameters": known["value"] * 1e6, "location": known["location"]} if known else {}))
        for way in ("encoding", "decoding"):
            table.append(_row({"codec": name, "part": way}, {"kmac_per_pixel": f"{way} kmac_per_pixel"}, values))
    for name in TIMED:
        wanted = {"encoding_s": "encoding seconds", "decoding_s": "decoding seconds", "threads": "threads"}
        row = _row({"codec": name, "part": "a P frame"}, {c: m for c, m in wanted.items() if (name, m) in values}, values)
        if name == LOOP:
            row |= {f"paper_{way}_s": 1 / PAPER[f"{way} fps"]["value"] for way in ("encoding", "decoding")}
            row["location"] = PAPER["decoding fps"]["location"]
        table.append(row)
    return table


def _row(names: dict, wanted: dict[str, str], values: dict) -> dict:
    cells = {column: values[names["codec"], metric] for column, metric in wanted.items()}
    return {**names, **{c: v.value for c, v in cells.items()}, "ids": {c: v.id for c, v in cells.items()}}
