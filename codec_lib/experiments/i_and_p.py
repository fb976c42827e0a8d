"""Table `i-and-p`: what P frames are worth: the conditional codec against its own I-frame codec on every frame.

Both code the first frames of each clip at their default qualities. Four questions:

*Whole clips.* BD-rate in RGB PSNR of I and P frames against I frames only.
*P frames.* The same on all frames but the first, rates taken from the packets: bits of P frames as a share of the bits of I frames
of the same quality. Beside it stands how far things move from frame to frame, since that is what a P frame has to tell.
*Speed.* Frames a second on the first clip, encoding and decoding, in this process, with as many threads as are named. It is measured
last, so that a run that is resumed on a quiet machine measures no more than that.
*Arithmetic.* kMAC/pixel, where a P frame is one after another P frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from codec_lib.codecs.conditional.model import ConditionalModel
from codec_lib.codecs.intra.model import IntraModel
from codec_lib.codecs.protocol import Codec, load_codec
from codec_lib.experiments import p_frame
from codec_lib.experiments.complexity import part_macs
from codec_lib.experiments.evaluate import Progress
from codec_lib.experiments.frame_points import PointLog, add_mean, code_clip, measure_points
from codec_lib.experiments.records import Results, label
from codec_lib.metrics.bd import bd_rate
from codec_lib.metrics.complexity import count_macs
from codec_lib.video import Video, find_clips

DESCRIPTION = "I and P frames of the conditional codec against I frames only: rate, share of P frames, speed, kMAC/pixel"
PAPER: dict = {}

INTRA, CONDITIONAL = label("intra", "lab"), label("conditional", "lab")
FRAMES = 32
SLOW = 2.0
"""Clips that move by less than so many pixels a frame, on average, count as slow."""
WHOLE, SHARE, MOTION = "bd-rate of whole clips", "share of P frames", "motion"
SPEED_FRAMES = 16
"""Of the first clip, coded at the middle quality to time it."""
CHECK, CHECK_FRAMES = "sample:carphone", 8
"""A small rate point that is kept for chapter 04 to measure again."""
COUNTS = ("threads", "encode_fps", "decode_fps", "kmac_per_pixel", "kmac_per_pixel decoding")
RESUMABLE = True


def measure(clips: Sequence[str] | None = None, progress: Progress | None = None, *, out: Path | None = None,
            resume: Results | None = None) -> Results:
    """All rate points on ``clips`` (the offline samples unless given), and what follows from them."""
    codecs = {name: load_codec(name) for name in (INTRA, CONDITIONAL)}
    log = PointLog("i-and-p", {"frames": FRAMES, "threads": torch.get_num_threads()},
                   {name: c.checkpoint.hex() for name, c in codecs.items()}, out, resume)
    measure_points(log, codecs, clips, FRAMES, lambda name, coded, video: {MOTION: (movement(video), "pixel/frame")}, progress)
    results = log.finish()
    _compare(log)
    first = next(s for named in clips or ["sample"] for s in find_clips(named)).load(SPEED_FRAMES)
    for name, codec in codecs.items():
        _cost(results, name, codec, first)
    _keep_check(results, codecs[CONDITIONAL])
    return results


def _keep_check(results: Results, codec: Codec) -> None:
    results.values = [v for v in results.values if v.metric not in ("check bpp", "check psnr")]  # of a run that goes on
    source = find_clips(CHECK)[0]
    record = code_clip(codec, replace(source.load(CHECK_FRAMES), name=source.name), codec.default_qualities[2]).record
    for what, value, unit in (("check bpp", record.bpp, "bit/pixel"), ("check psnr", record.metrics["psnr"], "dB")):
        results.add_value(what, value, unit, codec=CONDITIONAL, clip=record.clip, quality=record.quality)


def movement(video: Video) -> float:
    """Mean length of the optical flow between neighbouring frames (DIS, Kroeger et al. 2016), in pixels; 0 for a single frame."""
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(np.ascontiguousarray(f.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2GRAY) for f in video.frames]
    flows = [dis.calc(a, b, None) for a, b in zip(grey[1:], grey[:-1], strict=True)]
    return float(np.mean([np.hypot(f[..., 0], f[..., 1]).mean() for f in flows])) if flows else 0.0


def _compare(log: PointLog) -> None:
    whole, share, motion = {}, {}, {}
    for clip in log.clips():
        whole[clip], of_p = (bd_rate(*(log.curve(name, clip, *columns) for name in (INTRA, CONDITIONAL))).percent
                             for columns in (("bpp", "psnr"), ("bpp of P", "psnr of P")))
        share[clip] = None if of_p is None else 100 + of_p
        motion[clip] = log.curve(CONDITIONAL, clip, "bpp", MOTION)[0][1]
    add_mean(log.results, WHOLE, whole, "%", CONDITIONAL)
    add_mean(log.results, SHARE, share, "%", CONDITIONAL)
    add_mean(log.results, MOTION, motion, "pixel/frame", CONDITIONAL)
    slow = [share[clip] for clip in share if motion[clip] < SLOW and share[clip] is not None]
    if slow:
        log.results.add_value(SHARE, float(np.mean(slow)), "%", codec=CONDITIONAL, clip="slow")


def _cost(results: Results, name: str, codec: Codec, video: Video) -> None:
    """Speed on a clip, after a first run that is not counted, and arithmetic."""
    quality = codec.default_qualities[len(codec.default_qualities) // 2]
    timed = [code_clip(codec, video, quality).record for _ in range(2)][-1]
    encoding, decoding = arithmetic(codec)
    for what, value, unit in (("threads", torch.get_num_threads(), ""),
                              ("encode_fps", timed.frames / timed.encode_s, "frame/s"),
                              ("decode_fps", timed.frames / timed.decode_s, "frame/s"),
                              ("kmac_per_pixel", encoding, "kMAC/px"), ("kmac_per_pixel decoding", decoding, "kMAC/px")):
        results.add_value(what, value, unit, codec=name)


def arithmetic(codec: Codec) -> tuple[float, float]:
    """kMAC/pixel of all networks that code a frame, and of those that decode one."""
    area = 1000 * p_frame.WIDTH * p_frame.HEIGHT
    with torch.device("meta"):
        if codec.name == "intra":
            model = IntraModel(codec.config)
            macs = count_macs(model, torch.zeros(1, 3, p_frame.HEIGHT, p_frame.WIDTH), torch.zeros(1))
            whole, encoder = macs.total, sum(part_macs(macs, part) for part in ("g_a", "h_a"))
            return whole / area, (whole - encoder) / area
        model = ConditionalModel(codec.config)
    counted = p_frame.macs(model)
    return counted[p_frame.WHOLE] / area, counted[p_frame.DECODING] / area


def rows(results: Results) -> list[dict]:
    """A row for each clip, the mean, the mean over slow clips; then a row for each codec with what it costs."""
    values = {(v.codec, v.clip, v.metric): v for v in results.values if v.quality is None}
    names = [c for c in dict.fromkeys(v.clip for v in results.values if v.quality is None and v.clip) if c not in ("mean", "slow")]
    table = []
    for clip in (*names, "mean", "slow"):
        cells = {what: values.get((CONDITIONAL, clip, what)) for what in (MOTION, WHOLE, SHARE)}
        if any(cells.values()):
            table.append(_row({"clip": clip}, cells))
    return table + [_row({"codec": name}, {what: values.get((name, None, what)) for what in COUNTS}) for name in (INTRA, CONDITIONAL)]


def _row(names: dict, cells: dict) -> dict:
    return {**names, **{what: v and v.value for what, v in cells.items()}, "ids": {what: v.id for what, v in cells.items() if v}}
