"""What is said of a budget is what was computed, under each regime, with what it rests on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import expected_performance
from analysis.exhibits import budgets
from analysis.exhibits.exhibit import Exhibit, Gap, Subject
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse
from finetune.contract import Status

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]
Show = Callable[..., Exhibit]


def test_figure_1_has_both_estimates_under_each_regime(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    rows = show(budgets.expected_best, synthetic_warehouse, "demo", "cola").finding.data.to_pylist()
    regimes = [regime for regime in ("best", "epoch-end", "last") for _ in range(20)]
    assert [row["evaluations"] for row in rows] == regimes
    scores = trial_scores(synthetic_warehouse, "demo", "cola", score="last").score
    for replacement, name in ((True, "mean"), (False, "mean_without_replacement")):
        curve = expected_performance.compute(scores, replacement=replacement)
        assert [row[name] for row in rows[40:]] == curve.mean.tolist()


def test_figure_1_says_its_numbers_and_what_its_uncertainty_is_over(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    finding = show(budgets.expected_best, synthetic_warehouse, "demo", "rte").finding
    curve = expected_performance.compute(trial_scores(synthetic_warehouse, "demo", "rte").score)
    one = f"One trial is expected to score {curve.mean[0]:.3f} ± {curve.deviation[0]:.3f}"
    assert one in finding.says
    assert finding.over.startswith("draws of n from 19 trials, with replacement")
    assert finding.n == "19 trials, 5 WI × 4 DO seeds"


def test_a_single_trial_has_no_spread(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])})
    said = show(budgets.expected_best, warehouse, "s", "rte").finding.says
    assert "There is one trial, 0.600, and so no spread to show." in said


def test_figure_1_says_where_a_curve_rests_on_fewer_trials(
    show: Show, make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["steps_per_epoch"] = 31 if row["do_seed"] == 2 else 10

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6, 0.7]])})
    warehouse = with_trials_changed(warehouse, tmp_path / "b", alter)
    said = show(budgets.expected_best, warehouse, "s", "rte").finding.says
    assert "“best at the ends of epochs” rests on 1 of them" in said


def test_a_small_deviation_gets_the_decimals_it_needs(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "sst2"): np.array([[0.940, 0.942]])})
    said = show(budgets.expected_best, warehouse, "s", "sst2").finding.says
    assert "One trial is expected to score 0.9410 ± 0.0010" in said


def test_figure_4_says_how_many_of_how_many_are_shown(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = np.linspace(0.5, 0.9, 30).reshape(5, 6)
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): scores}, evaluations=3)
    finding = show(budgets.courses, warehouse, "s", "rte").finding
    assert finding.n == "20 trials, chosen at random from the 30"
    assert len(set(finding.data["trial_id"].to_pylist())) == 20


@pytest.mark.parametrize("artefact", [budgets.expected_best, budgets.courses])
def test_without_a_complete_trial_nothing_is_shown(
    artefact: Any, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6]])},
        statuses={("s", "rte", 1, 1): Status.RUNNING},
    )
    gap = artefact.of(Subject(warehouse, "s"), "rte")
    assert isinstance(gap, Gap)
    assert "rte" in gap.reason
