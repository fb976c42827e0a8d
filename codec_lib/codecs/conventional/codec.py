"""`ConventionalCodec`: x264, x265, SVT-AV1, libaom and VVenC behind the protocol of all codecs."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from codec_lib.codecs.conventional import bitstream
from codec_lib.codecs.conventional.decoding import decode
from codec_lib.codecs.conventional.ffmpeg import FFmpegFailed, run
from codec_lib.codecs.conventional.settings import ENCODERS, Settings
from codec_lib.codecs.protocol import Codec, Progress
from codec_lib.errors import UsageError
from codec_lib.video import Video, YUVPlanes, rgb_to_yuv
from codec_lib.video.raw import frame_bytes

# Matrix, primaries and transfer curve by ffmpeg's names.
_COLOUR = {
    "bt709": ("bt709", "bt709", "bt709"),
    "bt601": ("smpte170m", "smpte170m", "smpte170m"),
    "bt2020": ("bt2020nc", "bt2020", "bt2020-10"),
}


class ConventionalCodec(Codec):
    """An encoder of the bundled ffmpeg in one variant; its streams are bare elementary streams.

    quality = worst quantiser - quantiser: each step is one step of the encoder's own scale.
    timeout: wall-clock seconds for each run of ffmpeg; by default generous ones that grow with the clip.
    """

    profile = "system"

    def __init__(self, encoder: str, variant: str, timeout: float | None = None):
        self.name = f"{encoder}:{variant}"
        self.settings: Settings = ENCODERS[encoder]
        self.variant = variant
        self.timeout = timeout
        self.qualities = range(self.settings.worst - self.settings.best + 1)
        quantisers = self.settings.variants[variant].quantisers
        self.default_qualities = tuple(sorted(self.settings.worst - q for q in quantisers))

    def encode(self, video: Video, quality: int, progress: Progress | None = None) -> bytes:
        """Code the clip's own 4:2:0 samples where it has them, else its RGB frames converted to 8-bit BT.709 4:2:0.

        Raises UsageError for an illegal quality, FFmpegFailed when the encoder refuses the clip.
        """
        self.check_quality(quality)
        planes = coded_samples(video, self.settings)
        height, width = planes.y.shape[1:]
        arguments = self._arguments(planes, video.fps, quality)
        with tempfile.TemporaryDirectory(prefix="codec_lib_") as folder:
            folder = Path(folder)
            with open(folder / "in", "wb") as file:
                for t in range(len(video)):
                    file.write(frame_bytes(_frame(planes, t)))
            try:
                run(arguments, folder, limit_s=self.timeout or 600 + 1e-3 * video.pixels,
                    on_frame=progress and (lambda n: progress(min(n, len(video)), len(video))))
            except FFmpegFailed as error:
                raise FFmpegFailed(f"{self.name} could not code '{video.name}' ({width}x{height}): {error}") from error
            stream = (folder / "out").read_bytes()
        kind = self.settings.stream
        if kind == "h264":
            stream = bitstream.without_user_data(stream)
        if self.variant == "intra":
            stream = bitstream.with_headers_once(stream, kind)
        return bitstream.finished(stream, kind, width - video.width, height - video.height)

    def decode(self, stream: bytes, progress: Progress | None = None) -> Video:
        """Decode a stream of any of the four kinds; the bytes say which. ``yuv`` holds the samples as decoded."""
        video = decode(stream, self.name, self.timeout)
        if progress:
            progress(len(video), len(video))
        return video

    def _arguments(self, planes: YUVPlanes, fps: Fraction, quality: int) -> list[str]:
        s = self.settings
        height, width = planes.y.shape[1:]
        rate = fps.limit_denominator(65535)
        rate = f"{rate.numerator}/{rate.denominator}"
        pixels = "yuv420p" if planes.bit_depth == 8 else "yuv420p10le"
        matrix, primaries, curve = _COLOUR[planes.matrix]
        tags = (f"setparams=range={'pc' if planes.full_range else 'tv'}:colorspace={matrix}"
                f":color_primaries={primaries}:color_trc={curve}")
        source = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", f"{width}x{height}", "-framerate", rate, "-i", "in"]
        quantiser = s.worst - quality
        if s.library == "libx264" and s.variants[self.variant].quantiser == "-qp" and planes.bit_depth == 10:
            quantiser += 12  # x264 counts constant quantisers from the depth's own zero, 6 steps a bit
        coder = s.arguments(self.variant, quantiser, full_range=planes.full_range)
        sink = ["-vf", tags, "-pix_fmt", pixels, "-fps_mode", "passthrough", *coder]
        if s.stream == "obu":
            sink += ["-bsf:v", f"av1_metadata=tick_rate={rate}:num_ticks_per_picture=1"]
        return [*source, *sink, "-f", s.stream, "out"]


def coded_samples(video: Video, settings: Settings) -> YUVPlanes:
    """What the encoder is given: 4:2:0 planes of a depth and size that it takes, edges repeated where they are padded."""
    planes = video.yuv
    if planes is None or planes.subsampling != "420" or planes.bit_depth not in (8, 10):
        planes = rgb_to_yuv(video.frames)
    if settings.depth and planes.bit_depth < settings.depth:
        shift = settings.depth - planes.bit_depth
        y, u, v = (p.to(torch.int16) << shift for p in (planes.y, planes.u, planes.v))
        planes = replace(planes, y=y, u=u, v=v, bit_depth=settings.depth)
    height, width = (max(settings.least, -(-n // settings.multiple) * settings.multiple) for n in planes.y.shape[1:])
    chroma = (height + 1) // 2, (width + 1) // 2
    return replace(planes, y=_padded(planes.y, height, width), u=_padded(planes.u, *chroma), v=_padded(planes.v, *chroma))


def _padded(plane: Tensor, height: int, width: int) -> Tensor:
    """(T, H, W) to (T, height, width), both at least H and W, by repeating the last row and column."""
    if plane.shape[1:] == (height, width):
        return plane
    rows = torch.arange(height).clamp(max=plane.shape[1] - 1)
    columns = torch.arange(width).clamp(max=plane.shape[2] - 1)
    return plane[:, rows][:, :, columns]


def _frame(planes: YUVPlanes, t: int) -> YUVPlanes:
    return replace(planes, y=planes.y[t], u=planes.u[t], v=planes.v[t])


def parse_name(name: str) -> tuple[str, str]:
    """(encoder, variant) of a name such as "x265:ra"; a plain name means low delay."""
    encoder, _, variant = name.partition(":")
    variant = variant or "ld"
    if encoder not in ENCODERS:
        raise UsageError(f"unknown conventional codec '{encoder}': choose from {', '.join(ENCODERS)}")
    if variant not in ENCODERS[encoder].variants:
        raise UsageError(f"'{encoder}' has no variant '{variant}': choose from {', '.join(ENCODERS[encoder].variants)}")
    return encoder, variant
