"""Axes of figures."""

import re

import pytest

from codec_lib.show.plots import lines


@pytest.mark.parametrize("decades, labels", [(2, {"0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"}),
                                             (5, {"0.01", "0.1", "1", "10", "100", "1000"})])
def test_a_logarithmic_axis_is_labelled_between_decades_only_where_there_is_room(decades, labels):
    drawing = lines({"curve": ([0.01, 0.01 * 10**decades], [0.0, 1.0])}, x="rate", y="share", log_x=True,
                    caption="A curve with two ends.", alt="A straight line from one end to the other.")
    shown = set(re.findall(r">([0-9.]+)</text>", drawing.svg))
    on_y = {"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}
    assert shown - on_y == labels - on_y and on_y <= shown
