"""Stopping rules cost what they say and find what closed forms say; intervals hold their gains."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from analysis import early_stopping, expected_performance, stopping_rules
from analysis.finds import exact_finds
from analysis.progress import Progress
from analysis.stopping_rules import Plan, compute, halve

Floats = NDArray[np.float64]
POINTS = 30


def progress_of(
    wi: Floats, do: Floats, *, rest: float = 0.01, seed: int = 0, late: float = 0.0
) -> Progress:
    """Return a full grid of trials whose ends are the sums of their seeds' effects and a rest.

    Args:
        wi: effect of each WI seed.
        do: effect of each DO seed.
        rest: deviation of what is each trial's own.
        seed: of that and of the noise of each evaluation.
        late: how far below its course a trial lies in the first two thirds, at random.
    """
    rng = np.random.default_rng(seed)
    end = (0.7 + wi[:, None] + do + rest * rng.standard_normal((len(wi), len(do)))).ravel()
    risen = np.minimum(np.arange(POINTS + 1) / 10, 1)
    score = 0.5 + (end[:, None] - 0.5) * risen
    score[:, : 2 * POINTS // 3] -= late * np.abs(rng.standard_normal((len(end), 1)))
    row, column = np.indices((len(wi), len(do))).reshape(2, -1)
    steps = np.arange(POINTS + 1)
    return Progress(
        "s", "t", "accuracy", np.arange(len(end)).astype(str), row, column, steps, steps / 10,
        POINTS, score,
    )  # fmt: skip


def grid(rows: int = 10, columns: int = 10, **wanted: float) -> Progress:
    rng = np.random.default_rng(5)
    wi, do = 0.03 * rng.standard_normal(rows), 0.03 * rng.standard_normal(columns)
    return progress_of(wi, do, **wanted)  # type: ignore[arg-type]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_each_rung_is_paid_for_those_that_are_alive() -> None:
    plan = Plan("successive halving", 8, ((4, 4), (8, 2), (15, 1)))
    assert plan.cost == pytest.approx((8 * 4 + 4 * 4 + 2 * 7 + 1 * 15) / 30)
    assert plan.in_words == (
        "start 8, continue 4 after 13%, continue 2 after 27%, continue 1 after 50%"
    )
    assert Plan("full training", 7).cost == 7


@pytest.mark.parametrize("budget", [1, 2, 5, 20])
def test_halving_starts_as_many_as_the_budget_allows(budget: int) -> None:
    plan = halve(budget, 625)
    alive = [plan.started, *(number for _, number in plan.rungs)]
    assert plan.cost <= budget
    assert all(after == max(1, before // 2) for before, after in itertools.pairwise(alive))
    more = Plan(
        "successive halving", plan.started + 1,
        tuple((part, max(1, (plan.started + 1) >> rung)) for rung, (part, _) in
              enumerate(plan.rungs, start=1)),
    )  # fmt: skip
    assert more.cost > budget


def test_no_rule_spends_more_than_the_budget_or_much_less() -> None:
    found = compute(grid(), 10, rng(), draws=100, repetitions=2)
    assert [outcome.plan.rule for outcome in found.outcomes] == [
        "full training", "t/f/p, the paper's advice", "t/f/p, learnt here", "successive halving",
        "seed-wise stopping",
    ]  # fmt: skip
    for outcome in found.outcomes:
        assert 9 <= outcome.plan.cost <= 10 + 1e-9


def test_what_stopping_once_finds_is_its_closed_form() -> None:
    progress = grid(late=0.02)
    draws = 10_000
    found = compute(progress, 10, rng(), draws=draws, repetitions=2)
    assert found.outcomes[0].mean == pytest.approx(
        expected_performance.compute(progress.final, replacement=False).mean[9]
    )
    for outcome in found.outcomes[1:3]:
        ((part, number),) = outcome.plan.rungs
        t = outcome.plan.started
        exact = exact_finds(
            progress.best[:, part], progress.final, most_started=t, most_continued=number
        )
        error = 5 * exact.deviation[t, number] / np.sqrt(draws)
        assert outcome.mean == pytest.approx(exact.mean[t, number], abs=error)
        assert outcome.gain == pytest.approx(outcome.mean - found.outcomes[0].mean)


def test_halving_finds_the_best_of_all_started_where_the_ranking_never_changes() -> None:
    progress = grid()
    found = compute(progress, 10, rng(), draws=10_000, repetitions=2)
    (outcome,) = (each for each in found.outcomes if each.plan.rule == "successive halving")
    curve = expected_performance.compute(progress.final, replacement=False)
    started = outcome.plan.started
    error = 5 * curve.deviation[started - 1] / 100
    assert outcome.mean == pytest.approx(curve.mean[started - 1], abs=error)


def test_a_trial_is_predicted_by_the_means_of_its_seeds() -> None:
    reached = np.random.default_rng(7).random((3, 20))
    predicted = stopping_rules._by_seeds(reached, (4, 5)).reshape(3, 4, 5)
    block = reached.reshape(3, 4, 5)
    for draw, wi, do in np.ndindex(3, 4, 5):
        expected = block[draw, wi].mean() + block[draw, :, do].mean()
        assert predicted[draw, wi, do] == pytest.approx(expected)


def test_a_trial_without_a_score_yet_pulls_its_seeds_down_as_the_worst_does() -> None:
    reached = np.array([[0.4, 0.8, 0.6, -np.inf]])
    as_worst = np.array([[0.4, 0.8, 0.6, 0.4]])
    assert_allclose(
        stopping_rules._by_seeds(reached, (2, 2)), stopping_rules._by_seeds(as_worst, (2, 2))
    )
    assert np.isfinite(stopping_rules._by_seeds(np.full((1, 4), -np.inf), (2, 2))).all()


def test_where_seeds_explain_all_they_predict_no_worse_than_the_scores() -> None:
    seeds = grid(rest=0.0)
    found = compute(seeds, 20, rng(), repetitions=2).outcomes[-1]
    assert found.plan.rule == "seed-wise stopping"
    assert found.plan.seeds is not None
    wi, do = (np.unique(each, return_inverse=True)[1] for each in (seeds.wi_seed, seeds.do_seed))
    # All that is in the block is found: the best of its WI with the best of its DO seeds.
    best = [
        expected_performance.compute(
            [seeds.final[of == seed].mean() for seed in np.unique(of)], replacement=False
        ).mean[number - 1]
        for of, number in ((wi, found.plan.seeds[0]), (do, found.plan.seeds[1]))
    ]
    assert found.mean == pytest.approx(sum(best) - seeds.final.mean(), abs=0.001)


def test_seeds_predict_nothing_where_each_trial_has_its_own_way() -> None:
    own = progress_of(np.zeros(10), np.zeros(10), rest=0.05)
    found = {each.plan.rule: each for each in compute(own, 12, rng(), repetitions=2).outcomes}
    assert found["seed-wise stopping"].gain < found["t/f/p, the paper's advice"].gain


def test_rules_that_draw_more_trials_are_not_held_worse_for_trials_drawn_twice() -> None:
    """The middle of the interval lies about the gain, where resamples have trials in them twice."""
    own = progress_of(np.zeros(8), np.zeros(8), rest=0.05)
    for outcome in compute(own, 10, rng(), draws=4_000, repetitions=80).outcomes[1:]:
        middle, width = (outcome.low + outcome.high) / 2, outcome.high - outcome.low
        assert abs(middle - outcome.gain) < 0.2 * width


@pytest.mark.slow
def test_the_interval_of_a_gain_holds_the_gain_and_covers_that_of_other_seeds() -> None:
    """The true gain is that over many grids of other seeds; 95 % of intervals hold it."""
    generator = np.random.default_rng(6)

    def drawn(number: int) -> Progress:
        wi, do = 0.03 * generator.standard_normal(8), 0.03 * generator.standard_normal(8)
        return progress_of(wi, do, rest=0.03, late=0.02, seed=number)

    studies = 50
    compared = [
        compute(drawn(number), 4, generator, draws=2_000, repetitions=60).outcomes
        for number in range(studies)
    ]
    for place in range(1, len(compared[0])):
        outcomes = [of[place] for of in compared if of[place].plan == compared[0][place].plan]
        assert all(each.low <= each.gain <= each.high for each in outcomes)
        if len(outcomes) < studies:  # what is learnt differs from grid to grid
            continue
        truth = np.mean([each.gain for each in outcomes])
        hits = sum(each.low <= truth <= each.high for each in outcomes)
        assert hits >= 0.83 * studies  # 0.1 % below 95 %


def test_what_is_known_of_all_settings_gives_the_same_plans() -> None:
    own = grid(6, 6)
    known = early_stopping.compute(own, budgets=range(1, 9))
    alone, told = (
        compute(own, 5, rng(), draws=300, repetitions=3, stopping=stopping).outcomes
        for stopping in (None, known)
    )
    assert "t/f/p, learnt here" in {each.plan.rule for each in alone}
    assert alone == told


def test_full_training_gains_nothing_over_itself() -> None:
    first = compute(grid(), 5, rng(), draws=100, repetitions=3).outcomes[0]
    assert (first.gain, first.low, first.high) == (0, 0, 0)


def test_rules_that_the_trials_do_not_allow_are_named() -> None:
    progress = grid(4, 4)
    columns = ("trial_id", "wi_seed", "do_seed", "score")
    holes = Progress(
        **{**vars(progress), **{name: getattr(progress, name)[1:] for name in columns}}
    )
    found = compute(holes, 8, rng(), draws=100, repetitions=3)
    assert found.left_out == {
        "t/f/p, the paper's advice": "it starts 19 trials, and there are 15",
        "t/f/p, learnt here": "15 trials are too few to learn from",
        "seed-wise stopping": "not every pair of seeds has one trial",
    }
    assert (found.over, found.units) == ("trials", 15)
    assert (compute(progress, 2, rng(), draws=100, repetitions=3).over) == "both seeds"


def test_the_generator_alone_decides() -> None:
    one, same, other = (
        compute(grid(6, 6), 5, rng(seed), draws=300, repetitions=3).outcomes[-1]
        for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize("budget", [0, 17])
def test_it_refuses_a_budget_beyond_the_trials(budget: int) -> None:
    with pytest.raises(ValueError, match=f"from 1 to the number of trials, 16; got {budget}"):
        compute(grid(4, 4), budget, rng())


@pytest.mark.parametrize("rows", range(2, 8))
@pytest.mark.parametrize("columns", range(2, 8))
def test_seed_wise_stopping_fits_every_grid_and_budget(rows: int, columns: int) -> None:
    for budget in range(1, rows * columns + 1):
        plan = stopping_rules._seedwise(budget, (rows, columns), POINTS)
        assert plan.seeds is not None
        assert plan.seeds[0] <= rows
        assert plan.seeds[1] <= columns
        assert plan.seeds[0] * plan.seeds[1] == plan.started
        assert plan.cost <= budget + 1 or not plan.rungs
        assert all(0 < number < plan.started for _, number in plan.rungs)
