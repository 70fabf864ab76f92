"""What is drawn of Fig. 1 is what was computed."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from analysis import expected_performance
from analysis.figures import draw_expected_performance
from analysis.reference import published_scores


def parts(figure: Figure) -> tuple[Axes, list[str]]:
    (axes,) = figure.axes
    (legend,) = figure.legends
    return axes, [text.get_text() for text in legend.get_texts()]


def draw(*scores: list[float], baseline: float | None = None) -> Figure:
    curves = {f"curve {n}": expected_performance.compute(score) for n, score in enumerate(scores)}
    return draw_expected_performance(curves, title="t", score="F1", baseline=baseline)


def test_each_curve_is_its_means_over_the_budget() -> None:
    scores = [0.1, 0.5, 0.4, 0.8], [0.1, 0.4, 0.3, 0.6], [0.0, 0.1, 0.2]
    axes, _ = parts(draw(*scores))
    assert len(axes.lines) == 3
    for line, score in zip(axes.lines, scores, strict=True):
        curve = expected_performance.compute(score)
        assert_allclose(np.asarray(line.get_xdata()), curve.n)
        assert_allclose(np.asarray(line.get_ydata()), curve.mean)


def test_the_shade_is_one_deviation_about_the_first_curve_cut_at_the_extremes() -> None:
    curve = expected_performance.compute(published_scores("rte").score)
    axes, key = parts(draw_expected_performance({"best": curve}, title="rte", score="accuracy"))
    (shade,) = (each for each in axes.collections if isinstance(each, PolyCollection))
    (path,) = shade.get_paths()
    heights = np.asarray(path.vertices)[:, 1]
    low, high = curve.band
    assert heights.min() == pytest.approx(low.min())
    assert heights.max() == curve.highest == high.max()
    assert "±1 s.d. over draws of n trials" in key


def test_axes_say_what_they_measure_and_the_key_what_the_lines_are() -> None:
    axes, key = parts(draw([0.1, 0.5], [0.2, 0.3], baseline=0.1))
    assert axes.get_xlabel() == "budget: number of trials n"
    assert axes.get_ylabel() == "expected best F1"
    assert key == ["curve 0", "±1 s.d. over draws of n trials", "curve 1", "majority baseline"]


def test_a_baseline_far_below_the_curves_does_not_squeeze_them() -> None:
    assert "majority baseline" not in parts(draw([0.90, 0.91], baseline=0.5))[1]


@pytest.mark.parametrize("trials", [1, 2, 12, 13, 2_100])
def test_budgets_are_marked_in_whole_numbers(trials: int) -> None:
    axes, _ = parts(draw(np.linspace(0, 1, trials).tolist()))
    low, high = axes.get_xlim()
    marks = [mark for mark in axes.get_xticks() if low <= mark <= high]
    assert marks[0] == 1
    assert all(mark == round(mark) for mark in marks)
    assert marks[-1] >= trials / 3


def test_a_single_trial_is_a_visible_point() -> None:
    axes, _ = parts(draw([0.7]))
    assert axes.lines[0].get_marker() == "o"


@pytest.mark.parametrize("number", [0, 4])
def test_it_draws_one_to_three_curves(number: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to 3 curves can be drawn, not {number}"):
        draw(*([[0.1]] * number))
