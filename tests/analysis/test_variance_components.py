"""The components are what pairs of trials say, unbiased, and their intervals cover the truth."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis import variance_components
from analysis.reference import published_scores
from analysis.scores import TrialScores
from analysis.variance_components import Component, Source, VarianceComponents

GridOf = Callable[..., TrialScores]
GRIDS = arrays(float, st.tuples(st.integers(2, 5), st.integers(2, 5)), elements=st.floats(-1, 1))


def components(scores: TrialScores, permutations: int = 1) -> VarianceComponents:
    rng = np.random.default_rng(0)
    return variance_components.compute(scores, rng, permutations=permutations)


def variances(found: VarianceComponents) -> dict[Source, float]:
    return {component.source: component.variance for component in found.components}


# ── Estimates ────────────────────────────────────────────────────────────────────────────────────
@settings(deadline=None)
@given(score=GRIDS)
def test_on_a_full_grid_they_are_those_of_the_analysis_of_variance(
    grid_of: GridOf, score: np.ndarray
) -> None:
    rows, columns = score.shape
    residual = score - score.mean(1, keepdims=True) - score.mean(0) + score.mean()
    within = (residual**2).sum() / ((rows - 1) * (columns - 1))
    found = variances(components(grid_of(score)))
    assert found == pytest.approx(
        {
            "wi": score.mean(1).var(ddof=1) - within / columns,
            "do": score.mean(0).var(ddof=1) - within / rows,
            "rest": within,
        },
        abs=1e-9,
    )


def half_squares(scores: TrialScores, wi: bool, do: bool, other_dropout: bool = False) -> float:
    """Mean of half the squared differences over the pairs that share just these seeds."""
    of_trials = zip(scores.wi_seed, scores.do_seed, scores.dropout_seed, scores.score, strict=True)
    return float(
        np.mean(
            [
                (one[3] - other[3]) ** 2 / 2
                for one, other in itertools.combinations(of_trials, 2)
                if ((one[0] == other[0]), (one[1] == other[1])) == (wi, do)
                and not (other_dropout and one[2] == other[2])
            ]
        )
    )


def test_with_holes_they_are_what_pairs_of_trials_say(grid_of: GridOf) -> None:
    score = np.random.default_rng(1).random((5, 4))
    score[0, 1] = score[3, 0] = score[3, 3] = np.nan
    scores = grid_of(score)
    same_wi, same_do = half_squares(scores, True, False), half_squares(scores, False, True)
    neither = half_squares(scores, False, False)
    assert variances(components(scores)) == pytest.approx(
        {"wi": neither - same_wi, "do": neither - same_do, "rest": same_wi + same_do - neither}
    )


def test_dropout_seeds_tell_the_interaction_from_what_differs_within_a_cell(
    grid_of: GridOf,
) -> None:
    score = np.random.default_rng(2).random((3, 4, 3))
    score[1, 2, 0] = score[0, 0, 2] = np.nan
    scores = grid_of(score)
    same_wi, same_do, neither = (
        half_squares(scores, *shared, other_dropout=True)
        for shared in ((True, False), (False, True), (False, False))
    )
    cell = half_squares(scores, True, True)
    assert variances(components(scores)) == pytest.approx(
        {
            "wi": neither - same_wi,
            "do": neither - same_do,
            "interaction": same_wi + same_do - neither - cell,
            "within": cell,
        }
    )


def test_an_effect_of_the_dropout_seed_is_not_taken_for_one_of_the_others(grid_of: GridOf) -> None:
    # All that differs is the dropout seed, which is crossed with the others.
    score = np.broadcast_to([0.1, 0.9, 0.4], (4, 5, 3)).copy()
    found = variances(components(grid_of(score)))
    expected = {"wi": 0, "do": 0, "interaction": 0, "within": np.var([0.1, 0.9, 0.4], ddof=1)}
    assert found == pytest.approx(expected, abs=1e-12)


def test_shares_add_up_to_one(grid_of: GridOf) -> None:
    found = components(grid_of(np.random.default_rng(3).random((4, 4, 2))))
    assert sum(component.share for component in found.components) == pytest.approx(1)
    assert sum(variances(found).values()) == pytest.approx(found.total)


# ── Repeated draws ───────────────────────────────────────────────────────────────────────────────
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Numbers of mean 0 and variance 1."""


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """As of trials a third of which diverge."""
    return np.asarray(np.where(rng.random(shape) < 1 / 3, -2.0, 1.0) / np.sqrt(2))


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 1 - rng.exponential(size=shape)


def drawn(
    rng: np.random.Generator, shape: tuple[int, ...], sd: tuple[float, ...], residual: Draw
) -> np.ndarray:
    """Scores with normal effects of WI, DO (and interaction) of these deviations."""
    rows, columns, *_ = shape
    effects = [normal(rng, (rows, 1)), normal(rng, (1, columns)), normal(rng, (rows, columns))]
    score = sum(deviation * effect for deviation, effect in zip(sd[:-1], effects, strict=False))
    if len(shape) == 3:
        score = np.asarray(score)[:, :, None]
    return np.asarray(score + sd[-1] * residual(rng, shape))


