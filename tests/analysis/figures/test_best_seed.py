"""The lead of the best seed is drawn where it was chosen, and where not."""

from collections.abc import Callable

import numpy as np
from matplotlib.lines import Line2D
from numpy.testing import assert_allclose

from analysis import best_seed, seed_scores
from analysis.figures import draw_best_seed
from analysis.scores import TrialScores
from analysis.seed_scores import Factor

GridOf = Callable[..., TrialScores]
RNG = np.random.default_rng


def xy(line: Line2D, which: str) -> np.ndarray:
    return np.asarray(line.get_xdata() if which == "x" else line.get_ydata(), dtype=float)


def test_the_lead_is_drawn_where_it_was_chosen_and_where_not(grid_of: GridOf) -> None:
    scores = grid_of(RNG(0).random((5, 6)))
    factors: tuple[Factor, ...] = seed_scores.FACTORS
    found = {
        ("a", factor): best_seed.compute(
            seed_scores.compute(scores, factor), RNG(0), permutations=9, splits=5
        )
        for factor in factors
    }
    (axes,) = draw_best_seed(found, {"a": 0.5}, title="t").axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    expected = []
    for best in found.values():
        assert best.held_out is not None
        expected += [best.paper.difference / 0.5, best.held_out.difference / 0.5]
    assert_allclose(np.array([xy(dot, "x")[0] for dot in dots]), expected)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a: WI", "a: DO"]
