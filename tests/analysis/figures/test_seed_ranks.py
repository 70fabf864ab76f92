"""Each seed has its row of ranks, the best on top."""

from collections.abc import Callable

import numpy as np
from numpy.testing import assert_array_equal

from analysis import good_seeds
from analysis.figures import draw_seed_ranks
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]
RNG = np.random.default_rng


def test_each_seed_has_a_row_with_its_rank_on_each_task(grid_of: GridOf) -> None:
    scores = {task: grid_of(RNG(n).random((6, 3))) for n, task in enumerate(("a", "b", "c"))}
    seeds = good_seeds.compute(scores, "wi", RNG(0), permutations=9)
    figure = draw_seed_ranks(seeds, title="t")
    (axes,) = figure.axes
    *of_tasks, mean = axes.lines
    assert [line.get_label() for line in (*of_tasks, mean)] == ["a", "b", "c", "mean"]
    for line, ranks in zip(of_tasks, seeds.rank.T, strict=True):
        assert_array_equal(line.get_xdata(), ranks)
        assert_array_equal(line.get_ydata(), np.arange(6))
    assert_array_equal(mean.get_xdata(), seeds.mean_rank)
    assert axes.yaxis_inverted()
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [str(seed) for seed in seeds.seed]
