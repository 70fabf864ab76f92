"""Each seed has its share of diverged trials, and the trials their time of falling."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.lines import Line2D
from numpy.testing import assert_allclose

from analysis import divergence
from analysis.divergence import Divergence
from analysis.figures import draw_divergence
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]
RNG = np.random.default_rng


def xy(line: Line2D, which: str) -> np.ndarray:
    return np.asarray(line.get_xdata() if which == "x" else line.get_ydata(), dtype=float)


@pytest.fixture
def diverged(grid_of: GridOf) -> Divergence:
    score = np.where(RNG(3).random((4, 5)) < 0.4, 0.5, 0.8)
    return divergence.compute(grid_of(score), 0.5, 0.0, RNG(0), permutations=9)


def test_each_seed_has_a_bar_of_its_share(diverged: Divergence) -> None:
    figure = draw_divergence(diverged, title="t")
    for axes, shares in zip(figure.axes, (diverged.by_wi, diverged.by_do), strict=True):
        heights = np.array([bar.get_height() for bar in axes.patches])  # type: ignore[attr-defined]
        assert_allclose(heights, shares.diverged / shares.trials)
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(s) for s in shares.seed]
        assert_allclose(xy(axes.lines[0], "y"), diverged.share)


def test_when_trials_fell_is_a_stair_to_the_share_that_fell(diverged: Divergence) -> None:
    epoch = np.full(20, np.nan)
    epoch[:5] = [2.0, 0.0, 0.5, 0.5, 1.0]
    figure = draw_divergence(replace(diverged, epoch=epoch), title="t")
    stair = figure.axes[2].lines[0]
    assert_allclose(xy(stair, "x"), [0, 0, 0.5, 0.5, 1, 2])
    assert_allclose(xy(stair, "y"), [0, 0.05, 0.1, 0.15, 0.2, 0.25])


def test_where_none_diverged_there_is_still_a_figure(grid_of: GridOf) -> None:
    none = divergence.compute(grid_of(np.full((2, 2), 0.8)), 0.5, 0.0, RNG(0), permutations=9)
    figure = draw_divergence(none, title="t")
    assert figure.axes[0].get_ylim() == (0, 0.05)
