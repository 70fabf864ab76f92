"""What is drawn of Fig. 3 and 8 are the densities, and the values that they are of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from analysis import best_against_worst, seed_scores, variance
from analysis.best_against_worst import BestAgainstWorst, densities
from analysis.figures import draw_best_and_worst, draw_deviations
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]
SCORE = np.random.default_rng(1).random((4, 6))


def pairs_of(grid_of: GridOf, score: np.ndarray) -> list[BestAgainstWorst]:
    return [
        best_against_worst.compute(seed_scores.compute(grid_of(score), factor))
        for factor in seed_scores.FACTORS
    ]


def curves(figure: Figure) -> list[tuple[np.ndarray, bool]]:
    """The heights of the curves, and whether they are dashed."""
    lines: list[Any] = list(figure.axes[0].lines)
    return [
        (np.asarray(line.get_ydata()), bool(line._unscaled_dash_pattern[1]))
        for line in lines
        if len(np.asarray(line.get_xdata())) > 2
    ]


def ticks(figure: Figure) -> list[np.ndarray]:
    return [
        np.sort([segment[0][0] for segment in each.get_segments()])
        for each in figure.axes[0].collections
        if isinstance(each, LineCollection)
    ]


def key(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_seed_has_its_curve_wi_solid_do_dashed(grid_of: GridOf) -> None:
    pairs = pairs_of(grid_of, SCORE)
    drawn = curves(draw_best_and_worst(pairs, densities(pairs), title="t", score="s"))
    expected = [density for of_pair in densities(pairs) for density in of_pair]
    for (heights, is_dashed), density, dashed in zip(
        drawn, expected, [False, False, True, True], strict=True
    ):
        assert density is not None
        assert_allclose(heights, density.density)
        assert is_dashed == dashed


def test_each_score_has_its_tick(grid_of: GridOf) -> None:
    pairs = pairs_of(grid_of, SCORE)
    drawn = ticks(draw_best_and_worst(pairs, densities(pairs), title="t", score="s"))
    expected = [group for pair in pairs for group in (pair.of_best, pair.of_worst)]
    for ticks_of_one, group in zip(drawn, expected, strict=True):
        assert_allclose(ticks_of_one, np.sort(group))


def test_the_key_names_the_seeds_and_a_baseline_that_is_in_sight(grid_of: GridOf) -> None:
    wi, do = pairs = pairs_of(grid_of, SCORE)
    named = [f"best WI {wi.best}", f"worst WI {wi.worst}", f"best DO {do.best}"]
    named.append(f"worst DO {do.worst}")
    assert (
        key(draw_best_and_worst(pairs, densities(pairs), title="t", score="s", baseline=9.0))
        == named
    )
    near = draw_best_and_worst(pairs, densities(pairs), title="t", score="s", baseline=0.5)
    assert key(near) == [*named, "majority baseline"]
    (line,) = (line for line in near.axes[0].lines if line.get_label() == "majority baseline")
    assert_allclose(np.asarray(line.get_xdata(), float), 0.5)


def test_scores_that_are_all_equal_have_ticks_and_no_curve(grid_of: GridOf) -> None:
    score = np.repeat([[0.2], [0.3]], 4, axis=1)
    pairs = pairs_of(grid_of, score)[:1]
    figure = draw_best_and_worst(pairs, densities(pairs), title="t", score="s")
    assert not curves(figure)
    assert [len(each) for each in ticks(figure)] == [4, 4]


def test_fig_8_has_a_curve_for_each_factor_and_the_total(grid_of: GridOf) -> None:
    deviation = variance.compute(grid_of(SCORE))
    figure = draw_deviations(deviation, title="t", score="F1")
    for (heights, _), given in zip(
        curves(figure), (deviation.given_wi, deviation.given_do), strict=True
    ):
        assert given.density is not None
        assert_allclose(heights, given.density.density)
    assert [len(each) for each in ticks(figure)] == [4, 6]
    (total,) = (line for line in figure.axes[0].lines if line.get_label() == "of all trials")
    assert_allclose(np.asarray(total.get_xdata(), float), deviation.total)
    assert figure.axes[0].get_xlabel() == "standard deviation of F1"


def test_no_curve_of_fig_8_goes_below_0_where_no_deviation_is(grid_of: GridOf) -> None:
    # The deviations given a WI seed go from about 0 to 0.5.
    score = np.linspace(0.01, 0.5, 6)[:, None] * np.array([-1, 1, -1, 1])
    figure = draw_deviations(variance.compute(grid_of(score)), title="t", score="s")
    assert len(curves(figure)) == 1
    (line,) = (line for line in figure.axes[0].lines if len(np.asarray(line.get_xdata())) > 2)
    assert np.min(np.asarray(line.get_xdata(), float)) == 0


@pytest.mark.parametrize("shape", [(2, 2), (1, 3), (25, 25)])
def test_every_grid_with_a_seed_twice_is_drawn(grid_of: GridOf, shape: tuple[int, int]) -> None:
    score = np.random.default_rng(2).random(shape)
    draw_deviations(variance.compute(grid_of(score)), title="t", score="s")
