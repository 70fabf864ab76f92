"""Bands and intervals cover the true curve as often as they claim, and say where they cannot."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import binom, norm

from analysis import curve_uncertainty, expected_performance
from analysis.bootstrap import Over, resample
from analysis.curve_uncertainty import Method, band, bootstrap, effective_trials
from analysis.reference import published_scores
from analysis.scores import TrialScores

Floats = NDArray[np.float64]


def independent(score: Floats, metric: str = "pearson") -> TrialScores:
    number = np.arange(len(score))
    return TrialScores("s", "t", metric, "best", number.astype(str), number, number, number, score)


def crossed(score: Floats, metric: str = "pearson") -> TrialScores:
    wi, do = np.indices(score.shape).reshape(2, -1)
    number = np.arange(score.size)
    return TrialScores(
        "s", "t", metric, "best", number.astype(str), wi, do, np.zeros_like(wi), score.ravel()
    )


# ── Bands ────────────────────────────────────────────────────────────────────────────────────────
N = np.arange(1, 11)
UNIFORM_MEANS, UNIFORM_MEDIANS = N / (N + 1), 0.5 ** (1 / N)
"""Of the best of n numbers uniform from 0 to 1."""


def covers(found: curve_uncertainty.Band, mean: Floats, median: Floats) -> bool:
    both = ((found.mean, mean), (found.median, median))
    return all(
        (low <= curve + 1e-12).all() and (curve - 1e-12 <= high).all()
        for (low, high), curve in both
    )


@pytest.mark.parametrize(("method", "studies"), [("dkw", 400), ("ks", 400)])
def test_it_covers_the_whole_curve_of_independent_trials(method: Method, studies: int) -> None:
    rng = np.random.default_rng(1)
    hits = sum(
        covers(
            band(independent(rng.random(40), "accuracy"), method=method, budget=10, confidence=0.8),
            UNIFORM_MEANS,
            UNIFORM_MEDIANS,
        )
        for _ in range(studies)
    )
    # The band covers F everywhere; the curve up to n = 10 asks for less.
    assert hits >= binom.ppf(0.001, studies, 0.8)


def test_it_covers_where_scores_are_equal_in_heaps() -> None:
    rng = np.random.default_rng(2)
    levels, at_most = np.array([0.0, 0.5, 1.0]), np.array([0.3, 0.9, 1.0])
    powers = at_most ** N[:, None]
    mean = np.diff(powers, axis=1, prepend=0.0) @ levels
    median = levels[(powers < 0.5).sum(axis=1)]
    studies = 300
    hits = sum(
        covers(
            band(independent(levels[np.searchsorted(at_most, rng.random(40))], "f1"), budget=10),
            mean,
            median,
        )
        for _ in range(studies)
    )
    assert hits >= binom.ppf(0.001, studies, 0.95)


def test_with_shared_seeds_it_covers_because_fewer_trials_are_counted() -> None:
    rng = np.random.default_rng(3)
    studies = 300
    hits = plain = 0
    for _ in range(studies):
        # Uniform in all, and nearly all of it the seeds'.
        z = rng.standard_normal((8, 1)) * 0.8 + rng.standard_normal((1, 8)) * 0.55
        z = z + rng.standard_normal((8, 8)) * np.sqrt(1 - 0.8**2 - 0.55**2)
        score = norm.cdf(z)
        found = band(crossed(score, "accuracy"), budget=10, confidence=0.8)
        hits += covers(found, UNIFORM_MEANS, UNIFORM_MEDIANS)
        as_if = band(independent(score.ravel(), "accuracy"), budget=10, confidence=0.8)
        plain += covers(as_if, UNIFORM_MEANS, UNIFORM_MEDIANS)
    assert hits >= binom.ppf(0.001, studies, 0.8)
    assert plain < 0.7 * studies


@pytest.mark.parametrize("method", ["dkw", "ks", "ld_equal_tailed"])
def test_the_estimate_lies_within(method: Method) -> None:
    rng = np.random.default_rng(4)
    scores = independent(rng.random(25), "accuracy")
    found = band(scores, method=method, rng=rng)
    curve = expected_performance.compute(scores.score)
    assert covers(found, curve.mean, curve.median)
    assert found.n.tolist() == list(range(1, 26))
    assert (found.mean[0] >= 0).all()
    assert (found.mean[1] <= 1).all()
    assert found.caveats == ()


def test_the_curve_of_the_band_is_that_of_its_distribution() -> None:
    """By hand: two trials, a band of ±0.3."""
    scores = independent(np.array([0.2, 0.6]), "accuracy")
    confidence = 1 - 2 * np.exp(-2 * 2 * 0.3**2)
    found = band(scores, method="dkw", confidence=confidence)
    # F is at least 0.2, 0.7 and at most 0.8, 1 at the two levels; at most 0.3 below them.
    assert_allclose(found.mean[0][0], 0.0 * 0.3 + 0.2 * 0.5 + 0.6 * 0.2)
    assert_allclose(found.mean[1][0], 0.2 * 0.2 + 0.6 * 0.5 + 1.0 * 0.3)
    assert_allclose(found.mean[1][1], 0.2 * 0.04 + 0.6 * 0.45 + 1.0 * 0.51)
    assert found.median[0].tolist() == [0.2, 0.2]
    assert found.median[1].tolist() == [0.6, 1.0]


def test_ties_break_the_exact_methods_and_it_says_so() -> None:
    scores = independent(np.array([0.1, 0.1, 0.2, 0.3]))
    (caveat,) = band(scores, method="ks").caveats
    assert caveat.startswith("1 of the 4 scores are equal to another, and the method ks is exact")
    assert band(scores).caveats == ()


def test_a_crossed_grid_breaks_independence_and_it_says_so() -> None:
    scores = published_scores("sst2")
    found = band(scores)
    (caveat,) = found.caveats
    assert caveat == (
        f"The 225 trials share seeds and are not independent: they tell as much as "
        f"{found.effective_trials:.0f} independent trials, and the band is that of so many."
    )
    assert "the band, which is for 225, is too narrow" in band(scores, method="ks").caveats[-1]
    one = band(crossed(np.array([[0.1, 0.2, 0.3]]))).caveats[0]
    assert "as much as 1 independent trial, and" in one


def test_the_exact_method_is_taken_where_its_assumptions_hold() -> None:
    rng = np.random.default_rng(10)
    assert band(independent(rng.random(9))).method == "ks"
    assert band(independent(np.array([0.1, 0.1, 0.2]))).method == "dkw"
    assert band(crossed(rng.random((3, 3)))).method == "dkw"
    scores = independent(rng.random(30), "accuracy")
    exact, wide = band(scores), band(scores, method="dkw")
    assert (exact.mean[1] - exact.mean[0] <= wide.mean[1] - wide.mean[0] + 1e-12).all()


def test_a_method_that_simulates_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="simulates, and needs a generator"):
        band(independent(np.array([0.1, 0.2])), method="ld_highest_density")


def test_without_a_score_there_is_no_band() -> None:
    with pytest.raises(ValueError, match="no score to give a band of"):
        band(independent(np.array([])))


# ── Effective trials ─────────────────────────────────────────────────────────────────────────────
def test_trials_of_their_own_seeds_all_count() -> None:
    assert effective_trials(independent(np.arange(9.0))) == 9


def test_where_one_seed_explains_all_there_are_as_many_as_of_that_seed() -> None:
    rows = np.random.default_rng(5).random((6, 1)).repeat(5, axis=1)
    assert effective_trials(crossed(rows)) == pytest.approx(6, rel=0.2)


def test_effective_trials_are_those_whose_share_varies_as_much() -> None:
    """Against the variance of F's estimate over many grids."""
    rng = np.random.default_rng(6)
    shares, estimates = [], []
    for _ in range(600):
        z = rng.standard_normal((10, 1)) * 0.6 + rng.standard_normal((1, 8)) * 0.5
        score = z + rng.standard_normal((10, 8)) * np.sqrt(1 - 0.36 - 0.25)
        shares.append([(score <= level).mean() for level in (-1.0, -0.5, 0.0, 0.5, 1.0)])
        estimates.append(effective_trials(crossed(score)))
    share = np.asarray(norm.cdf([-1.0, -0.5, 0.0, 0.5, 1.0]))
    true = (share * (1 - share)).sum() / np.var(shares, axis=0).sum()
    assert 1 / np.mean(1 / np.array(estimates)) == pytest.approx(true, rel=0.2)


