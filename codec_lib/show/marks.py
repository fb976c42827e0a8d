"""Reads a page's HTML or Markdown apart into numbers with an origin and text without one. Used by `codec_lib.show.check`."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

UNITS = (r"dB|bpp|%|[kMG]i?B|[kM]bit(?:/s)?|[kM]bps|bits?/pixel|bits? per pixel|fps|frames? (?:a|per) second|ms|seconds?|minutes?|"
         r"min|hours?|[kMG]?MACs?(?:/px|/pixel)?|Msym/s|percent|points")
METRICS = r"PSNR(?:-YUV)?|MS-SSIM|LPIPS|DISTS|VMAF|XPSNR|SSIMULACRA2|BD-rate|E_warp|CLIP-F|FVD"
KINDS = ("record", "paper", "live", "given")
_VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_CODE_FENCE = re.compile(r"^([ ]*)(`{3,}|~{3,})([^\n]*)\n(.*?)^\1\2[ ]*$", re.M | re.S)
_CODE_DIRECTIVES = ("{code", "{math", "{mermaid", "{literalinclude", "{raw")


@dataclass
class Mark:
    """A stretch of text that says where its number comes from: kind is one of KINDS, key the attribute's value."""

    kind: str
    key: str
    spec: str
    scale: str
    text: str = ""


@dataclass
class Parsed:
    """marks: what says its origin. plain: the rest, marks replaced by U+FFFC. bare: numeric table cells without a mark.
    sources: experiments that figures name."""

    marks: list[Mark] = field(default_factory=list)
    plain: str = ""
    bare: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def parse_html(text: str) -> Parsed:
    """Read HTML apart. Scripts, styles and drawings are skipped; a figure made live covers its caption, too."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.parsed


def parse_markdown(text: str) -> Parsed:
    """Read Markdown apart: code, formulas, link targets and comments are dropped, HTML inside is read as HTML.

    A numeric cell in a table whose column head names a unit or metric counts as bare unless it carries a mark.
    """
    def fence(match: re.Match) -> str:
        head = match[3].strip()
        return match[4] if head.startswith("{") and not head.startswith(_CODE_DIRECTIVES) else ""

    text = _CODE_FENCE.sub(fence, text)
    text = re.sub(r"<!--.*?-->|^%.*?$|^:[\w-]+:.*?$", "", text, flags=re.S | re.M)
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"\$\$.*?\$\$", "", text, flags=re.S)
    text = re.sub(r"\$([^$\n]*)\$", lambda m: m[1] if re.fullmatch(r"[-+−]?[\d.,]+(\\?%)?", m[1].strip()) else "", text)
    parsed = parse_html(text)
    parsed.bare += _bare_cells(text)
    return parsed


def _bare_cells(text: str) -> list[str]:
    found, heads = [], None
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            heads = None
            continue
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if heads is None:
            heads = [bool(re.search(rf"(?<!\w)({UNITS}|{METRICS})(?!\w)", c)) for c in cells]
        else:
            found += [c for c, measured in zip(cells, heads, strict=False) if measured and is_number(c)]
    return found


def is_number(text: str) -> bool:
    """Whether a table cell holds a number and nothing else: 12, −3.4, 1,024, ±2 %, **5.1**."""
    return bool(re.fullmatch(r"[*_]*[-+−±≈~<>≤≥]?\s*\d[\d,.]*\s*(%|[a-zA-Z/]{1,6})?[*_]*", text.strip()))


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.parsed = Parsed()
        self.stack: list[tuple[str, Mark | None, bool]] = []  # tag, the mark it opened, whether its text is skipped
        self.cell: list[str] | None = None

    def handle_starttag(self, tag, attributes):
        if tag in _VOID:
            return
        given = {name: value or "" for name, value in attributes}
        mark = None
        if tag == "figure" and "data-records" in given:
            self.parsed.sources += given["data-records"].split()
        else:
            kind = next((k for k in KINDS if f"data-{k}" in given), None)
            if kind:
                mark = Mark(kind, given[f"data-{kind}"], given.get("data-format", ""), given.get("data-scale", "1"))
                self.parsed.marks.append(mark)
                self.parsed.plain += "\ufffc"
        self.stack.append((tag, mark, tag in ("script", "style", "svg")))
        if tag == "td":
            self.cell = []

    def handle_endtag(self, tag):
        if not any(open_tag == tag for open_tag, *_ in self.stack):
            return
        while self.stack:
            open_tag, *_ = self.stack.pop()
            if open_tag == tag:
                break
        if tag == "td" and self.cell is not None:
            text = "".join(self.cell)
            if is_number(text):
                self.parsed.bare.append(text.strip())
            self.cell = None
        if tag in ("td", "th", "tr", "p", "div", "li", "figcaption", "caption"):
            self.parsed.plain += "\n"

    def handle_data(self, data):
        if any(skipped for *_, skipped in self.stack):
            return
        mark = next((m for _, m, _ in reversed(self.stack) if m), None)
        if mark:
            mark.text += data
            return
        self.parsed.plain += data
        if self.cell is not None:
            self.cell.append(data)


def visible_text(markup: str) -> str:
    """All text of an HTML fragment that a reader sees, marks included."""
    markup = re.sub(r"<(script|style)\b.*?</\1>", " ", markup, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", markup))
