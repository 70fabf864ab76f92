"""Correlations between points of training are those of an independent implementation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from analysis import correlation
from analysis.correlation import Correlation
from analysis.progress import Progress


def progress_with(score: np.ndarray) -> Progress:
    trials, evaluations = score.shape
    seeds, steps = np.arange(trials), np.arange(evaluations)
    return Progress(
        "s", "t", "f1", seeds.astype(str), seeds, seeds, steps, steps / 2, evaluations - 1, score
    )


def random_walks(trials: int = 40, evaluations: int = 7) -> Progress:
    rng = np.random.default_rng(6)
    return progress_with(rng.standard_normal((trials, evaluations)).cumsum(axis=1).round(1))


@pytest.mark.parametrize(
    ("kind", "independent"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)]
)
def test_each_is_that_of_the_best_scores_so_far(
    kind: correlation.Kind,
    independent: Callable[..., Any],
) -> None:
    progress = random_walks()
    found = correlation.compute(progress, kind=kind)
    assert (found.kind, found.trials) == (kind, 40)
    assert found.epoch.tolist() == progress.epoch.tolist()
    for i in range(7):
        for j in range(7):
            expected = independent(progress.best[:, i], progress.best[:, j]).statistic
            assert found.correlation[i, j] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_where_all_trials_stand_alike_there_is_none(kind: correlation.Kind) -> None:
    score = random_walks().score
    score[:, 0] = 0.1 + 0.2
    found = correlation.compute(progress_with(score), kind=kind).correlation
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, 0]).all()
    assert_allclose(np.diag(found)[1:], 1)


@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_where_a_trial_has_no_score_yet_there_is_none(kind: correlation.Kind) -> None:
    score = random_walks().score
    score[3, :2] = np.nan
    found = correlation.compute(progress_with(score), kind=kind).correlation
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2:, 2:]).all()


@pytest.mark.parametrize(
    ("with_the_end", "epoch"),
    [
        ([0.1, 0.6, 0.9, 1.0], 1.0),
        ([0.6, 0.4, 0.9, 1.0], 2.0),
        ([0.8, 0.7, 0.9, 1.0], 0.0),
        ([0.6, 0.6, 0.4, 1.0], None),
        ([np.nan, 0.6, 0.7, 1.0], 1.0),
    ],
)
def test_it_is_high_from_where_it_stays_high(with_the_end: list[float], epoch: float) -> None:
    matrix = np.full((4, 4), np.nan)
    matrix[:, -1] = with_the_end
    found = Correlation(np.arange(4.0), matrix, "spearman", 9)
    assert found.first_epoch_above(0.5) == epoch


def test_two_trials_do_not_correlate() -> None:
    with pytest.raises(ValueError, match="three trials or more; there are 2"):
        correlation.compute(progress_with(np.zeros((2, 3))))
