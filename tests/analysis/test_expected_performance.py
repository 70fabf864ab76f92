"""The expected maximum of n trials is what its definition says, at any number of trials."""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import gammaln

from analysis.expected_performance import compute

SCORES = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=1, max_size=40)
both_ways = pytest.mark.parametrize("replacement", [True, False])


def moments_by_enumeration(draws: list[tuple[float, ...]]) -> tuple[float, float]:
    highest = [max(draw) for draw in draws]
    return float(np.mean(highest)), float(np.std(highest))


def median_by_enumeration(draws: list[tuple[float, ...]]) -> float:
    highest = sorted(max(draw) for draw in draws)
    return highest[(len(highest) - 1) // 2]


@pytest.mark.parametrize(
    "scores", [[0.3], [0.3, 0.1], [0.5, 0.5, 0.5], [0.2, 0.9, 0.4, 0.4], [-0.1, 0.0, 0.7, 0.7, 0.3]]
)
@pytest.mark.parametrize(
    ("replacement", "draws"),
    [
        (True, lambda scores, n: list(itertools.product(scores, repeat=n))),
        (False, lambda scores, n: list(itertools.combinations(scores, n))),
    ],
)
def test_mean_and_deviation_are_those_over_all_draws(
    scores: list[float],
    replacement: bool,
    draws: Callable[[Sequence[float], int], list[tuple[float, ...]]],
) -> None:
    curve = compute(scores, replacement=replacement)
    for n, mean, deviation in zip(curve.n, curve.mean, curve.deviation, strict=True):
        expected = moments_by_enumeration(draws(scores, int(n)))
        assert_allclose((mean, deviation), expected, atol=1e-12)
    assert curve.median.tolist() == [median_by_enumeration(draws(scores, int(n))) for n in curve.n]


@both_ways
def test_mean_and_deviation_are_those_of_simulated_draws(replacement: bool) -> None:
    rng = np.random.default_rng(7)
    scores = rng.beta(8, 3, size=60).round(2)
    n, repetitions = 9, 20_000
    drawn = np.array(
        [rng.choice(scores, size=n, replace=replacement).max() for _ in range(repetitions)]
    )
    curve = compute(scores, replacement=replacement)
    # Five standard errors of the simulation's mean; as many, roughly, of its deviation.
    error = 5 * curve.deviation[n - 1] / math.sqrt(repetitions)
    assert curve.mean[n - 1] == pytest.approx(drawn.mean(), abs=error)
    assert curve.deviation[n - 1] == pytest.approx(drawn.std(), abs=2 * error)


@pytest.mark.parametrize("n", [1, 2, 37, 2_500, 4_999, 5_000])
def test_it_is_exact_for_thousands_of_trials(n: int) -> None:
    trials = 5_000
    scores = np.sort(np.random.default_rng(1).random(trials))

    # Without replacement by whole numbers of any size: the maximum is the k-th lowest score in
    # C(k − 1, n − 1) of C(N, n) sets.
    sets, weights = math.comb(trials, n), [0] * trials
    for k in range(n, trials + 1):
        weights[k - 1] = 1 if k == n else weights[k - 2] * (k - 1) // (k - n)
    exact = math.fsum(
        float(Fraction(weight, sets)) * score for weight, score in zip(weights, scores, strict=True)
    )
    unbiased = compute(scores, replacement=False, budget=n)
    assert unbiased.mean[-1] == pytest.approx(exact, rel=1e-11)

    # With replacement by the power of each share.
    below = (np.arange(trials + 1) / trials) ** n
    assert compute(scores, budget=n).mean[-1] == pytest.approx(np.diff(below) @ scores, rel=1e-11)


def test_it_agrees_with_log_gamma_on_distinct_scores() -> None:
    scores = np.sort(np.random.default_rng(2).random(300))
    k, n = np.arange(1, 301)[None, :], np.arange(1, 301)[:, None]
    # The maximum is the k-th lowest in C(k − 1, n − 1) of C(300, n) sets.
    above = np.maximum(k, n)
    sets = gammaln(301) - gammaln(n + 1) - gammaln(301 - n)
    own = gammaln(above) - gammaln(n) - gammaln(above - n + 1)
    weights = np.where(k >= n, np.exp(own - sets), 0)
    assert_allclose(compute(scores, replacement=False).mean, weights @ scores, rtol=1e-9)


@settings(deadline=None)
@given(scores=SCORES, replacement=st.booleans())
def test_more_trials_never_make_it_worse(scores: list[float], replacement: bool) -> None:
    curve = compute(scores, replacement=replacement)
    assert (np.diff(curve.mean) >= -1e-12).all()


@settings(deadline=None)
@given(scores=SCORES, replacement=st.booleans())
def test_one_trial_is_expected_to_score_the_mean(scores: list[float], replacement: bool) -> None:
    curve = compute(scores, replacement=replacement, budget=1)
    assert curve.mean[0] == pytest.approx(np.mean(scores), abs=1e-12)
    assert curve.deviation[0] == pytest.approx(np.std(scores), abs=1e-7)


@settings(deadline=None)
@given(scores=SCORES)
def test_all_trials_drawn_without_replacement_reach_the_highest(scores: list[float]) -> None:
    curve = compute(scores, replacement=False)
    assert curve.mean[-1] == max(scores)
    assert curve.deviation[-1] == 0


@settings(deadline=None)
@given(scores=SCORES)
def test_drawing_the_same_trial_twice_is_never_better(scores: list[float]) -> None:
    assert (compute(scores).mean <= compute(scores, replacement=False).mean + 1e-12).all()


@settings(deadline=None)
@given(scores=SCORES, replacement=st.booleans(), data=st.data())
def test_the_order_of_the_trials_does_not_matter(
    scores: list[float], replacement: bool, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(scores))
    one, other = (compute(each, replacement=replacement) for each in (scores, shuffled))
    assert_allclose(one.mean, other.mean)
    assert_allclose(one.deviation, other.deviation)


@settings(deadline=None)
@given(scores=SCORES, replacement=st.booleans())
def test_the_band_stays_within_what_was_observed(scores: list[float], replacement: bool) -> None:
    curve = compute(scores, replacement=replacement)
    low, high = curve.band
    assert (low >= min(scores)).all()
    assert (high <= max(scores)).all()
    assert (low <= curve.mean + 1e-12).all()
    assert (high >= curve.mean - 1e-12).all()


@both_ways
def test_equal_scores_have_no_deviation(replacement: bool) -> None:
    curve = compute([0.1] * 625, replacement=replacement)
    assert_allclose(curve.mean, 0.1, rtol=1e-15)
    assert_allclose(curve.deviation, 0, atol=1e-15)


def test_it_says_what_its_deviation_is_over() -> None:
    assert compute([0.1, 0.2]).over == "draws of n from 2 trials, with replacement"
    assert "without replacement" in compute([0.1], replacement=False).over


@pytest.mark.parametrize("scores", [[], [0.1, math.nan], [math.inf], [[0.1, 0.2]]])
def test_it_refuses_what_are_no_scores(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers in one dimension"):
        compute(scores)


@pytest.mark.parametrize("budget", [0, 3, -1])
def test_it_refuses_a_budget_beyond_the_trials(budget: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the number of trials, 2; got {budget}"):
        compute([0.1, 0.2], budget=budget)
