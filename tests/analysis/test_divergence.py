"""Which trials diverged and when is read off their evaluations, and held against chance by seed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from analysis import divergence, variance_components
from analysis.divergence import Divergence, wilson
from analysis.schema import arrow_schema
from analysis.scores import TrialScores, trial_scores
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, Status

GridOf = Callable[..., TrialScores]
MakeWarehouse = Callable[..., Warehouse]


def diverged(scores: TrialScores, baseline: float = 0.5, margin: float = 0.0) -> Divergence:
    return divergence.compute(scores, baseline, margin, np.random.default_rng(0), permutations=999)


# ── Which ────────────────────────────────────────────────────────────────────────────────────────
def test_a_trial_diverged_if_its_score_is_not_above_the_baseline(grid_of: GridOf) -> None:
    found = diverged(grid_of(np.array([[0.5, 0.5 + 1e-13, 0.51], [0.4, 0.6, 0.7]])))
    assert found.diverged.tolist() == [True, True, False, True, False, False]
    assert found.share == 0.5


def test_a_margin_takes_in_what_is_close(grid_of: GridOf) -> None:
    found = diverged(grid_of(np.array([[0.5, 0.54, 0.56]])), margin=0.05)
    assert found.diverged.tolist() == [True, True, False]
    assert found.at_baseline.tolist() == [True, False, False]


def test_shares_are_by_seed_the_lowest_first(grid_of: GridOf) -> None:
    score = np.array([[0.5, 0.9, 0.5], [0.9, 0.9, 0.9], [0.9, 0.5, np.nan]])
    found = diverged(grid_of(score))
    assert found.by_wi.seed.tolist() == [2, 3, 1]
    assert (found.by_wi.diverged.tolist(), found.by_wi.trials.tolist()) == ([0, 1, 2], [3, 2, 3])
    assert found.by_do.seed.tolist() == [1, 2, 3]


def test_seeds_that_make_trials_diverge_are_told_from_chance(grid_of: GridOf) -> None:
    rng = np.random.default_rng(1)
    chance = np.where(np.arange(8)[:, None] < 3, 0.9, 0.1)
    found = diverged(grid_of(np.where(rng.random((8, 8)) < chance, 0.5, 0.8)))
    assert found.by_wi.p == 0.001
    assert found.by_do.p > 0.01
    components = variance_components.compute(found.as_scores, rng, permutations=9)
    assert components.of("wi").share > 0.3 > 0.1 > components.of("do").share


def test_chance_is_called_a_seeds_doing_no_more_often_than_said(grid_of: GridOf) -> None:
    rng = np.random.default_rng(2)
    p = np.array(
        [
            divergence.compute(
                grid_of(rng.choice([0.5, 0.8], p=[0.3, 0.7], size=(5, 6))), 0.5, 0, rng,
                permutations=99,
            ).by_wi.p
            for _ in range(200)
        ]
    )  # fmt: skip
    for level in (0.05, 0.2):
        assert np.count_nonzero(p <= level) <= stats.binom.isf(1e-4, p.size, level)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_the_interval_of_the_share_covers_it(share: float) -> None:
    n = 60
    intervals = np.array([wilson(number, n) for number in range(n + 1)])
    covers = (intervals[:, 0] <= share) & (share <= intervals[:, 1])
    # The exact coverage, over all that can be seen; Wilson's goes a little below 95 % at times.
    assert stats.binom.pmf(np.arange(n + 1), n, share)[covers].sum() > 0.92


def test_the_margin_is_two_standard_errors_of_a_score_at_the_baseline() -> None:
    rng = np.random.default_rng(3)
    n, baseline = 277, 0.53
    shares = rng.binomial(n, baseline, 20_000) / n
    assert divergence.margin_of("accuracy", baseline, n) == pytest.approx(
        2 * shares.std(), rel=0.03
    )
    # Matthews correlation is the correlation of two columns of 0 and 1.
    labels = rng.random((4_000, n)) < 0.7
    guesses = rng.random((4_000, n)) < 0.6
    labels, guesses = (each - each.mean(axis=1, keepdims=True) for each in (labels, guesses))
    correlation = (labels * guesses).mean(axis=1) / (labels.std(axis=1) * guesses.std(axis=1))
    assert divergence.margin_of("matthews_correlation", 0.0, n) == pytest.approx(
        2 * correlation.std(), rel=0.06
    )


@pytest.mark.parametrize("margin", [-0.1, float("nan")])
def test_a_margin_below_the_baseline_is_refused(grid_of: GridOf, margin: float) -> None:
    with pytest.raises(ValueError, match="margin from 0"):
        diverged(grid_of(np.array([[0.5]])), margin=margin)


# ── When ─────────────────────────────────────────────────────────────────────────────────────────
CURVES = {
    "never rose": [0.5, 0.5, 0.48, 0.5],
    "fell": [0.5, 0.8, 0.5, 0.5],
    "fell and came back": [0.5, 0.8, 0.5, 0.7],
    "fell to nothing": [0.5, 0.8, 0.9, np.nan],
    "rose": [0.5, 0.6, 0.7, 0.8],
}
EPOCHS = {"never rose": 0.0, "fell": 2.0, "fell to nothing": 3.0}


@pytest.fixture(scope="module")
def falls(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A trial of each curve, in the order of their names, evaluated at the ends of epochs."""
    folder = tmp_path_factory.mktemp("falls")
    best = np.array([[np.nanmax(curve)] for curve in CURVES.values()])
    warehouse = make_warehouse(
        folder / "a",
        {("s", "rte"): best},
        statuses={("s", "rte", 4, 1): Status.DIVERGED},
        evaluations=4,
    )
    tables = {name: warehouse.table(name) for name in TABLES}
    rows: list[dict[str, Any]] = tables["evaluations"].to_pylist()
    for place, row in enumerate(rows):
        row["score"] = list(CURVES.values())[place // 4][place % 4]
    tables["evaluations"] = pa.Table.from_pylist(rows, schema=arrow_schema("evaluations"))
    write(folder / "b", tables, {})
    return Warehouse(folder / "b")


def test_a_trial_fell_when_it_was_last_above_the_baseline(falls: Warehouse) -> None:
    scores = trial_scores(falls, "s", "rte")
    found = divergence.compute(
        scores, 0.5, 0.0, np.random.default_rng(0), permutations=9,
        falls=divergence.falls_of(falls, "s", "rte", 0.5, 0.0),
    )  # fmt: skip
    expected = [EPOCHS.get(name, np.nan) for name in CURVES]
    assert_array_equal(found.epoch, expected)
    assert found.diverged.tolist() == [True, False, False, False, False]


def test_a_margin_moves_when_a_trial_fell(falls: Warehouse) -> None:
    found = divergence.falls_of(falls, "s", "rte", 0.5, 0.25)
    assert found["s-rte-3-1"].epoch == 2
    assert np.isnan(found["s-rte-5-1"].epoch)


def test_the_first_loss_that_is_not_finite_is_named(falls: Warehouse) -> None:
    found = divergence.falls_of(falls, "s", "rte", 0.5, 0.0)
    # The fixture's diverged trial has no finite loss from the middle of its 30 steps on.
    assert found["s-rte-4-1"].nonfinite == 1.6
    assert np.isnan(found["s-rte-1-1"].nonfinite)


def test_without_evaluations_it_is_not_known_when(grid_of: GridOf) -> None:
    found = diverged(grid_of(np.array([[0.5, 0.9]])))
    assert np.isnan(found.epoch).all()
    assert np.isnan(found.nonfinite).all()
