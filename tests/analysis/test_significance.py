"""Permutations are uniform, p-values keep their level, and Holm's are those of closed testing."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from analysis.significance import holm, p_value, rows_differ, shuffles

HOLED = np.array([[0.1, 0.4, np.nan], [0.2, np.nan, 0.7], [0.3, 0.6, 0.8]])


def arrangements(score: np.ndarray) -> list[np.ndarray]:
    """Every way to permute each column among its rows."""
    columns = [list(itertools.permutations(column)) for column in score.T]
    return [np.array(each).T for each in itertools.product(*columns)]


def test_a_shuffle_keeps_each_column_and_each_hole() -> None:
    (batch,) = shuffles(HOLED, np.random.default_rng(0), 50)
    assert batch.shape == (50, 3, 3)
    for shuffled in batch:
        assert_array_equal(np.isnan(shuffled), np.isnan(HOLED))
        assert_array_equal(np.sort(shuffled, axis=0), np.sort(HOLED, axis=0))


def test_all_arrangements_are_equally_likely() -> None:
    score = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])
    drawn = np.concatenate(list(shuffles(score, np.random.default_rng(1), 7_200)))
    seen = Counter(shuffled.tobytes() for shuffled in drawn)
    assert set(seen) == {each.tobytes() for each in arrangements(score)}
    assert stats.chisquare(list(seen.values())).pvalue > 1e-4


def test_as_many_come_as_are_asked_for_however_large_the_grid() -> None:
    score = np.random.default_rng(2).random((300, 1_000))
    batches = list(shuffles(score, np.random.default_rng(0), 15))
    assert len(batches) > 1
    assert sum(map(len, batches)) == 15


def test_a_p_value_is_the_share_of_all_arrangements_that_do_as_well() -> None:
    score = np.array([[0.1, 0.5, 0.2], [0.4, 0.6, 0.3], [0.9, 0.55, 0.35]])
    spreads = np.array([each.mean(axis=1).var() for each in arrangements(score)])
    exact = np.mean(spreads >= score.mean(axis=1).var() - 1e-12)
    found = rows_differ(score, np.random.default_rng(3), 20_000)
    assert found == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 20_000))


def test_chance_is_called_significant_no_more_often_than_said() -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(400):
        # What the columns do must not count for the rows; the residuals are far from normal.
        score = 3 * rng.standard_normal(5) + rng.choice([0.0, 1.0], size=(6, 5))
        score[0, 0] = np.nan
        found.append(rows_differ(score, rng, 99))
    for level in (0.05, 0.2, 0.5):
        most = stats.binom.isf(1e-4, len(found), level)
        assert np.count_nonzero(np.array(found) <= level) <= most


def test_rows_that_differ_are_found() -> None:
    rng = np.random.default_rng(5)
    score = np.arange(5)[:, None] + 0.5 * rng.standard_normal((5, 6))
    assert rows_differ(score, rng, 999) == 0.001


def test_the_observed_arrangement_counts_as_one() -> None:
    assert p_value(2.0, [1.0, 1.0, 3.0]) == 0.5
    assert p_value(9.0, [1.0] * 9) == 0.1


def test_equal_sums_added_in_another_order_are_equal() -> None:
    one, other = (0.1 + 0.2) + 0.3, 0.1 + (0.2 + 0.3)
    assert one > other
    assert p_value(one, [other]) == 1.0


P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@settings(deadline=None)
@given(p=P_VALUES)
def test_holm_is_closed_testing_by_bonferroni(p: list[float]) -> None:
    # A hypothesis is rejected if every set of hypotheses that it is in is, each set by Bonferroni.
    indices = range(len(p))
    sets = [s for size in indices for s in itertools.combinations(indices, size + 1)]
    closed = [
        max(min(1.0, len(s) * min(p[i] for i in s)) for s in sets if index in s)
        for index in indices
    ]
    assert_allclose(holm(p), closed)


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]).size == 0