def test_of_a_grid_with_holes_they_are_no_more_than_the_rarer_seeds() -> None:
    full = crossed(np.arange(12.0).reshape(3, 4))
    kept = np.arange(11)
    columns = ("trial_id", "wi_seed", "do_seed", "dropout_seed", "score")
    holes = TrialScores(**{**vars(full), **{name: getattr(full, name)[kept] for name in columns}})
    assert effective_trials(holes) == 3


# ── Intervals ────────────────────────────────────────────────────────────────────────────────────
def normal_means(budget: int) -> Floats:
    """Return the mean of the best of n standard normal numbers."""
    u = (np.arange(200_000) + 0.5) / 200_000
    z = norm.ppf(u)
    return np.array([(n * u ** (n - 1) * z).mean() for n in range(1, budget + 1)])


@pytest.mark.parametrize(
    ("over", "wi", "do", "at_least"),
    [("trials", 0.0, 0.0, 0.90), ("WI seeds", 0.7, 0.0, 0.87), ("both seeds", 0.5, 0.5, 0.90)],
)
def test_an_interval_covers_the_true_curve(
    over: Over, wi: float, do: float, at_least: float
) -> None:
    """At 95 %, as far as a tenth of the trials: a bootstrap of a best is a little too narrow."""
    rng = np.random.default_rng(7)
    studies, budget = 250, 8
    truth = 0.1 * normal_means(budget)
    hits = np.zeros(budget)
    for _ in range(studies):
        z = wi * rng.standard_normal((14, 1)) + do * rng.standard_normal((1, 6))
        score = z + np.sqrt(1 - wi**2 - do**2) * rng.standard_normal((14, 6))
        found = bootstrap(crossed(0.1 * score), over, rng, budget=budget, repetitions=200)
        hits += (found.low <= truth) & (truth <= found.high)
    assert (hits >= binom.ppf(0.001, studies, at_least)).all(), hits / studies


