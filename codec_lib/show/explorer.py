"""One picture for every setting of some sliders, and its place on curves; needs no kernel and no network.

Where `player` compares two versions, this shows one, chosen by a slider for each thing that was varied. What stands below it and
the ring on the curves follow. All pictures are part of the page, and all controls are plain HTML inputs.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codec_lib.errors import UsageError
from codec_lib.show.images import fitting
from codec_lib.show.numbers import Shown, said
from codec_lib.show.plots import Figure

AXES = 4
"""More sliders than this nobody keeps in mind, and their pictures do not fit a page."""

SCRIPT = """
(function () {
  var root = document.getElementById("ID"), stops = STOPS, pictures = PICTURES, notes = NOTES, points = POINTS;
  if (!root || root.dataset.ready) return;
  root.dataset.ready = "1";
  function part(name) { return root.querySelector('[data-part="' + name + '"]'); }
  var sliders = stops.map(function (_, i) { return part("axis-" + i); });
  var ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  [["r", 8], ["fill", "none"], ["stroke", "currentColor"], ["stroke-width", 2.5]].forEach(function (a) { ring.setAttribute(a[0], a[1]); });
  function mark(point) {
    var series = point && root.querySelector('[data-series="' + point[0] + '"]');
    var marker = series && series.querySelectorAll("use")[point[1]];
    if (!marker) { ring.remove(); return; }
    ring.setAttribute("cx", marker.getAttribute("x"));
    ring.setAttribute("cy", marker.getAttribute("y"));
    series.ownerSVGElement.appendChild(ring);
  }
  function draw() {
    var at = 0;
    sliders.forEach(function (slider, i) {
      at = at * stops[i].length + +slider.value;
      part("stop-" + i).textContent = stops[i][+slider.value];
      slider.setAttribute("aria-valuetext", stops[i][+slider.value]);
    });
    part("picture").src = pictures[at];
    if (part("note").innerHTML !== notes[at]) part("note").innerHTML = notes[at];
    mark(points[at]);
  }
  sliders.forEach(function (slider) { slider.addEventListener("input", draw); });
  draw();
})();
"""


@dataclass
class Explorer:
    """A finished explorer. ``stored``: how its pictures are kept; ``settings``: how many there are."""

    markup: str
    caption: str
    stored: str
    settings: int

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"Explorer: {self.caption}"


def explore(axes: Mapping[str, Sequence[object]], picture: Callable[..., object], *, caption: str, alt: str,
            note: Callable[..., Sequence[Shown | str]] | None = None, curves: Figure | None = None,
            point: Callable[..., tuple[str, int] | None] | None = None, width: int = 520, max_bytes: int = 3_000_000) -> Explorer:
    """Sliders over what was varied, with the picture of each setting.

    axes: name of a slider -> its stops from left to right, each shown as text; the first of all are shown at the beginning.
    picture, note, point: called with one stop of each axis. picture: uint8 (3, H, W), array or tensor, all of one shape.
    note: what stands below it, text or numbers with their origin. curves: a figure of `lines`, with markers; point: the name of one
    of its curves and the number of a point on it, which gets a ring, or None. width: of the page's box in pixels.
    max_bytes: budget for the pictures.
    Raises UsageError for no axis or more than `AXES`, an axis of fewer than two stops, pictures of unequal size or another kind, a
    point that is not on the curves, or pictures that do not fit the budget at any quality.
    """
    if len(caption.split()) < 3 or len(alt.split()) < 3:
        raise UsageError("an explorer needs a caption and an alt text of at least a few words")
    if not 1 <= len(axes) <= AXES or any(len(stops) < 2 for stops in axes.values()):
        raise UsageError(f"an explorer has 1 to {AXES} sliders of at least two stops each")
    if (curves is None) != (point is None):
        raise UsageError("curves and the point to be marked on them go together")
    settings = list(itertools.product(*axes.values()))
    frames = [np.asarray(picture(*setting)) for setting in settings]
    if len({f.shape for f in frames}) != 1 or frames[0].dtype != np.uint8 or frames[0].ndim != 3 or len(frames[0]) != 3:
        raise UsageError(f"pictures must be uint8 (3, H, W) of one shape, not {sorted({(str(f.dtype), f.shape) for f in frames})}")
    sources, stored = fitting(frames, max_bytes)
    notes = ["".join(map(said, note(*setting))) if note else "" for setting in settings]
    points = [_place(curves, point(*setting)) if curves else None for setting in settings]
    return Explorer(_markup(axes, frames[0].shape, sources, notes, points, curves, caption, alt, width, stored), caption, stored,
                    len(settings))


def _place(curves: Figure, found: tuple[str, int] | None) -> tuple[int, int] | None:
    """Number of the curve and of the point on it, as the drawing has them."""
    if found is None:
        return None
    name, at = found
    if name not in curves.data or not 0 <= at < len(curves.data[name]["x"]):
        raise UsageError(f"there is no point {at} on a curve '{name}' of this figure")
    return list(curves.data).index(name), at


def _markup(axes: Mapping[str, Sequence[object]], shape: tuple, sources: list[str], notes: list[str],
            points: list[tuple[int, int] | None], curves: Figure | None, caption: str, alt: str, width: int, stored: str) -> str:
    name = "explorer-" + hashlib.sha256((caption + alt).encode()).hexdigest()[:10]
    stops = [[str(stop) for stop in of] for of in axes.values()]
    parts = {"ID": name, "STOPS": stops, "PICTURES": sources, "NOTES": notes, "POINTS": points}
    script = re.sub(rf'"?\b({"|".join(parts)})\b"?', lambda m: json.dumps(parts[m[1]], ensure_ascii=False).replace("</", "<\\/"), SCRIPT)
    sliders = "".join(
        f'<label style="display:flex;gap:8px"><span style="min-width:5em">{html.escape(axis)}</span>'
        f'<input data-part="axis-{i}" type="range" min="0" max="{len(of) - 1}" value="0" aria-valuetext="{html.escape(of[0])}" style="flex:1">'
        f'<output data-part="stop-{i}" style="min-width:3em;text-align:right">{html.escape(of[0])}</output></label>'
        for i, (axis, of) in enumerate(zip(axes, stops, strict=True)))
    drawing = f'<div class="explorer-curves">{curves._repr_html_()}</div>' if curves else ""
    _, h, w = shape
    return f"""<figure class="player" id="{name}" data-live style="max-width:{width}px;margin:1em 0">
<img data-part="picture" src="{sources[0]}" width="{w}" height="{h}" alt="{html.escape(alt)}" style="display:block;width:100%;height:auto">
<div class="player-controls" style="display:grid;gap:4px;margin-top:6px">{sliders}</div>
<p data-part="note" aria-live="polite" style="margin:6px 0">{notes[0]}</p>{drawing}
<figcaption>{html.escape(caption)} <small>(Pictures in this page: {stored}.)</small></figcaption>
<script>{script}</script></figure>"""
