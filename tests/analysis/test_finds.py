"""What settings are expected to find is what enumeration, whole numbers and sampling say."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from analysis import expected_performance
from analysis.finds import exact_finds, sampled_finds

Floats = NDArray[np.float64]

both_ways = pytest.mark.parametrize("replacement", [False, True])
SCORES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12).map(
    lambda pairs: (np.array([a for a, _ in pairs]) / 4, np.array([max(p) for p in pairs]) / 4)
)
"""At the stopping point and at the end, the latter no less; many ties."""


def enumerate_finds(
    at_stop: Floats, final: Floats, t: int, p: int, *, replacement: bool, order: list[int] | None
) -> tuple[float, float]:
    """Return mean and deviation over all draws of t trials, in every order if none is given."""
    trials = range(len(final))
    draws = (
        itertools.product(trials, repeat=t) if replacement else itertools.permutations(trials, t)
    )
    found = []
    for draw in draws:
        orders = itertools.permutations(range(t)) if order is None else [[order[i] for i in draw]]
        for tie in orders:
            ranked = sorted(zip(draw, tie, strict=True), key=lambda one: (-at_stop[one[0]], one[1]))
            found.append(max(final[trial] for trial, _ in ranked[:p]))
    return float(np.mean(found)), float(np.std(found))


@both_ways
@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("trials", [1, 2, 3, 4, 5])
def test_they_are_the_mean_and_deviation_over_all_draws(
    trials: int, broken: bool, replacement: bool
) -> None:
    rng = np.random.default_rng(trials)
    for _ in range(3):
        at_stop = rng.integers(0, 3, trials) / 10
        final = np.maximum(at_stop, rng.integers(0, 6, trials) / 10)
        order = rng.permutation(trials).tolist() if broken else None
        found = exact_finds(
            at_stop, final, most_started=trials, most_continued=trials,
            replacement=replacement, tie_order=order,
        )  # fmt: skip
        for t in range(1, min(trials, 4 if broken else 3) + 1):
            for p in range(1, t + 1):
                mean, deviation = enumerate_finds(
                    at_stop, final, t, p, replacement=replacement, order=order
                )
                assert found.mean[t, p] == pytest.approx(mean, abs=1e-12)
                assert found.deviation[t, p] == pytest.approx(deviation, abs=1e-7)


@pytest.mark.parametrize(("t", "p"), [(1, 1), (200, 30), (30, 30)])
def test_they_are_exact_for_thousands_of_trials(t: int, p: int) -> None:
    """By the formula itself, in whole numbers of any size."""
    trials = 5_000
    rng = np.random.default_rng(3)
    at_stop = rng.permutation(trials).astype(float)
    final = rng.choice([0.2, 0.5, 0.7], size=trials, p=[0.9, 0.09, 0.01])
    ordered = final[np.argsort(-at_stop)]

    def chance_at_most(level: float) -> Fraction:
        ways, before = 0, 0  # before: those ahead whose final score is at most the level
        for k, score in enumerate(ordered, start=1):
            if score <= level:
                ways += math.comb(before, p - 1) * math.comb(trials - k, t - p)
                before += 1
        return Fraction(ways, math.comb(trials, t))

    low, middle = (float(chance_at_most(level)) for level in (0.2, 0.5))
    expected = 0.2 * low + 0.5 * (middle - low) + 0.7 * (1 - middle)
    square = 0.04 * low + 0.25 * (middle - low) + 0.49 * (1 - middle)
    found = exact_finds(at_stop, final, most_started=t, most_continued=p)
    assert found.mean[t, p] == pytest.approx(expected, rel=1e-10)
    assert found.deviation[t, p] == pytest.approx(math.sqrt(square - expected**2), rel=1e-6)


@both_ways
def test_nothing_overflows_where_all_of_thousands_may_be_started(replacement: bool) -> None:
    trials = 1_050
    final = np.random.default_rng(0).integers(0, 5, trials) / 5
    at_stop = final + np.arange(trials)
    found = exact_finds(
        at_stop, final, most_started=trials, most_continued=3, replacement=replacement
    )
    assert np.isfinite(found.mean[3:, 1:]).all()
    assert (found.mean[1:, 1] <= 0.8 + 1e-12).all()


@both_ways
def test_sampling_as_the_paper_does_agrees(replacement: bool) -> None:
    rng = np.random.default_rng(11)
    at_stop = rng.integers(0, 12, 80) / 12
    final = np.maximum(at_stop, rng.random(80).round(2))
    wanted = [(1, 1), (6, 0), (6, 2), (6, 6), (25, 3), (25, 9)]
    draws = 8_000
    exact = exact_finds(at_stop, final, most_started=25, most_continued=9, replacement=replacement)
    sampled = sampled_finds(at_stop, final, wanted, rng, draws=draws, replacement=replacement)
    for t, p in wanted:
        error = 5 * exact.deviation[t, p] / math.sqrt(draws)
        assert sampled.mean[t, p] == pytest.approx(exact.mean[t, p], abs=error)
        assert sampled.deviation[t, p] == pytest.approx(exact.deviation[t, p], rel=0.1)
    assert np.isnan(sampled.mean[1, 0])


def test_a_sample_is_the_generators() -> None:
    at_stop, final = np.zeros(9), np.arange(9) / 9
    one, same, other = (
        sampled_finds(at_stop, final, [(4, 2)], np.random.default_rng(seed), draws=50).mean[4, 2]
        for seed in (1, 1, 2)
    )
    assert one == same != other


@settings(deadline=None, max_examples=50)
@given(scores=SCORES, replacement=st.booleans())
def test_what_stops_none_finds_the_best_of_t(
    scores: tuple[Floats, Floats], replacement: bool
) -> None:
    at_stop, final = scores
    trials = len(final)
    found = exact_finds(
        at_stop, final, most_started=trials, most_continued=trials, replacement=replacement
    )
    curve = expected_performance.compute(final, replacement=replacement)
    assert_allclose(np.diag(found.mean)[1:], curve.mean, atol=1e-10)
    assert_allclose(np.diag(found.deviation)[1:], curve.deviation, atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(scores=SCORES, replacement=st.booleans())
def test_more_started_or_more_continued_never_finds_less(
    scores: tuple[Floats, Floats], replacement: bool
) -> None:
    at_stop, final = scores
    trials = len(final)
    found = exact_finds(
        at_stop, final, most_started=trials, most_continued=trials, replacement=replacement
    ).mean
    for t in range(1, trials + 1):
        assert (np.diff(found[t, : t + 1]) >= -1e-12).all()


@settings(deadline=None, max_examples=30)
@given(scores=SCORES)
def test_the_first_of_a_ranking_by_the_end_is_all_that_need_go_on(
    scores: tuple[Floats, Floats],
) -> None:
    _, final = scores
    found = exact_finds(final, final, most_started=len(final), most_continued=1)
    curve = expected_performance.compute(final, replacement=False)
    assert_allclose(found.mean[1:, 1], curve.mean, atol=1e-10)


def test_where_none_goes_on_what_was_reached_counts() -> None:
    found = exact_finds([0.1, 0.3], [0.5, 0.6], most_started=2, most_continued=0)
    assert_allclose(found.mean[1:, 0], [0.2, 0.3])


def test_without_a_score_at_the_stopping_point_a_trial_ranks_last() -> None:
    found = exact_finds([-np.inf, 0.3], [0.9, 0.6], most_started=2, most_continued=1)
    assert found.mean[2, 1] == pytest.approx(0.6)
    assert np.isnan(found.mean[2, 0])


@pytest.mark.parametrize(
    ("at_stop", "final", "started", "message"),
    [
        ([], [], 1, "one score each per trial"),
        ([0.1], [0.1, 0.2], 1, "one score each per trial"),
        ([0.1, math.nan], [0.1, 0.2], 1, "final must be finite, and at_stop no NaN"),
        ([0.1, 0.2], [0.1, math.inf], 1, "final must be finite"),
        ([0.1, 0.2], [0.1, 0.2], 3, "from 1 to 2 trials can be started, as many as there are"),
        ([0.1, 0.2], [0.1, 0.2], 0, "from 1 to 2 trials can be started"),
    ],
)
def test_it_refuses_what_are_no_scores_or_too_many_to_start(
    at_stop: list[float], final: list[float], started: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        exact_finds(at_stop, final, most_started=started, most_continued=1)
