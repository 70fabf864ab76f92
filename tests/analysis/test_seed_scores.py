"""Scores by seed are rows of the grid, the best first, whichever factor is asked for."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis import seed_scores
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]

SCORE = np.array([[0.1, 0.5, np.nan], [0.4, 0.6, 0.9]])


def test_rows_are_wi_seeds_the_best_first(grid_of: GridOf) -> None:
    seeds = seed_scores.compute(grid_of(SCORE), "wi")
    assert seeds.seed.tolist() == [2, 1]
    assert_allclose(seeds.mean, [1.9 / 3, 0.3])
    assert sorted(seeds.of(2)) == [0.4, 0.6, 0.9]
    assert sorted(seeds.of(1)) == [0.1, 0.5]


def test_rows_are_do_seeds_the_best_first(grid_of: GridOf) -> None:
    seeds = seed_scores.compute(grid_of(SCORE), "do")
    assert seeds.seed.tolist() == [3, 2, 1]
    assert seeds.of(3).tolist() == [0.9]
    assert sorted(seeds.of(1)) == [0.1, 0.4]


@pytest.mark.parametrize("factor", seed_scores.FACTORS)
def test_a_cell_is_where_its_two_seeds_meet(grid_of: GridOf, factor: seed_scores.Factor) -> None:
    scores = grid_of(SCORE)
    seeds = seed_scores.compute(scores, factor)
    cells = {
        (int(seed), int(other)): float(seeds.score[row, column])
        for row, seed in enumerate(seeds.seed)
        for column, other in enumerate(seeds.other)
        if np.isfinite(seeds.score[row, column])
    }
    of_trials = zip(scores.wi_seed.tolist(), scores.do_seed.tolist(), scores.score, strict=True)
    assert cells == {
        ((wi, do) if factor == "wi" else (do, wi)): score for wi, do, score in of_trials
    }


def test_equal_means_are_ordered_by_the_number_of_the_seed(grid_of: GridOf) -> None:
    same = np.full((3, 3), 0.5)
    for factor in seed_scores.FACTORS:
        assert seed_scores.compute(grid_of(same), factor).seed.tolist() == [1, 2, 3]


def test_dropout_seeds_of_a_cell_are_averaged(grid_of: GridOf) -> None:
    twice = grid_of(np.stack([SCORE, SCORE + 0.2], axis=-1))
    assert_array_equal(
        seed_scores.compute(twice, "wi").score.round(9),
        (seed_scores.compute(grid_of(SCORE), "wi").score + 0.1).round(9),
    )


def test_a_seed_without_a_row_is_refused(grid_of: GridOf) -> None:
    with pytest.raises(ValueError, match="no DO seed 7"):
        seed_scores.compute(grid_of(SCORE), "do").of(7)
