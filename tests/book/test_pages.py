"""The built pages: complete, self-contained, and alive in a browser that has no network."""

import json
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from codec_lib.paths import ROOT

HTML = ROOT / "_build" / "html"
VENDORED = (ROOT / "book" / "vendor" / "stamp").exists()
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BROWSERS_OWN = ("googleapis.com", "google.com", "gvt1.com")  # what Chromium itself asks for, whatever the page
PAGES = sorted(p for folder in ("book", "chapters") for p in (HTML / folder).rglob("*.html"))

pytestmark = pytest.mark.skipif(not PAGES, reason="the book is not built: run 'make book' first")
needs_assets = pytest.mark.skipif(not VENDORED, reason="npm was missing when the book was built, so pages use a CDN")


class Links(HTMLParser):
    """Everything that a page loads, and everything that it links to."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids |= {a["id"]} if a.get("id") else set()
        if tag in ("script", "img", "iframe", "source", "video", "audio", "embed") and a.get("src"):
            self.loads.append(a["src"])
        if tag == "link" and a.get("href") and a.get("rel") not in ("next", "prev", "search", "index", "canonical"):
            self.loads.append(a["href"])
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])


@cache
def read(page: Path) -> Links:
    return Links(page.read_text(encoding="utf-8"))


def test_the_pages_of_the_table_of_contents_are_there():
    import yaml

    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    wanted = [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"])]
    for name in wanted:
        page = HTML / f"{name}.html"
        assert page.exists() and page.stat().st_size > 5000, name
    assert "intro.html" in (HTML / "index.html").read_text()
    assert (HTML / "searchindex.js").stat().st_size > 10_000


@needs_assets
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_a_page_loads_nothing_from_elsewhere(page):
    for source in read(page).loads:
        parts = urlsplit(source)
        if parts.scheme == "data":
            continue
        assert not parts.scheme and not parts.netloc, f"{page.name} loads {source}"
        assert (page.parent / unquote(parts.path)).exists(), f"{page.name} loads {source}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_links_inside_the_book_lead_somewhere(page):
    for link in read(page).links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        assert target.exists(), f"{page.name} links to {link}"
        if parts.fragment and target.suffix == ".html":
            assert unquote(parts.fragment) in read(target).ids, f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_pictures_have_alternative_texts(page):
    text = re.sub(r"<script\b.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.S)
    for picture in re.findall(r"<img\b[^>]*>", text):
        assert re.search(r'\balt="', picture), f"{page.name}: {picture[:120]}"
    for drawing in re.findall(r'<figure class="plot".*?</figure>', text, re.S):
        assert 'aria-label="' in drawing and "<figcaption>" in drawing


def test_chapters_can_be_opened_in_colab_and_binder():
    for page in (HTML / "chapters").glob("*.html"):
        links = " ".join(read(page).links)
        assert "colab.research.google.com" in links and "mybinder.org" in links, page.name


def browse(page: Path, folder: Path, *flags: str) -> tuple[str, list[str]]:
    """The page's tree after its scripts ran without a network, and what it tried to fetch."""
    log = folder / "net.json"
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
               "--disable-background-networking", "--disable-component-update", "--disable-sync",
               "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
               "--virtual-time-budget=10000", *flags, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    asked = set(re.findall(r'"url":"(https?://[^"]+)', log.read_text()))
    foreign = [u for u in asked if not (urlsplit(u).hostname or "").endswith(BROWSERS_OWN)]
    return done.stdout, foreign


def shown_pages() -> list[Path]:
    chosen = [HTML / "book" / "intro.html", HTML / "book" / "notation.html", HTML / "book" / "generated" / "ledger.html"]
    return [p for p in chosen if p.exists()] + sorted((HTML / "chapters").glob("*.html"))


@needs_assets
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
@pytest.mark.parametrize("page", shown_pages(), ids=lambda p: p.stem)
def test_a_page_is_alive_without_a_network(page, tmp_path):
    tree, foreign = browse(page, tmp_path)
    source = page.read_text(encoding="utf-8")
    assert foreign == []
    formulas = len(re.findall(r'class="math notranslate', source))
    assert tree.count("<mjx-container") >= formulas, "formulas were not set"
    assert "<mjx-merror" not in tree, "a formula has an error"
    if "application/vnd.jupyter.widget-view+json" in source:
        assert "jupyter-widgets" in tree, "widgets were not drawn"
    players = len(re.findall(r'<figure class="player"', source))
    assert len(re.findall(r'<figure class="player"[^>]*data-ready="1"', tree)) == players, "a player did not start"


