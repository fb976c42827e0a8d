"""Frames in a page: side by side under their names, lossless, with caption and alternative text."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codec_lib.errors import UsageError

STORED = (("lossless WebP", {"lossless": True, "method": 4}), ("WebP, quality 95", {"quality": 95}),
          ("WebP, quality 90", {"quality": 90}), ("WebP, quality 80", {"quality": 80}), ("WebP, quality 65", {"quality": 65}))
"""How many frames of a page are stored, best first: the first that fits the page's budget is used, and the page says which."""


@dataclass
class Pictures:
    """A finished row of pictures."""

    markup: str
    caption: str

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"Pictures: {self.caption}"


def pictures(frames: Mapping[str, object], *, caption: str, alt: str, width: int = 720, pixelated: bool = False) -> Pictures:
    """Frames side by side.

    frames: name -> uint8 array or tensor, (3, H, W) for colour or (H, W) for grey. width: of the whole row in pixels.
    pixelated: show pixels as squares when enlarged. Raises UsageError for another shape or a missing caption or alt text.
    """
    if len(caption.split()) < 3 or len(alt.split()) < 3:
        raise UsageError("pictures need a caption and an alt text of at least a few words")
    cells = []
    for name, frame in frames.items():
        frame = np.asarray(frame)
        if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[0] != 3):
            raise UsageError(f"'{name}' must be uint8 (3, H, W) or (H, W), not {frame.dtype} {frame.shape}")
        look = ";image-rendering:pixelated" if pixelated else ""
        cells.append(f'<figure style="flex:1;min-width:0;margin:0"><img src="{data_uri(frame, "PNG", optimize=True)}" '
                     f'alt="{html.escape(name)}" style="width:100%{look}"><figcaption>{html.escape(name)}</figcaption></figure>')
    return Pictures(f'<figure class="pictures" data-live role="group" aria-label="{html.escape(alt)}" style="margin:1em 0">'
                    f'<div style="display:flex;gap:8px;max-width:{width}px">{"".join(cells)}</div>'
                    f"<figcaption>{html.escape(caption)}</figcaption></figure>", caption)


def data_uri(frame: np.ndarray, kind: str, **options) -> str:
    """A frame, uint8 (3, H, W) or (H, W), as a data URI of format ``kind`` (PNG, WEBP, JPEG)."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(frame if frame.ndim == 2 else np.ascontiguousarray(frame.transpose(1, 2, 0))).save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"


def fitting(frames: Sequence[np.ndarray], max_bytes: int) -> tuple[list[str], str]:
    """Frames, uint8 (3, H, W) each, as data URIs of at most ``max_bytes`` in all, and how they are stored (`STORED`).

    Raises UsageError where they do not fit in any way.
    """
    for stored, options in STORED:
        sources, size = [], 0
        for frame in frames:
            sources.append(data_uri(frame, "WEBP", **options))
            size += len(sources[-1])
            if size > max_bytes:
                break
        else:
            return sources, stored
    raise UsageError(f"{len(frames)} frames do not fit {max_bytes} bytes: show fewer or smaller ones")