def test_what_resampling_takes_from_the_best_of_n_is_put_back() -> None:
    """The middles of intervals lie about the truth, where the resampled curves lie below it."""
    rng = np.random.default_rng(12)
    truth = normal_means(12)[-1]
    middles, resampled = [], []
    for _ in range(200):
        scores = independent(rng.standard_normal(36))
        found = bootstrap(scores, "trials", rng, budget=12, repetitions=100, confidence=0.5)
        middles.append((found.low[-1] + found.high[-1]) / 2)
        times = resample(scores, "trials", rng, 20)
        resampled.append(curve_uncertainty.resampled_means(scores.score, times, 12)[:, -1].mean())
    missing = truth - np.mean(resampled)
    assert missing > 0.15
    assert abs(truth - np.mean(middles)) < missing / 2


def test_it_is_of_what_it_says() -> None:
    scores = crossed(np.random.default_rng(8).random((4, 5)))
    found = bootstrap(scores, "WI seeds", np.random.default_rng(0), budget=3)
    assert (found.over, found.units, found.n.tolist()) == ("WI seeds", 4, [1, 2, 3])
    same = bootstrap(scores, "WI seeds", np.random.default_rng(0), budget=3)
    assert found.low.tolist() == same.low.tolist()


def test_one_seed_says_nothing_of_others() -> None:
    scores = crossed(np.random.default_rng(9).random((1, 5)))
    assert np.isnan(bootstrap(scores, "WI seeds", np.random.default_rng(0)).low).all()


def test_resamples_have_the_curves_of_their_trials() -> None:
    score = np.array([0.4, 0.1, 0.3, 0.3])
    times = np.array([[1, 1, 1, 1], [0, 2, 0, 2], [4, 0, 0, 0]])
    means = curve_uncertainty.resampled_means(score, times, 4)
    for own, count in zip(means, times, strict=True):
        expected = expected_performance.compute(np.repeat(score, count)).mean
        assert_allclose(own, expected, atol=1e-12)


def test_without_a_score_nothing_is_resampled() -> None:
    with pytest.raises(ValueError, match="no score to resample"):
        bootstrap(independent(np.array([])), "trials", np.random.default_rng(0))
