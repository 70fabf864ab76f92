"""Each source of variance has its share and its interval."""

from collections.abc import Callable

import numpy as np
from matplotlib.lines import Line2D
from numpy.testing import assert_allclose

from analysis import variance_components
from analysis.figures import draw_variance_components
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]
RNG = np.random.default_rng


def xy(line: Line2D, which: str) -> np.ndarray:
    return np.asarray(line.get_xdata() if which == "x" else line.get_ydata(), dtype=float)


def test_each_component_has_its_share_and_its_interval(grid_of: GridOf) -> None:
    found = {
        task: variance_components.compute(grid_of(RNG(n).random((5, 6))), RNG(0), permutations=9)
        for n, task in enumerate(("a", "b"))
    }
    (axes,) = draw_variance_components(found, title="t").axes
    components = [each for of_task in found.values() for each in of_task.components]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert_allclose(
        np.array([xy(dot, "x")[0] for dot in dots]),
        np.clip([each.share for each in components], 0, 1),
    )
    bars = [line for line in axes.lines if line.get_alpha() == 0.6]
    assert_allclose(
        np.array([xy(bar, "x") for bar in bars]),
        np.array([each.share_interval for each in components]),
    )
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names[:3] == ["a: WI seed", "a: DO seed", "a: WI × DO and all else"]


def test_what_has_no_interval_has_a_dot_only(grid_of: GridOf) -> None:
    score = np.array([[0.1, 0.4], [0.3, 0.9]])
    found = {"a": variance_components.compute(grid_of(score), RNG(0), permutations=9)}
    (axes,) = draw_variance_components(found, title="t").axes
    assert [line.get_marker() for line in axes.lines] == ["o"] * 3
