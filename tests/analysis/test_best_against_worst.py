"""Table 4 comes out of the published scores, and is an analysis of variance of two groups."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from analysis import best_against_worst, seed_scores
from analysis.best_against_worst import one_way
from analysis.reference import published_scores
from analysis.scores import TrialScores

GridOf = Callable[..., TrialScores]

# What the authors printed from their full data: F and p.
TABLE_4 = {
    ("mrpc", "wi"): (29.26, 2.0e-06),
    ("mrpc", "do"): (7.57, 8.3e-03),
    ("rte", "wi"): (15.34, 2.8e-04),
    ("rte", "do"): (9.64, 3.2e-03),
    ("cola", "wi"): (7.95, 7.0e-03),
    ("cola", "do"): (7.03, 1.1e-02),
    ("sst2", "wi"): (5.03, 3.3e-02),
    ("sst2", "do"): (27.85, 1.3e-05),
}
READING_ERROR = {"mrpc": 0.03, "rte": 0.006, "cola": 0.03, "sst2": 0.011}
"""Of F, by how exactly a task's scores are known; where they are exact, of its rounding only."""


@pytest.mark.parametrize("cell", TABLE_4)
def test_the_published_scores_give_the_printed_table_4(
    cell: tuple[str, seed_scores.Factor],
) -> None:
    task, factor = cell
    f, p = TABLE_4[cell]
    seeds = seed_scores.compute(published_scores(task), factor)
    found = best_against_worst.compute(seeds)
    # Seeds of the published scores are ranks: the best is 1, the worst the last.
    assert (found.best, found.worst) == (1, len(seeds.seed))
    assert found.f == pytest.approx(f, abs=READING_ERROR[task])
    assert found.p == pytest.approx(p, rel=0.026)


@settings(deadline=None)
@given(
    score=arrays(
        float, st.tuples(st.integers(2, 5), st.integers(2, 6)), elements=st.floats(0, 1, width=16)
    )
)
def test_it_is_scipys_analysis_of_variance(grid_of: GridOf, score: np.ndarray) -> None:
    found = best_against_worst.compute(seed_scores.compute(grid_of(score), "wi"))
    mean = score.mean(axis=1).round(12)
    assert (mean[found.best - 1], mean[found.worst - 1]) == (mean.max(), mean.min())
    assert found.difference == pytest.approx(mean.max() - mean.min())
    if np.ptp(found.of_best) + np.ptp(found.of_worst) > 1e-3:
        f, p = stats.f_oneway(found.of_best, found.of_worst)
        assert found.f == pytest.approx(f, rel=1e-6, abs=1e-9)
        assert found.p == pytest.approx(p, rel=1e-6)


def test_many_pairs_of_unlike_sizes_are_compared_at_once() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((20, 6)), rng.random((20, 6))
    one[:, 4:], other[::2, 0] = np.nan, np.nan
    expected = [
        tuple(stats.f_oneway(*(group[np.isfinite(group)] for group in pair)))
        for pair in zip(one, other, strict=True)
    ]
    assert_allclose(np.transpose(one_way(one, other)), expected)


def test_where_nothing_varies_within_the_ratio_is_none_or_all() -> None:
    flat = np.full((1, 3), 0.5)
    assert_array_equal(one_way(flat, flat + 0.1), [[np.inf], [0]])
    assert_array_equal(one_way(flat, flat), [[0], [1]])


def test_seeds_with_one_score_each_are_refused(grid_of: GridOf) -> None:
    with pytest.raises(ValueError, match="one score each"):
        best_against_worst.compute(seed_scores.compute(grid_of(np.array([[0.1], [0.2]])), "wi"))
    assert one_way(np.array([[0.1]]), np.array([[0.2]]))[1] == 1


def test_one_seed_is_refused(grid_of: GridOf) -> None:
    with pytest.raises(ValueError, match="takes two seeds"):
        best_against_worst.compute(seed_scores.compute(grid_of(np.array([[0.1, 0.2]])), "wi"))
