"""Table `image-prior`: what the lab autoencoder loses, and what the lab denoiser has learned, as numbers.

The autoencoder is judged by PSNR and LPIPS of frames that it encodes and decodes. The denoiser is judged at several noise
levels by the mean squared error of the noise that it predicts in the latents of these frames, beside two predictors that
know nothing of pictures: zero, whose error is the variance of the noise, one; and the best linear one, `linear_errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from codec_lib.checkpoint import checkpoint_path, file_sha256
from codec_lib.diffusion.autoencoder import Autoencoder, load_autoencoder
from codec_lib.diffusion.denoiser import Denoiser, load_denoiser
from codec_lib.diffusion.noise import gaussian_noise
from codec_lib.diffusion.process import add_noise, to_noise
from codec_lib.diffusion.schedule import Schedule, scaled_linear
from codec_lib.errors import UsageError
from codec_lib.experiments.provenance import provenance
from codec_lib.experiments.records import Results, label
from codec_lib.metrics import metric
from codec_lib.video import Video, iter_clips

DESCRIPTION = "the lab autoencoder's PSNR and LPIPS; the denoiser's error by noise level, beside trivial predictors"
PAPER: dict = {}

METRICS = ("psnr", "lpips")
LEVELS = (50, 200, 400, 600, 800, 1000)
"""Steps n of the schedule of Stable Diffusion 2.1."""
EVERY = 8
FRAMES = 32
SIDE = 32
"""Frames are cut at the right and at the bottom to multiples of this: what autoencoder and denoiser take without padding."""
WINDOW = 5
SEED = 0

VAE, UNET, ZERO, LINEAR = label("vae", "lab"), label("unet", "lab"), "zero", f"linear {WINDOW}x{WINDOW}"


@torch.no_grad()
def measure(clips: Sequence[str] | None = None, progress: Callable[[int, int, str], None] | None = None) -> Results:
    """Every 8th of the first 32 frames of each clip. Raises MissingWeights where one of the two is not trained yet."""
    paths = {name: checkpoint_path(*name.split("@")) for name in (VAE, UNET)}
    autoencoder, denoiser = load_autoencoder(paths[VAE]), load_denoiser(paths[UNET])
    schedule, absent = scaled_linear(), {m: "weights were not at hand" for m in METRICS if metric(m).available()}
    results = Results("image-prior")
    moments, names = [], []
    for video in stills(clips or ["sample"]):
        if progress:
            progress(len(names), len(names) + 1, video.name)
        if video.name in names:
            raise UsageError(f"two clips are called '{video.name}': give them different file names")
        names.append(video.name)
        latents = torch.cat([autoencoder.encode(x[None].float() / 255) for x in video.frames])
        decoded = Video(rebuilt(autoencoder, latents), video.fps, video.name)
        for m in map(metric, METRICS):
            if m.name not in absent:
                results.add_value(m.name, m(video, decoded), m.unit, codec=VAE, clip=video.name)
        errors = denoiser_errors(denoiser, latents, schedule)
        for n, of_each in zip(LEVELS, errors.tolist(), strict=True):
            for name, value in zip((UNET, ZERO), of_each, strict=True):
                results.add_value(at_step(n), value, codec=name, clip=video.name)
        moments.append(window_moments(latents))
    for codec, m, unit in dict.fromkeys((v.codec, v.metric, v.unit) for v in results.values):
        found = [v.value for v in results.values if (v.codec, v.metric) == (codec, m)]
        results.add_value(m, sum(found) / len(found), unit, codec=codec, clip="mean")
    linear = linear_errors(covariance(moments), schedule.snr[list(LEVELS)], autoencoder.config.latent_channels)
    for n, value in zip(LEVELS, linear.tolist(), strict=True):
        results.add_value(at_step(n), value, codec=LINEAR, clip="mean")
        results.add_value(f"snr {n}", schedule.snr[n].item())
    config = {"clips": names, "frames": FRAMES, "every": EVERY, "multiples_of": SIDE, "levels": list(LEVELS), "window": WINDOW,
              "absent": absent}
    results.provenance |= provenance(config, checkpoints={n: file_sha256(p) for n, p in paths.items()}, seed=SEED)
    return results


def stills(clips: Sequence[str]) -> Iterator[Video]:
    """The frames of each clip that are looked at, cut to what the networks take. Raises UsageError for smaller frames."""
    for video in (v for name in clips for v in iter_clips(name, frames=FRAMES)):
        height, width = (side - side % SIDE for side in (video.height, video.width))
        if min(height, width) < SIDE * 2:
            raise UsageError(f"'{video.name}' is {video.width}x{video.height}: frames of at least {2 * SIDE}x{2 * SIDE} are needed")
        yield Video(video.frames[::EVERY, :, :height, :width].contiguous(), video.fps, video.name)


def rebuilt(autoencoder: Autoencoder, latents: Tensor) -> Tensor:
    """Frames, uint8 (T, 3, H, W), that the decoder makes of latents (T, C, h, w)."""
    pictures = torch.cat([autoencoder.decode(latent[None]) for latent in latents])
    return (255 * pictures.clamp(0, 1)).round().to(torch.uint8)


def denoiser_errors(denoiser: Denoiser, latents: Tensor, schedule: Schedule) -> Tensor:
    """Mean squared error of the predicted noise at each of LEVELS in latents (T, C, h, w), and of predicting zero: (levels, 2).

    Frame and step choose the draw of noise, which is the same for every clip.
    """
    found = torch.zeros(len(LEVELS), 2, dtype=torch.float64)
    for i, n in enumerate(LEVELS):
        for t, y_0 in enumerate(latents):
            eps = gaussian_noise((1, *y_0.shape), seed=SEED, frame=t, step=n)
            y_n = add_noise(schedule, y_0[None], eps, n)
            output = denoiser(y_n, schedule.timesteps[n])
            eps_theta = to_noise(schedule, y_n, output, n, denoiser.config.prediction)
            found[i, 0] += (eps_theta - eps).double().square().mean() / len(latents)
            found[i, 1] += eps.double().square().mean() / len(latents)
    return found


def window_moments(latents: Tensor, k: int = WINDOW) -> tuple[Tensor, Tensor]:
    """Mean (C k k,) and second moment (C k k, C k k), float64, of all windows of k x k latents in (T, C, h, w)."""
    windows = F.unfold(latents.double(), k).transpose(1, 2).flatten(0, 1)
    return windows.mean(0), windows.T @ windows / len(windows)


def covariance(moments: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Covariance (D, D) of windows from the `window_moments` of several clips, each clip counted alike."""
    mean, second = (torch.stack(m).mean(0) for m in zip(*moments, strict=True))
    return second - mean[:, None] * mean


