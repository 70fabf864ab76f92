"""The grid holds every score once, sorted by the means of its rows and columns."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import seed_grid
from analysis.reference import published_scores
from analysis.scores import TrialScores


def scores_of(trials: list[tuple[int, int, float]]) -> TrialScores:
    wi, do, score = zip(*trials, strict=True)
    return TrialScores(
        study="s",
        task="t",
        metric="accuracy",
        regime="best",
        trial_id=np.array([str(number) for number in range(len(trials))]),
        wi_seed=np.array(wi),
        do_seed=np.array(do),
        dropout_seed=np.arange(len(trials)),
        score=np.array(score),
    )


TRIALS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(10, 15), st.floats(-1, 1)), min_size=1, max_size=40
)


def test_the_best_wi_seed_is_the_top_row_and_the_best_do_seed_the_right_column() -> None:
    grid = seed_grid.compute(
        scores_of([(1, 1, 0.1), (1, 2, 0.2), (2, 1, 0.5), (2, 2, 0.9), (3, 1, 0.3), (3, 2, 0.4)])
    )
    assert grid.wi_seed.tolist() == [2, 3, 1]
    assert grid.do_seed.tolist() == [1, 2]
    assert grid.score.tolist() == [[0.5, 0.9], [0.3, 0.4], [0.1, 0.2]]
    assert grid.best == (0, 1)


def test_the_papers_scores_are_sorted_by_rank_as_the_paper_has_them() -> None:
    grid = seed_grid.compute(published_scores("mrpc"))
    ranks = list(range(1, 26))
    assert grid.wi_seed.tolist() == ranks
    assert grid.do_seed.tolist() == ranks[::-1]


@settings(deadline=None)
@given(trials=TRIALS)
def test_each_cell_is_the_mean_of_its_trials(trials: list[tuple[int, int, float]]) -> None:
    grid = seed_grid.compute(scores_of(trials))
    for row, wi in enumerate(grid.wi_seed):
        for column, do in enumerate(grid.do_seed):
            own = [
                score for trial_wi, trial_do, score in trials if (trial_wi, trial_do) == (wi, do)
            ]
            assert grid.trials[row, column] == len(own)
            if own:
                assert grid.score[row, column] == pytest.approx(np.mean(own))
            else:
                assert np.isnan(grid.score[row, column])
    assert grid.trials.sum() == len(trials)


@settings(deadline=None)
@given(trials=TRIALS)
def test_means_fall_from_the_top_and_rise_to_the_right(
    trials: list[tuple[int, int, float]],
) -> None:
    grid = seed_grid.compute(scores_of(trials))
    assert (np.diff(grid.wi_mean) <= 1e-11).all()
    assert (np.diff(grid.do_mean) >= -1e-11).all()
    assert grid.wi_mean == pytest.approx(np.nanmean(grid.score, axis=1))
    assert grid.do_mean == pytest.approx(np.nanmean(grid.score, axis=0))


def test_equal_means_are_ordered_by_seed_whatever_the_order_of_summation() -> None:
    # In floating point 0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1.
    rows = {1: (0.3, 0.2, 0.1), 2: (0.1, 0.2, 0.3)}
    trials = [(wi, do, score) for wi, row in rows.items() for do, score in enumerate(row)]
    grid = seed_grid.compute(scores_of(trials))
    assert grid.wi_mean[0] < grid.wi_mean[1]
    assert grid.wi_seed.tolist() == [1, 2]


def test_a_hole_is_empty_and_counted() -> None:
    grid = seed_grid.compute(scores_of([(1, 1, 0.1), (2, 1, 0.2), (2, 2, 0.9)]))
    assert grid.holes == 1
    assert np.isnan(grid.score).sum() == 1


def test_it_refuses_no_scores() -> None:
    nothing = scores_of([(1, 1, 0.1)])
    empty = {name: getattr(nothing, name)[:0] for name in ("trial_id", "wi_seed", "do_seed")}
    with pytest.raises(ValueError, match="no score"):
        seed_grid.compute(
            TrialScores("s", "t", "f1", "best", **empty, dropout_seed=np.array([], int),
                        score=np.array([]))
        )  # fmt: skip
