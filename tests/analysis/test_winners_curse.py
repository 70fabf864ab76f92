"""What the best of n is said to be flattered by is what it loses on other examples."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import norm

from analysis import expected_performance, winners_curse
from analysis.reference import published_scores
from analysis.winners_curse import compute, from_predictions, noise_of

Floats = NDArray[np.float64]
EXAMPLES, TRIALS, N = 277, 80, (1, 5, 20)

OWN_SCORES: dict[str, Callable[[np.random.Generator], Floats]] = {
    "all alike": lambda rng: np.full(TRIALS, 0.7),
    "spread": lambda rng: 0.7 + 0.03 * rng.standard_normal(TRIALS),
    "some failed": lambda rng: np.where(
        rng.random(TRIALS) < 0.3, 0.53, 0.7 + 0.01 * rng.standard_normal(TRIALS)
    ),
}


def lost_by_the_best(score: Floats, own: Floats, n: int) -> float:
    """Return the mean of score − own over the best of all n trials, ties in the given order."""
    order = np.argsort(score, kind="stable")
    chance = winners_curse._chance_of_being_best(len(score), n)[n - 1]
    return float(chance @ (score - own)[order])


def predictions(own: Floats, shared: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return right or wrong on each example, `shared` of what decides being the example's."""
    ability = norm.ppf(own)[:, None]
    example = np.sqrt(shared) * rng.standard_normal(EXAMPLES)
    luck = np.sqrt(1 - shared) * rng.standard_normal((len(own), EXAMPLES))
    return np.asarray(example + luck < ability)


def test_the_chance_of_being_best_is_that_over_all_sets() -> None:
    chance = winners_curse._chance_of_being_best(6, 6)
    for n in range(1, 7):
        sets = list(itertools.combinations(range(6), n))
        by_count = [sum(max(one) == k for one in sets) / len(sets) for k in range(6)]
        assert_allclose(chance[n - 1], by_count, atol=1e-12)


@pytest.mark.parametrize("which", OWN_SCORES)
def test_by_formula_it_is_what_is_lost_where_errors_are_not_shared(which: str) -> None:
    rng = np.random.default_rng(1)
    lost, said = [], []
    for _ in range(60):
        own = OWN_SCORES[which](rng)
        score = rng.binomial(EXAMPLES, own) / EXAMPLES
        lost.append([lost_by_the_best(score, own, n) for n in N])
        said.append(compute(score, "accuracy", EXAMPLES, budget=20).overstatement[np.array(N) - 1])
    error = 4 * np.std(lost, axis=0) / np.sqrt(60)
    # And a tenth: the mixing distribution is fitted to the scores it explains.
    assert (
        np.abs(np.mean(said, axis=0) - np.mean(lost, axis=0)) < error + 0.1 * np.mean(lost)
    ).all()
    assert np.mean(lost, axis=0)[-1] > 0.02


@pytest.mark.parametrize("shared", [0.0, 0.8])
@pytest.mark.parametrize("which", ["all alike", "spread"])
def test_from_predictions_it_is_what_is_lost_even_where_errors_are_shared(
    which: str, shared: float
) -> None:
    rng = np.random.default_rng(2)
    lost, said, by_formula = [], [], []
    for _ in range(40):
        own = OWN_SCORES[which](rng)
        right = predictions(own, shared, rng)
        score = right.mean(axis=1)
        # What the examples do to all trials alike is no part of it: nought in the mean.
        alike = (score - own).mean()
        lost.append([lost_by_the_best(score - alike, own, n) for n in N])
        found = from_predictions(right, rng, budget=20, repetitions=60)
        said.append(found.overstatement[np.array(N) - 1])
        by_formula.append(compute(score, "accuracy", EXAMPLES, budget=20).overstatement[-1])
    error = 4 * np.std(lost, axis=0) / np.sqrt(40)
    truth = np.mean(lost, axis=0)
    assert (np.abs(np.mean(said, axis=0) - truth) < error + 0.1 * truth[-1]).all()
    if shared and which == "spread":
        assert np.mean(by_formula) > 1.2 * truth[-1]