def linear_errors(of_windows: Tensor, snr: Tensor, channels: int) -> Tensor:
    """Mean squared error of the best linear estimate of the noise in a latent from the window around it, at each SNR.

    of_windows: covariance of the clean window x, (D, D) with D = C k k, in the order of `unfold`. snr: (L,),
        alpha_bar / (1 - alpha_bar). channels: C. Returns (L,).

    The window is seen as y = a x + s eps with a^2 = alpha_bar, s^2 = 1 - alpha_bar, and eps of unit covariance, independent
    of x. So y has the covariance M = a^2 S + s^2 I, S that of x, and with P, the C rows of the identity that pick the
    latent in the middle, P eps and y have the covariance s P. The best linear estimate (of best constant, as means are taken
    away) is s P M^-1 (y - a E[x]), and what is left of P eps has the covariance

        I - s^2 P M^-1 P^T = I - P (I + SNR S)^-1 P^T = P SNR S (I + SNR S)^-1 P^T .

    With the eigenvectors u_i and eigenvalues l_i of S the mean of its diagonal is

        error = sum_i w_i SNR l_i / (1 + SNR l_i),   w_i = |P u_i|^2 / C :

    each principal direction of the window costs what of it cannot be told from noise. Only S is needed, no sample of noise.
    Taken from the very frames that are judged, it is the error of a filter that has seen them: no linear filter of this
    size does better on them, and one that was fitted to other frames does worse. It is spared the border, too: windows lie
    inside the frame, while a network is judged everywhere.
    """
    values, vectors = torch.linalg.eigh(of_windows)
    area = len(of_windows) // channels
    middle = torch.arange(channels) * area + area // 2
    share = vectors[middle].square().mean(0)
    gain = snr.double()[:, None] * values.clamp(min=0)
    return (share * gain / (1 + gain)).sum(1)


def at_step(n: int) -> str:
    """Name of an error at step n: "error 400"."""
    return f"error {n}"


def rows(results: Results) -> list[dict]:
    """A row for each clip and one for their mean, with the autoencoder's metrics; then one for each noise level, over all clips."""
    known = {(v.codec, v.clip, v.metric): v for v in results.values}
    found = {("frames", clip): {m: v for m in METRICS if (v := known.get((VAE, clip, m)))}
             for clip in dict.fromkeys(v.clip for v in results.values if v.codec == VAE)}
    for n in LEVELS:
        errors = {c: known[c, "mean", at_step(n)] for c in (UNET, LINEAR, ZERO)}
        found["noise", f"n = {n}"] = {"snr": known[None, None, f"snr {n}"], **errors}
    return [{"what": what, "of": of, **{c: v.value for c, v in cells.items()}, "ids": {c: v.id for c, v in cells.items()}}
            for (what, of), cells in found.items()]
