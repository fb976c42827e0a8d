"""Figures that read well on a light page and on a dark one, with a caption and an alternative text.

A figure is one SVG whose lines and letters take the colour of the page's text (``currentColor``), so that it follows the
theme in the book, in Jupyter and in Colab; data keep the palette of Okabe and Ito, which survives colour blindness, and
differ in marker and dash as well. What a figure shows stays at hand in ``Figure.data``, for assertions and tests.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure as Canvas

from codec_lib.errors import MissingData, UsageError
from codec_lib.experiments.records import Results, metric_unit
from codec_lib.files import write_bytes
from codec_lib.show.tables import title

# Okabe and Ito without black and yellow, which vanish on a dark and on a light page.
PALETTE = {"blue": "#0072B2", "orange": "#E69F00", "green": "#009E73", "vermillion": "#D55E00", "purple": "#CC79A7",
           "sky": "#56B4E9"}
MARKERS = "osD^vP"
DASHES = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
INK = "#010203"  # stands for the colour of the page's text until the SVG is written
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "codec_lib", "font.family": "sans-serif", "font.size": 11,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK,
    "ytick.color": INK, "grid.color": INK, "grid.alpha": 0.15, "axes.grid": True, "axes.spines.top": False,
    "axes.spines.right": False, "axes.titlesize": 11, "legend.frameon": False, "figure.facecolor": "none",
    "axes.facecolor": "none", "savefig.facecolor": "none", "lines.linewidth": 1.8, "lines.markersize": 5,
}

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]


@dataclass
class Figure:
    """A finished figure.

    svg: the drawing. caption, alt: shown below, and read out instead. source: experiments whose saved records it shows,
    or () when its data were computed by the page's own code. data: what it shows, as plain numbers.
    """

    svg: str
    caption: str
    alt: str
    source: tuple[str, ...] = ()
    data: dict = field(default_factory=dict)

    def _repr_html_(self) -> str:
        origin = f'data-records="{html.escape(" ".join(self.source))}"' if self.source else "data-live"
        svg = self.svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(self.alt)}" ', 1)
        return (f'<figure class="plot" {origin} style="margin:1em 0">{svg}'
                f"<figcaption>{html.escape(self.caption)}</figcaption></figure>")

    def __repr__(self) -> str:
        return f"Figure: {self.caption}"

    def save(self, path: str | Path) -> None:
        """Write the drawing as an SVG file; letters take the colour of whatever shows it, black where nothing says."""
        write_bytes(path, self.svg.encode(), force=True)


def figure(canvas: Canvas, *, caption: str, alt: str, source: Sequence[str] = (), data: dict | None = None) -> Figure:
    """Turn a matplotlib figure that was drawn inside ``style()`` into a `Figure`. Caption and alt text are required."""
    for name, text in (("caption", caption), ("alt", alt)):
        if len(text.split()) < 3:
            raise UsageError(f"a figure needs a {name} of at least a few words, not {text!r}")
    stream = io.StringIO()
    with rc_context(STYLE):
        canvas.savefig(stream, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()[stream.getvalue().index("<svg"):]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r' id="[a-z]+[0-9._]*_\d+"', "", svg)  # names of groups, which would clash between figures of a page
    svg = re.sub(r' id="series-(\d+)"', r' data-series="\1"', svg)  # how an `explorer` finds a curve
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px inherit; font-size: \1px", svg)
    svg = re.sub(r' width="([\d.]+)pt" height="[\d.]+pt"', r' style="max-width:100%;height:auto" width="\1pt"', svg, count=1)
    return Figure(svg.strip(), caption, alt, tuple(source), data or {})


def style():
    """Context in which a matplotlib figure must be drawn: ``with style(): canvas = Canvas(figsize=(6.4, 3.6))``."""
    return rc_context(STYLE)


def rd_curves(points: Results | Series, *, metric: str, caption: str, alt: str, clip: str | None = None,
              codecs: Sequence[str] | None = None, bold: str | None = None, log_rate: bool = True) -> Figure:
    """Rate-distortion curves: bpp against a metric; the one that it is about may be ``bold``.

    points: results, of which ``clip`` (the mean over all clips at equal quality when None) and ``codecs`` are shown, or a
    mapping name -> (bpp, metric). Raises MissingData when nothing is left to draw, or when a mean over clips would be over
    other clips for one codec than for another.
    """
    source = ()
    if isinstance(points, Results):
        source, series = (points.experiment,), _curves(points, metric, clip, codecs)
    else:
        series = {name: points[name] for name in codecs or points}
    if not series:
        raise MissingData(f"no rate point with '{metric}' to draw")
    unit = metric_unit(metric)
    return lines(series, x="rate [bpp]", y=f"{title(metric)} [{unit}]" if unit else title(metric), caption=caption, alt=alt,
                 log_x=log_rate, bold=bold, source=source)


def lines(series: Series, *, x: str, y: str, caption: str, alt: str, log_x: bool = False, log_y: bool = False,
          markers: bool = True, bold: str | None = None, source: Sequence[str] = ()) -> Figure:
    """Curves with axis titles ``x`` and ``y``: name -> (xs, ys), the one named ``bold`` wider and on top.

    Colour, marker and dash differ from curve to curve; where colours come again, the other two do not.
    """
    if bold is not None and bold not in series:
        raise UsageError(f"no curve '{bold}' to draw in bold; there are: {', '.join(series)}")
    with style():
        canvas = Canvas(figsize=(6.4, 3.9))
        axes = canvas.subplots()
        for i, (name, (xs, ys)) in enumerate(series.items()):
            again = i // len(PALETTE)
            axes.plot(xs, ys, color=list(PALETTE.values())[i % len(PALETTE)], label=name,
                      gid=f"series-{i}",
                      marker=MARKERS[(i + again) % len(MARKERS)] if markers else None, linestyle=DASHES[again % len(DASHES)],
                      **{"linewidth": 3, "zorder": 3} if name == bold else {})
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if log_x:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            low, high = axes.get_xlim()
            between = "25" if high < 2000 * low else ""  # over more decades their labels would run into each other
            axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:e}"[0] in between else "")
        if log_y:
            axes.set_yscale("log")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        data = {name: {"x": list(map(float, xs)), "y": list(map(float, ys))} for name, (xs, ys) in series.items()}
        return figure(canvas, caption=caption, alt=alt, source=source, data=data)


def frame_curves(series: Mapping[str, Sequence[float]], *, y: str, caption: str, alt: str, source: Sequence[str] = ()) -> Figure:
    """One value per frame, frames counted from 0: name -> values."""
    return lines({name: (range(len(v)), v) for name, v in series.items()}, x="frame", y=y, caption=caption, alt=alt,
                 markers=max(map(len, series.values())) <= 32, source=source)


def bars(values: Mapping[str, float], *, x: str, caption: str, alt: str, intervals: Mapping[str, tuple[float, float]] | None = None,
         source: Sequence[str] = ()) -> Figure:
    """Horizontal bars, first name on top: name -> value; ``intervals`` name -> (low, high) are drawn as whiskers."""
    with style():
        canvas = Canvas(figsize=(6.4, 0.6 + 0.36 * len(values)))
        axes = canvas.subplots()
        names = list(values)
        axes.barh(names, [values[n] for n in names], color=PALETTE["blue"], height=0.65)
        for i, name in enumerate(names):
            if intervals and name in intervals:
                axes.plot(intervals[name], [i, i], color=INK, linewidth=1.2, marker="|", markersize=7)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(x)
        return figure(canvas, caption=caption, alt=alt, source=source, data={n: float(values[n]) for n in names})


def _curves(results: Results, metric: str, clip: str | None, codecs: Sequence[str] | None) -> dict:
    chosen = [r for r in results.records if r.number(metric) is not None and clip in (None, r.clip)]
    series, first = {}, None
    for name in codecs or dict.fromkeys(r.label for r in chosen):
        mine = [r for r in chosen if r.label == name]
        clips = {r.clip for r in mine}
        if clips and first is None:
            first = name, clips
        if clips and clips != first[1]:
            raise MissingData(f"{name} and {first[0]} were not measured on the same clips "
                              f"({', '.join(sorted(clips ^ first[1]))}): name one clip, or measure the rest")
        points = []
        for quality in sorted({r.quality for r in mine}):
            at = [r for r in mine if r.quality == quality]
            if len(at) == len(clips):  # a mean over fewer clips would be a kink of the curve, not a result
                points.append((np.mean([r.bpp for r in at]), np.mean([r.number(metric) for r in at])))
        if points:
            series[name] = tuple(map(list, zip(*sorted(points), strict=True)))
    return series
