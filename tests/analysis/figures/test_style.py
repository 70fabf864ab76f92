"""Saved figures are the same bytes each time, hold their words as text, and change nothing else."""

import re

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from analysis import expected_performance
from analysis.figures import draw_expected_performance, png, style, svg
from analysis.figures.style import decimals


def drawn() -> Figure:
    curve = expected_performance.compute([0.1, 0.5, 0.4])
    return draw_expected_performance({"best": curve}, title="rte < mrpc", score="accuracy")


def test_the_same_data_give_the_same_bytes() -> None:
    assert svg(drawn()) == svg(drawn())
    assert png(drawn(), dpi=60) == png(drawn(), dpi=60)


def test_the_order_in_which_formats_are_saved_does_not_matter() -> None:
    first, second = drawn(), drawn()
    png(second, dpi=300)
    assert svg(first) == svg(second)


def test_a_file_says_nothing_of_when_or_with_what_it_was_made() -> None:
    text = svg(drawn())
    assert "<dc:date>" not in text
    assert "matplotlib.org" not in text
    assert b"Software" not in png(drawn(), dpi=60)


def test_words_in_an_svg_are_text() -> None:
    text = svg(drawn())
    assert ">rte &lt; mrpc</text>" in text
    assert ">budget: number of trials n</text>" in text


def test_the_ground_of_an_svg_can_be_told_by_its_id() -> None:
    (ground,) = re.findall(r'<g id="ground">.*?</g>', svg(drawn()), flags=re.DOTALL)
    assert "fill: #ffffff" in ground


def test_drawing_leaves_the_settings_of_matplotlib_as_they_were() -> None:
    before = dict(mpl.rcParams)
    svg(drawn())
    png(drawn(), dpi=60)
    assert dict(mpl.rcParams) == before


def test_a_long_label_of_an_axis_is_made_to_stand_within_the_figure() -> None:
    figure = style.new_figure(1.5)
    axes = figure.subplots()
    axes.set_xlabel("a long label " * 9)
    axes.set_ylabel("a label that is too high")
    style.settle(figure)
    for label in (axes.xaxis.label, axes.yaxis.label):
        box = label.get_window_extent()
        assert float(label.get_fontsize()) < 10
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 <= box.y0
        assert box.y1 <= figure.bbox.y1 + 1


def test_a_label_with_room_keeps_its_size() -> None:
    figure = style.new_figure(3)
    axes = figure.subplots()
    axes.set_xlabel("short")
    before = axes.xaxis.label.get_fontsize()
    assert style.settle(figure).axes[0].xaxis.label.get_fontsize() == before


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([0.0, 1.0], 2),
        ([0.60, 0.75], 3),
        ([0.936, 0.951], 4),
        ([0.1, 0.1000001], 4),
        ([0.5], 3),
        ([0.5, 0.5], 3),
        ([], 3),
        ([0.0, float("nan"), 80.0], 2),
    ],
)
def test_decimals_tell_scores_apart(values: list[float], places: int) -> None:
    assert decimals(values) == places