def test_the_noise_seen_in_predictions_is_the_part_that_is_each_trials_own() -> None:
    rng = np.random.default_rng(5)
    own = np.full(TRIALS, 0.7)
    apart, seen = [], []
    for _ in range(40):
        right = predictions(own, 0.8, rng)
        score = right.mean(axis=1)
        apart.append(np.square(score - score.mean()).sum() / (TRIALS - 1))
        seen.append(from_predictions(right, rng, budget=1, repetitions=1).noise)
    assert np.mean(seen) == pytest.approx(np.sqrt(np.mean(apart)), rel=0.03)


def test_what_is_flattered_and_what_is_left_make_the_expected_best() -> None:
    scores = published_scores("rte").score
    curse = compute(scores, "accuracy", 277, budget=50)
    curve = expected_performance.compute(scores, replacement=False, budget=50)
    assert_allclose(curse.expected_best, curve.mean)
    assert_allclose(curse.expected_own + curse.overstatement, curve.mean)
    assert abs(curse.overstatement[0]) < 0.001
    assert (np.diff(curse.overstatement) > 0).all()


def test_more_examples_flatter_less() -> None:
    scores = (published_scores("rte").score * 100).round() / 100
    few, many = (compute(scores, "accuracy", v, budget=20) for v in (100, 10_000))
    assert many.overstatement[-1] < few.overstatement[-1] / 5


def test_equal_scores_on_many_examples_flatter_nothing() -> None:
    curse = compute([0.7] * 30, "accuracy", 1_000)
    assert_allclose(curse.overstatement, 0, atol=0.002)


@pytest.mark.parametrize(
    ("metric", "draw"),
    [
        ("accuracy", lambda rng, v: rng.binomial(v, 0.7, size=4_000) / v),
        ("matthews_correlation", lambda rng, v: matthews(rng, v, positive=0.5)),
        ("matthews_correlation", lambda rng, v: matthews(rng, v, positive=0.7)),
        (
            "pearson",
            lambda rng, v: [
                np.corrcoef(x, 0.6 * x + 0.8 * rng.standard_normal(v))[0, 1]
                for x in rng.standard_normal((4_000, v))
            ],
        ),
    ],
)
def test_the_noise_is_that_of_scores_over_validation_sets(
    metric: str, draw: Callable[[np.random.Generator, int], Floats]
) -> None:
    drawn = np.asarray(draw(np.random.default_rng(3), 500))
    noise = noise_of(metric, 500)
    assert noise is not None
    assert float(noise(drawn.mean())) == pytest.approx(drawn.std(), rel=0.1)


def matthews(rng: np.random.Generator, examples: int, positive: float) -> Floats:
    """Return the correlation of labels with predictions that are as often positive, φ = 0.6."""
    both = 0.6 * positive * (1 - positive)
    cells = np.array([positive**2, positive * (1 - positive), positive * (1 - positive),
                      (1 - positive) ** 2]) + both * np.array([1, -1, -1, 1])  # fmt: skip
    tp, fn, fp, tn = rng.multinomial(examples, cells, size=4_000).T.astype(float)
    sides = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return np.asarray((tp * tn - fp * fn) / np.sqrt(sides))


@pytest.mark.parametrize("metric", ["f1", "accuracy_and_f1", "spearman"])
def test_without_a_formula_it_asks_for_predictions(metric: str) -> None:
    assert noise_of(metric, 100) is None
    with pytest.raises(ValueError, match=f"the noise of {metric}: it takes predictions"):
        compute([0.5], metric, 100)


@pytest.mark.parametrize(("scores", "examples"), [([], 10), ([0.5], 0)])
def test_it_takes_scores_and_examples(scores: list[float], examples: int) -> None:
    with pytest.raises(ValueError, match="one or more scores on one or more examples"):
        compute(scores, "pearson" if not examples else "accuracy", examples)


@pytest.mark.parametrize("right", [np.ones((0, 5)), np.ones((2, 1)), np.ones(4)])
def test_predictions_are_of_trials_on_examples(right: Floats) -> None:
    with pytest.raises(ValueError, match="one or more trials on two or more examples"):
        from_predictions(right, np.random.default_rng(0))