@pytest.mark.parametrize("residual", [normal, bimodal, skewed])
@pytest.mark.parametrize(
    ("shape", "sd"),
    [
        ((6, 5), (0.5, 0.0, 1.0)),
        ((8, 8), (0.3, 1.0, 1.0)),
        ((5, 6, 3), (0.5, 0.3, 0.7, 1.0)),
    ],
)
def test_they_are_unbiased_and_their_intervals_cover_the_truth(
    grid_of: GridOf, residual: Draw, shape: tuple[int, ...], sd: tuple[float, ...]
) -> None:
    rng = np.random.default_rng(4)
    repetitions = 150
    truth = np.square(sd)
    found: list[tuple[Component, ...]] = []
    for _ in range(repetitions):
        score = drawn(rng, shape, sd, residual)
        score[0, 1] = np.nan  # a hole costs nothing of this
        found.append(components(grid_of(score)).components)

    estimates = np.array([[each.variance for each in one] for one in found])
    errors = estimates.std(axis=0, ddof=1) / np.sqrt(repetitions)
    assert (np.abs(estimates.mean(axis=0) - truth) < 4 * errors).all()

    # No less than 95 %, but for the errors of the jackknife on five seeds and of this simulation.
    least = stats.binom.ppf(1e-3, repetitions, 0.93)
    assert (hits(found, "interval", truth) >= least).all()
    assert (hits(found, "share_interval", truth / truth.sum()) >= least).all()


def hits(found: list[tuple[Component, ...]], name: str, truth: np.ndarray) -> Any:
    low, high = np.moveaxis(np.array([[getattr(c, name) for c in one] for one in found]), 2, 0)
    return ((low <= truth) & (truth <= high)).sum(axis=0)


def test_strongly_skewed_effects_of_seeds_cost_coverage_but_not_most_of_it(
    grid_of: GridOf,
) -> None:
    rng = np.random.default_rng(7)
    found = []
    for _ in range(120):
        effects = skewed(rng, (12, 1)) + skewed(rng, (1, 12))
        score = effects + 0.5 * skewed(rng, (12, 12))
        found.append(components(grid_of(score)).components)
    covered = hits(found, "interval", np.array([1, 1, 0.25])) / len(found)
    assert (covered[:2] > 0.75).all()
    assert covered[:2].mean() < 0.93
    assert covered[2] > 0.9


def test_intervals_are_not_so_wide_that_they_cover_anything(grid_of: GridOf) -> None:
    rng = np.random.default_rng(5)
    found = components(grid_of(drawn(rng, (25, 25), (1.0, 0.0, 1.0), normal)))
    low, high = found.of("wi").interval
    assert 0.4 < low < 1 < high < 2.5
    low, high = found.of("do").interval
    assert low == 0
    assert high < 0.1
    low, high = found.of("rest").share_interval
    assert 0.25 < low < 0.5 < high < 0.75


# ── Tests ────────────────────────────────────────────────────────────────────────────────────────
def test_the_p_value_is_of_the_one_factor_whatever_the_other_does(grid_of: GridOf) -> None:
    rng = np.random.default_rng(6)
    found = components(grid_of(drawn(rng, (6, 8), (0.0, 5.0, 1.0), bimodal)), permutations=999)
    assert found.of("wi").p > 0.01
    assert found.of("do").p == 0.001
    assert np.isnan(found.of("rest").p)


def test_on_the_papers_tasks_most_of_the_variance_is_neither_seeds() -> None:
    for task, least in (("mrpc", 0.9), ("rte", 0.9), ("cola", 0.9), ("sst2", 0.7)):
        assert components(published_scores(task)).of("rest").share > least


# ── Little data ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_a_factor_with_one_seed_cannot_be_taken_apart(
    grid_of: GridOf, shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="takes two seeds of each factor, crossed"):
        components(grid_of(np.random.default_rng(0).random(shape)))


def test_seeds_that_are_not_crossed_cannot_be_told_apart(grid_of: GridOf) -> None:
    diagonal = np.where(np.eye(4) > 0, np.random.default_rng(0).random((4, 4)), np.nan)
    with pytest.raises(ValueError, match="crossed"):
        components(grid_of(diagonal))


def test_two_seeds_give_estimates_without_intervals(grid_of: GridOf) -> None:
    found = components(grid_of(np.array([[0.1, 0.4], [0.3, 0.9]])))
    for component in found.components:
        assert np.isfinite(component.variance)
        assert np.isnan(component.interval).all()
        assert np.isnan(component.share_interval).all()


def test_equal_scores_have_no_variance_to_take_apart(grid_of: GridOf) -> None:
    found = components(grid_of(np.full((4, 4), 0.3)))
    assert found.total == 0
    assert all(np.isnan(component.share) for component in found.components)
