"""Sphinx extension of the book: pages made from data, and scripts that are part of the book instead of a CDN's."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

BOOK = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BOOK))
sys.path.insert(0, str(BOOK.parent))

import assets  # noqa: E402
import generate  # noqa: E402

LOG = logging.getLogger(__name__)
EMBED = "html-manager/embed-amd.js"


def prepare(app: Sphinx, config: Config) -> None:
    """Write the generated pages, and use the scripts of book/vendor where they could be had."""
    for path in generate.write_all():
        LOG.info("generated %s", path.name)
    try:
        vendor = assets.ensure()
    except assets.Unavailable as reason:
        LOG.info("%s: pages load MathJax and widgets from a CDN", reason)
        return
    # The folder is not called _static: every script in a folder of that name would be loaded by every page.
    config.html_static_path = [*config.html_static_path, str(vendor)]
    config.mathjax_path = "mathjax/tex-mml-chtml.js"
    config.nb_ipywidgets_js = {"requirejs/require.js": {}, EMBED: {"data-jupyter-widgets-cdn-only": "true"}}


def without_thebe(app: Sphinx, config: Config) -> None:
    """Silence sphinx-thebe, which jupyter-book always loads and this book does not use.

    It would put a script twice into every page, which a browser reports as an error, and the address of a CDN.
    """
    for name in ("env-before-read-docs", "doctree-resolved"):
        for listener in [entry for entry in app.events.listeners[name] if entry.handler.__module__ == "sphinx_thebe"]:
            app.disconnect(listener.id)


def setup(app: Sphinx) -> dict:
    app.connect("config-inited", prepare, priority=100)
    app.connect("config-inited", without_thebe, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
