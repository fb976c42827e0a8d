"""A side-by-side player that needs no kernel, no network and no mouse.

Two versions of a clip lie on top of each other; a slider moves the seam, another moves through the frames. Frames are
part of the page, so the player works in a saved notebook, in the built book and from a file on disk. All controls are
plain HTML inputs and work from the keyboard.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codec_lib.errors import UsageError
from codec_lib.show.images import fitting
from codec_lib.show.numbers import Shown, said

SCRIPT = """
(function () {
  var root = document.getElementById("ID"), tracks = TRACKS, fps = FPS;
  if (!root || root.dataset.ready) return;
  root.dataset.ready = "1";
  function part(name) { return root.querySelector('[data-part="' + name + '"]'); }
  var left = part("left"), right = part("right"), seam = part("seam"), split = part("split"), line = part("line");
  var scrub = part("frame"), count = part("count"), play = part("play"), timer = null;
  var images = tracks.map(function (track) {
    return track.frames.map(function (source) { var image = new Image(); image.src = source; return image; });
  });
  function draw() {
    var n = +scrub.value;
    [[left, part("under"), part("left-note")], [right, part("over"), part("right-note")]].forEach(function (side) {
      var track = tracks[+side[0].value], canvas = side[1], image = images[+side[0].value][n];
      canvas.setAttribute("aria-label", track.name + ", frame " + n);
      if (side[2].innerHTML !== track.note) side[2].innerHTML = track.note;
      if (image.complete) canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      else image.onload = draw;
    });
    count.textContent = n + " / " + scrub.max;
    seam.style.clipPath = "inset(0 0 0 " + split.value + "%)";
    line.style.left = split.value + "%";
  }
  function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
  function start() {
    play.textContent = "Pause";
    timer = setInterval(function () {
      scrub.value = +scrub.value < +scrub.max ? +scrub.value + 1 : 0;
      draw();
    }, 1000 / fps);
  }
  play.addEventListener("click", function () { if (timer) stop(); else start(); });
  scrub.addEventListener("input", function () { stop(); draw(); });
  [left, right, split].forEach(function (control) { control.addEventListener("input", draw); });
  var stage = part("stage");
  function follow(event) {
    var box = stage.getBoundingClientRect();
    split.value = Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width));
    draw();
  }
  stage.addEventListener("pointerdown", function (event) { stage.setPointerCapture(event.pointerId); follow(event); });
  stage.addEventListener("pointermove", function (event) { if (event.buttons) follow(event); });
  stage.addEventListener("keydown", function (event) {
    var step = { ArrowLeft: [split, -2], ArrowRight: [split, 2], ",": [scrub, -1], ".": [scrub, 1] }[event.key];
    if (event.key === " ") play.click();
    else if (step) step[0].value = +step[0].value + step[1];
    else return;
    event.preventDefault();
    draw();
  });
  draw();
})();
"""


@dataclass
class Player:
    """A finished player. ``stored``: how its frames are kept; ``bytes``: size of its HTML."""

    markup: str
    caption: str
    stored: str

    @property
    def bytes(self) -> int:
        return len(self.markup.encode())

    def _repr_html_(self) -> str:
        return self.markup

    def __repr__(self) -> str:
        return f"Player: {self.caption}"


def side_by_side(tracks: Mapping[str, object], *, caption: str, alt: str, notes: Mapping[str, Sequence[Shown | str]] | None = None,
                 fps: float | None = None, width: int = 640, max_bytes: int = 3_000_000) -> Player:
    """Compare versions of a clip.

    tracks: name -> `Video`, or uint8 (T, 3, H, W) array or tensor; the first two are shown first, all can be chosen.
    notes: name -> what stands below that version, e.g. ``["", measured(...), " bpp"]``; text, or numbers with their origin.
    fps: of playing, the video's own by default. width: of the page's box in pixels. max_bytes: budget for the HTML.
    Raises UsageError for fewer than two tracks, unequal sizes, or a clip that does not fit the budget at any quality.
    """
    if len(tracks) < 2:
        raise UsageError("a comparison needs at least two versions")
    if len(caption.split()) < 3 or len(alt.split()) < 3:
        raise UsageError("a player needs a caption and an alt text of at least a few words")
    frames = {name: np.asarray(getattr(track, "frames", track)) for name, track in tracks.items()}
    shapes = {f.shape for f in frames.values()}
    if len(shapes) != 1 or any(f.dtype != np.uint8 or f.ndim != 4 or f.shape[1] != 3 for f in frames.values()):
        raise UsageError(f"versions must be uint8 (T, 3, H, W) of one shape, not {[f.shape for f in frames.values()]}")
    if fps is None:
        fps = float(next((t.fps for t in tracks.values() if hasattr(t, "fps")), 25))
    shape = next(iter(shapes))
    sources, stored = fitting([frame for clip in frames.values() for frame in clip], max_bytes)
    coded = [{"name": name, "note": "".join(map(said, (notes or {}).get(name, ()))),
              "frames": sources[i * shape[0] : (i + 1) * shape[0]]} for i, name in enumerate(frames)]
    return Player(_markup(coded, shape, caption, alt, fps, width, stored), caption, stored)


def _markup(tracks: list[dict], shape: tuple, caption: str, alt: str, fps: float, width: int, stored: str) -> str:
    count, _, h, w = shape
    name = "player-" + hashlib.sha256((caption + alt).encode()).hexdigest()[:10]
    data = json.dumps(tracks, ensure_ascii=False).replace("</", "<\\/")
    script = SCRIPT.replace('"ID"', f'"{name}"').replace("FPS", f"{fps:g}").replace("TRACKS", data)
    names = [html.escape(t["name"]) for t in tracks]

    def choice(side: str, chosen: int) -> str:
        options = "".join(f'<option value="{i}"{" selected" if i == chosen else ""}>{n}</option>' for i, n in enumerate(names))
        return f'<label>{side.title()} <select data-part="{side}">{options}</select></label> <span data-part="{side}-note">{tracks[chosen]["note"]}</span>'

    layer = "position:absolute;inset:0;width:100%;height:100%"
    return f"""<figure class="player" id="{name}" data-live style="max-width:{width}px;margin:1em 0">
<div data-part="stage" tabindex="0" role="group" aria-label="{html.escape(alt)}" style="position:relative;aspect-ratio:{w}/{h};overflow:hidden;touch-action:none;cursor:ew-resize">
<canvas data-part="under" role="img" width="{w}" height="{h}" style="{layer}"></canvas>
<div data-part="seam" style="{layer}"><canvas data-part="over" role="img" width="{w}" height="{h}" style="{layer}"></canvas></div>
<div data-part="line" style="position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:#fff;box-shadow:0 0 2px #000;pointer-events:none"></div>
</div>
<div class="player-controls" style="display:grid;grid-template-columns:1fr 1fr;gap:4px 16px;margin-top:6px">
<div>{choice("left", 0)}</div><div style="text-align:right">{choice("right", 1)}</div>
<label style="grid-column:1/3;display:flex;gap:8px">Seam <input data-part="split" type="range" min="0" max="100" value="50" style="flex:1"></label>
<label style="grid-column:1/3;display:flex;gap:8px">Frame <input data-part="frame" type="range" min="0" max="{count - 1}" value="0" style="flex:1"> <output data-part="count">0 / {count - 1}</output> <button data-part="play" type="button">Play</button></label>
</div>
<figcaption>{html.escape(caption)} <small>(Frames in this page: {stored}. Drag the seam, or use the arrow keys; comma and full stop step through the frames, space plays.)</small></figcaption>
<script>{script}</script></figure>"""
