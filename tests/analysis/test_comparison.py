"""Two models are compared by the definition of a better best, at each budget and equal cost."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.stats import binom, norm

from analysis import expected_performance
from analysis.comparison import chance_of_beating, compute
from analysis.scores import TrialScores

Floats = NDArray[np.float64]
FEW_SCORES = st.lists(st.integers(0, 5).map(lambda v: v / 5), min_size=1, max_size=5)


def scores_of(score: Floats | list[float], metric: str = "pearson") -> TrialScores:
    score = np.asarray(score, dtype=np.float64)
    number = np.arange(len(score))
    return TrialScores("s", "t", metric, "best", number.astype(str), number, number, number, score)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@settings(deadline=None, max_examples=60)
@given(ours=FEW_SCORES, theirs=FEW_SCORES, n=st.integers(1, 3), m=st.integers(1, 3))
def test_the_chance_is_that_over_all_draws(
    ours: list[float], theirs: list[float], n: int, m: int
) -> None:
    won = [
        (max(a) > max(b)) + (max(a) == max(b)) / 2
        for a in itertools.product(ours, repeat=n)
        for b in itertools.product(theirs, repeat=m)
    ]
    assert chance_of_beating(ours, theirs, n, m) == pytest.approx(np.mean(won), abs=1e-12)


@settings(deadline=None)
@given(ours=FEW_SCORES, theirs=FEW_SCORES, n=st.integers(1, 50))
def test_one_wins_where_the_other_loses(ours: list[float], theirs: list[float], n: int) -> None:
    one, other = chance_of_beating(ours, theirs, n, n), chance_of_beating(theirs, ours, n, n)
    assert one + other == pytest.approx(1)
    assert chance_of_beating(ours, ours, n, n) == pytest.approx(0.5)


def test_each_budget_has_the_expected_bests_and_their_chance() -> None:
    ours, theirs = rng().random(30), rng().random(20) * 0.9
    found = compute(scores_of(ours), scores_of(theirs), rng(), over="trials", repetitions=20)
    assert found.n[0].tolist() == found.n[1].tolist() == list(range(1, 21))
    assert_allclose(found.mean[0], expected_performance.compute(ours, budget=20).mean)
    assert_allclose(found.mean[1], expected_performance.compute(theirs).mean)
    assert_allclose(found.lead, found.mean[0] - found.mean[1])
    for n, chance in zip(found.n[0].tolist(), found.chance, strict=True):
        assert chance == pytest.approx(chance_of_beating(ours, theirs, n, n))


def test_a_model_with_more_spread_overtakes_one_with_a_better_mean() -> None:
    spread, steady = [0.2, 0.9], [0.6, 0.6]
    found = compute(
        scores_of(spread), scores_of(steady), rng(), largest=10, over="trials", repetitions=10
    )
    # 0.9 − 0.7/2ⁿ passes 0.6 between one trial and two.
    assert found.overtakes == ((1.0, "B"), (2.0, "A"))
    assert np.sign(found.lead).tolist() == [-1.0, *[1.0] * 9]


def test_equal_models_never_overtake() -> None:
    assert (
        compute(scores_of([0.1, 0.2]), scores_of([0.2, 0.1]), rng(), repetitions=5).overtakes == ()
    )


def test_at_equal_cost_the_cheaper_model_has_more_trials() -> None:
    found = compute(
        scores_of(np.arange(12) / 12), scores_of(np.arange(6) / 6), rng(),
        cost=(0.1, 0.3), repetitions=5,
    )  # fmt: skip
    assert found.budget.tolist() == pytest.approx([0.3, 0.6, 0.9, 1.2])
    assert found.n[0].tolist() == [3, 6, 9, 12]
    assert found.n[1].tolist() == [1, 2, 3, 4]


def test_intervals_of_lead_and_chance_cover_the_truth() -> None:
    generator = np.random.default_rng(5)
    budget, studies, inside = 4, 200, np.zeros((2, 4))
    u = (np.arange(100_000) + 0.5) / 100_000
    z = norm.ppf(u)
    n = np.arange(1, budget + 1)
    best = np.array([(k * u ** (k - 1) * z).mean() for k in n])
    # A is normal about 0.3, B about 0: the chance from the densities of their bests.
    truth = 0.3 + 0 * best
    chance = np.array([(k * u ** (k - 1) * norm.cdf(z + 0.3) ** k).mean() for k in n])
    for _ in range(studies):
        found = compute(
            scores_of(0.3 + generator.standard_normal(60)),
            scores_of(generator.standard_normal(60)),
            generator, over="trials", largest=budget, repetitions=100,
        )  # fmt: skip
        inside[0] += (found.low <= truth) & (truth <= found.high)
        inside[1] += (found.chance_low <= chance) & (chance <= found.chance_high)
    assert (inside >= binom.ppf(0.001, studies, 0.91)).all(), inside / studies


def test_intervals_over_both_seeds_cover_the_truth_where_seeds_are_shared() -> None:
    generator = np.random.default_rng(9)
    budget, studies, truth, inside = 3, 150, 0.3, np.zeros(3)

    def crossed() -> TrialScores:
        wi, do = np.indices((12, 8)).reshape(2, -1)
        effects = 0.5 * generator.standard_normal(12)[wi] + 0.5 * generator.standard_normal(8)[do]
        own = np.sqrt(0.5) * generator.standard_normal(len(wi))
        name = np.arange(len(wi)).astype(str)
        return TrialScores("s", "t", "pearson", "best", name, wi, do, 0 * wi, effects + own)

    for _ in range(studies):
        ours = crossed()
        theirs = crossed()
        found = compute(
            replace(ours, score=ours.score + truth), theirs, generator,
            over="both seeds", largest=budget, repetitions=200,
        )  # fmt: skip
        inside += (found.low <= truth) & (truth <= found.high)
    assert (inside >= binom.ppf(0.001, studies, 0.91)).all(), inside / studies


def test_a_model_with_fewer_trials_is_not_held_to_be_worse_for_it() -> None:
    """The best of n drawn from 20 trials is low by 0.1; the middles of intervals are not."""
    generator = np.random.default_rng(8)
    put_back = []
    for _ in range(100):
        found = compute(
            scores_of(generator.standard_normal(20)), scores_of(generator.standard_normal(200)),
            generator, over="trials", largest=10, budgets=2, repetitions=40, confidence=0.5,
        )  # fmt: skip
        put_back.append((found.low[-1] + found.high[-1]) / 2 - found.lead[-1])
    assert 0.05 < np.mean(put_back) < 0.15


@pytest.mark.parametrize(
    ("theirs", "wanted", "message"),
    [
        (scores_of([]), {}, "a study without a score cannot be compared"),
        (scores_of([0.1], "f1"), {}, "pearson and f1 cannot be compared"),
        (scores_of([0.1]), {"cost": (0.0, 1.0)}, "costs of a trial must be positive"),
        (scores_of([0.1]), {"largest": 0.5}, "a budget of 0.5 buys no trial at a cost of 1.0"),
    ],
)
def test_it_refuses_what_cannot_be_compared(
    theirs: TrialScores, wanted: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compute(scores_of([0.3]), theirs, rng(), **wanted)  # type: ignore[arg-type]