@needs_assets
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_theme_follows_the_reader(tmp_path):
    page = HTML / "book" / "intro.html"
    for choice, name in (("0", "dark"), ("1", "light")):
        tree, _ = browse(page, tmp_path, f"--blink-settings=preferredColorScheme={choice}")
        assert f'data-theme="{name}"' in tree[:2000]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_player_moves_by_keyboard(tmp_path):
    """Keys on the stage move the seam and step through the frames; choosing a version changes its note."""
    import numpy as np

    from codec_lib.show import live, side_by_side

    frames = np.stack([np.full((3, 16, 16), 40 * t, np.uint8) for t in range(4)])
    player = side_by_side({"one": frames, "two": frames // 2, "three": frames // 3}, caption="Grey frames in three versions.",
                          alt="Grey squares that get lighter", notes={"three": [live(7.5, ".1f"), " bpp"]})
    script = """<script>window.addEventListener("load", function () {
      var part = function (n) { return document.querySelector('[data-part="' + n + '"]'); }, stage = part("stage");
      var press = function (k) { stage.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true})); };
      press("."); press("."); press(","); press("ArrowLeft"); press("ArrowLeft");
      part("right").value = "2"; part("right").dispatchEvent(new Event("input"));
      setTimeout(function () { document.title = JSON.stringify([part("frame").value, part("split").value, part("count").textContent,
        part("right-note").textContent, part("over").getContext("2d").getImageData(8, 8, 1, 1).data[0],
        part("under").getContext("2d").getImageData(8, 8, 1, 1).data[0]]); }, 500);
    });</script>"""
    page = tmp_path / "player.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><title></title>{player.markup}{script}", encoding="utf-8")
    tree, foreign = browse(page, tmp_path)
    assert foreign == []
    assert json.loads(re.search(r"<title>(.*?)</title>", tree)[1]) == ["1", "46", "1 / 3", "7.5 bpp", 13, 40]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")
def test_the_explorer_follows_its_sliders(tmp_path):
    """A slider that moves changes the picture, the note and the ring on the curves."""
    import numpy as np

    from codec_lib.show import explore, lines, live

    words = {"caption": "Grey squares of several kinds.", "alt": "A grey square for each setting"}
    curves = lines({"a": ([1, 2], [3, 4]), "b": ([1, 2], [5, 6])}, x="x", y="y", **words)
    page = explore({"kind": "ab", "shade": (10, 200)}, lambda k, s: np.full((3, 8, 8), s, np.uint8), curves=curves, **words,
                   note=lambda k, s: [f"{k} ", live(s, "d")], point=lambda k, s: (k, int(s > 99)))
    script = """<script>window.addEventListener("load", function () {
      var part = function (n) { return document.querySelector('[data-part="' + n + '"]'); };
      var ring = function () { var c = document.querySelector("circle"); return [+c.getAttribute("cx"), +c.getAttribute("cy")]; };
      var before = ring(), of = document.querySelector('[data-series="1"]').querySelectorAll("use")[1];
      ["axis-0", "axis-1"].forEach(function (n) { part(n).value = "1"; part(n).dispatchEvent(new Event("input")); });
      var canvas = document.createElement("canvas"), image = part("picture");
      setTimeout(function () {
        canvas.getContext("2d").drawImage(image, 0, 0);
        var after = ring();
        document.title = JSON.stringify([part("note").textContent, part("stop-1").textContent, canvas.getContext("2d").getImageData(4, 4, 1, 1).data[0],
          before[0] < after[0], before[1] > after[1], after[0] === +of.getAttribute("x"), after[1] === +of.getAttribute("y")]);
      }, 500);
    });</script>"""
    file = tmp_path / "explorer.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><title></title>{page.markup}{script}", encoding="utf-8")
    tree, foreign = browse(file, tmp_path)
    assert foreign == []
    assert json.loads(re.search(r"<title>(.*?)</title>", tree)[1]) == ["b 200", "200", 200, True, True, True, True]
