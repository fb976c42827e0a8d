"""The table of conventional codecs: every argument that each encoder is given, in one place.

What the settings are after:

* The makers' slow presets, tuned for PSNR, since PSNR is what is compared: no psychovisual terms, no adaptive quantisation
  for the eye. x264 and x265 ``-tune psnr``, SVT-AV1 ``tune=1``, libaom ``tune=psnr``, VVenC ``-qpa 0``.
* ``ld``, low delay: one I frame, then each frame from past frames only, in order, without lookahead: nothing is sent later
  than the frame it shows. Several past frames may be referenced, as many as the preset likes.
* ``ra``, random access: an I frame every 32 frames exactly, reordered B frames and lookahead as the preset likes them.
* ``intra``: every frame an I frame.
* One thread, frame and wavefront parallelism off: the bytes of x264, x265 and libaom depend on their number.

Constant quantiser or rate factor, whichever gave the better RGB PSNR at equal rate on two clips (33 frames of 448x256, four
rates): with lookahead (``ra``) the rate factor, which lets x264's mbtree, x265's cutree and the AV1 encoders' temporal
dependency model spend bits where later frames profit (a constant quantiser costs x264 2 to 13 %, x265 5 to 10 %, SVT-AV1 12 to
19 %); without lookahead the constant quantiser (the rate factor costs up to 37 % in x264, which then saves on all P frames).
Measured likewise: several past references instead of one save VVenC 1 to 2 %, x264 and x265 1 to 4 %; SVT-AV1 preset 2 saves 6 to
12 % against preset 4, libaom cpu-used 2 saves 6 to 9 % against 4, each for about twice the time. VVenC stays at ``medium``:
``slow`` saves 2 to 3 % for two to three times the time. Coding 8-bit sources in 10 bits, which VVenC always does, would save x265
1 to 2 % and SVT-AV1 2 to 4 %.
"""

from __future__ import annotations

from dataclasses import dataclass

VARIANTS = {
    "ld": "low delay: one I frame, each later frame from past frames only, no lookahead",
    "ra": "random access: an I frame every 32 frames, reordered frames between",
    "intra": "all intra: every frame an I frame",
}
INTRA_PERIOD = 32


@dataclass(frozen=True)
class Variant:
    """One way of using an encoder.

    quantiser: the option that takes the quality, "-qp" (constant) or "-crf" (rate factor).
    options: ffmpeg options. params: entries of the encoder's own parameter list.
    quantisers: rate points for `Codec.default_qualities`, best first; chosen so that at 448x256 they cover about
        0.03 to 1.5 bpp (intra: 0.1 to 2.5) on moving clips and overlap between codecs.
    """

    quantiser: str
    options: tuple[str, ...]
    params: tuple[str, ...]
    quantisers: tuple[int, ...]


@dataclass(frozen=True)
class Settings:
    """One encoder.

    about: name and standard, for tables. library: ffmpeg's name of it. stream: its bitstream, as ffmpeg names the raw format.
    best, worst: range of the quantiser; quality = worst - quantiser.
    options, params: given in every variant; params_option: the option that carries ``params``, joined by colons.
    depth: bits a sample that it always codes, or None for those of the source (8 or 10).
    least, multiple: coded width and height are at least ``least`` and multiples of ``multiple``; smaller and odd
        pictures are padded.
    full_range_params: what it has to be told besides ffmpeg's tags when samples use the full range.
    """

    about: str
    library: str
    stream: str
    best: int
    worst: int
    options: tuple[str, ...]
    params_option: str
    params: tuple[str, ...]
    variants: dict[str, Variant]
    depth: int | None = None
    least: int = 1
    multiple: int = 1
    full_range_params: tuple[str, ...] = ()

    def arguments(self, variant: str, quantiser: int | str, *, full_range: bool = False) -> list[str]:
        """ffmpeg's encoding arguments for one quantiser."""
        v = self.variants[variant]
        params = ":".join(self.params + v.params + (self.full_range_params if full_range else ()))
        coder = ["-c:v", self.library, "-threads", "1", *self.options, *v.options, v.quantiser, str(quantiser)]
        return [*coder, self.params_option, params] if params else coder


_JVET = (17, 22, 27, 32, 37, 42)
"""The quantisers 22, 27, 32, 37 of the JVET common test conditions, and one more step at either end."""
_JVET_INTRA = (22, 27, 32, 37, 42, 47)
_LOWER = tuple(q - 5 for q in _JVET)
_AV1 = (8, 18, 28, 38, 48, 58)
_AV1_INTRA = (10, 20, 30, 40, 50, 60)

