"""What notebooks and pages show: numbers that know their origin, tables, plots, pictures, the side-by-side player and the explorer.

Loaded on first use, so that importing the package costs nothing.
"""

from importlib import import_module

_HOME = {
    "measured": "numbers", "paper": "numbers", "live": "numbers", "given": "numbers", "Shown": "numbers",
    "Table": "tables", "Column": "tables", "rate_table": "tables", "value_table": "tables", "beside_paper": "tables",
    "Figure": "plots", "figure": "plots", "style": "plots", "rd_curves": "plots", "lines": "plots",
    "frame_curves": "plots", "bars": "plots", "PALETTE": "plots",
    "pictures": "images", "side_by_side": "player", "explore": "explorer", "strip": "page",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"codec_lib.show.{_HOME[name]}"), name)
    raise AttributeError(f"module 'codec_lib.show' has no attribute '{name}'")
