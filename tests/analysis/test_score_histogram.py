"""Every trial is a brick in the bin of its score, on those that scored less."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from analysis import score_histogram

SCORES = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=60)


@given(SCORES)
def test_each_score_lies_within_its_bin(scores: list[float]) -> None:
    histogram = score_histogram.compute(scores)
    assert (histogram.edges[histogram.bin] <= np.array(scores)).all()
    assert (np.array(scores) <= histogram.edges[histogram.bin + 1]).all()


@given(SCORES)
def test_bins_hold_as_many_trials_as_numpy_counts(scores: list[float]) -> None:
    histogram = score_histogram.compute(scores)
    bins = len(histogram.edges) - 1
    counts, _ = np.histogram(scores, bins=histogram.edges)
    assert_array_equal(np.bincount(histogram.bin, minlength=bins), counts)
    assert histogram.highest_stack == counts.max()


@given(SCORES)
def test_a_stack_has_no_gaps_and_rises_with_the_score(scores: list[float]) -> None:
    histogram = score_histogram.compute(scores)
    for place in np.unique(histogram.bin):
        own = histogram.bin == place
        order = np.argsort(histogram.height[own])
        assert_array_equal(histogram.height[own][order], np.arange(own.sum()))
        assert (np.diff(np.array(scores)[own][order]) >= 0).all()


def test_mean_and_deviation_are_the_populations() -> None:
    histogram = score_histogram.compute([0.5, 0.7])
    assert histogram.mean == pytest.approx(0.6)
    assert histogram.deviation == pytest.approx(0.1)


@pytest.mark.parametrize("score", [[], [0.5, float("nan")], [[0.5]]])
def test_what_are_no_scores_is_refused(score: list[float]) -> None:
    with pytest.raises(ValueError, match="one or more finite numbers"):
        score_histogram.compute(score)