ENCODERS: dict[str, Settings] = {
    "x264": Settings(
        about="x264 (H.264/AVC)", library="libx264", stream="h264",
        # QP 0 would switch to the lossless mode of another profile.
        best=1, worst=51, multiple=2,
        options=("-preset", "veryslow", "-tune", "psnr"),
        params_option="-x264-params",
        params=("lookahead-threads=1", "sliced-threads=0", "scenecut=0"),
        variants={
            "ld": Variant("-qp", (), ("keyint=infinite", "bframes=0", "rc-lookahead=0", "sync-lookahead=0"), _JVET),
            # The rate factor 17 is coarser on average than the quantiser 17: mbtree takes from what is not referenced.
            "ra": Variant("-crf", (), (f"keyint={INTRA_PERIOD}", f"min-keyint={INTRA_PERIOD}", "open-gop=1"), _LOWER),
            "intra": Variant("-qp", (), ("keyint=1",), _JVET_INTRA),
        },
    ),
    "x265": Settings(
        about="x265 (H.265/HEVC)", library="libx265", stream="hevc",
        best=0, worst=51, least=16, multiple=2,
        options=("-preset", "veryslow", "-tune", "psnr"),
        params_option="-x265-params",
        params=("pools=none", "frame-threads=1", "wpp=0", "pmode=0", "pme=0", "scenecut=0", "info=0", "log-level=error"),
        variants={
            "ld": Variant("-qp", (), ("keyint=-1", "bframes=0", "rc-lookahead=0", "cutree=0"), _JVET),
            "ra": Variant("-crf", (), (f"keyint={INTRA_PERIOD}", f"min-keyint={INTRA_PERIOD}"), _LOWER),
            "intra": Variant("-qp", (), ("keyint=1",), _JVET_INTRA),
        },
    ),
    "svtav1": Settings(
        about="SVT-AV1 (AV1)", library="libsvtav1", stream="obu",
        best=1, worst=63, least=16,
        options=("-preset", "2"),
        params_option="-svtav1-params",
        params=("tune=1", "lp=1", "scd=0"),
        variants={
            "ld": Variant("-qp", (), ("pred-struct=1", "keyint=-1"), _AV1),
            "ra": Variant("-crf", (), ("pred-struct=2", f"keyint={INTRA_PERIOD}"), _AV1),
            "intra": Variant("-qp", (), ("pred-struct=0", "keyint=1"), _AV1_INTRA),
        },
    ),
    "libaom": Settings(
        about="libaom (AV1)", library="libaom-av1", stream="obu",
        # Quantiser 0 is lossless. AV1 has odd sizes, but through ffmpeg libaom codes their last chroma row and column wrongly.
        best=1, worst=63, multiple=2,
        # No bit rate with a rate factor is libaom's end-usage=q.
        options=("-cpu-used", "2", "-tune", "psnr", "-aq-mode", "0", "-b:v", "0", "-row-mt", "0", "-tiles", "1x1"),
        params_option="-aom-params",
        params=(),
        variants={
            "ld": Variant("-crf", ("-usage", "good", "-lag-in-frames", "0", "-g", "9999"), (), _AV1),
            "ra": Variant(
                "-crf",
                ("-usage", "good", "-lag-in-frames", "35", "-g", str(INTRA_PERIOD), "-keyint_min", str(INTRA_PERIOD)),
                (), _AV1,
            ),
            # The "allintra" usage, made for still pictures, costs 2 to 5 % more here.
            "intra": Variant("-crf", ("-usage", "good", "-lag-in-frames", "0", "-g", "0"), (), _AV1_INTRA),
        },
    ),
    "vvenc": Settings(
        about="VVenC (H.266/VVC)", library="libvvenc", stream="vvc",
        best=0, worst=63, depth=10, least=32, multiple=2, full_range_params=("VideoFullRange=1",),
        options=("-preset", "medium", "-qpa", "0"),
        params_option="-vvenc-params",
        # Access unit delimiters say nothing here and cost 7 bytes a frame.
        params=("AccessUnitDelimiter=0", "POC0IDR=1"),
        variants={
            "ld": Variant(
                "-qp", (),
                ("GOPSize=8", "PicReordering=0", "NumRefPics=4", "DecodingRefreshType=none", "IntraPeriod=-1",
                 # The temporal prefilter looks ahead; kept to past frames it loses 2 to 4 % of rate against none.
                 "MCTF=0", "BIM=0"), _LOWER,
            ),
            "ra": Variant("-qp", (), (f"IntraPeriod={INTRA_PERIOD}", "DecodingRefreshType=cra"), _LOWER),
            "intra": Variant("-qp", (), ("GOPSize=1", "IntraPeriod=1", "DecodingRefreshType=idr"), _JVET_INTRA),
        },
    ),
}  # fmt: skip
