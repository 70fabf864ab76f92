"""Where spread and divergence come from is told as it was computed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import variance_components
from analysis.exhibits import spread
from analysis.exhibits.exhibit import Exhibit, Gap, Subject
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]
Show = Callable[..., Exhibit]


def test_the_table_has_the_components_of_each_task(
    show: Show, synthetic_warehouse: Warehouse
) -> None:
    finding = show(spread.components_of_scores, synthetic_warehouse, "demo").finding
    for task in ("cola", "rte"):
        found = variance_components.compute(
            trial_scores(synthetic_warehouse, "demo", task), np.random.default_rng(0)
        )
        rows = [row for row in finding.data.to_pylist() if row["task"] == task]
        assert [row["variance"] for row in rows] == [each.variance for each in found.components]
        low, high = found.of("wi").share_interval
        assert (rows[0]["share_low"], rows[0]["share_high"]) == (low, high)
        text = next(row for row in finding.rows if row["task"] == task)
        assert text["interval of the share"] == f"{low:.0%} to {high:.0%}"


def test_a_share_below_nothing_is_shown_as_nothing_and_kept_in_the_data(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    # Rows with the same mean whose cells differ: less variance between rows than by chance.
    score = 0.6 + 0.1 * np.array([[1, -1, 0, 0], [0, 0, 1, -1], [-1, 1, 0, 0], [0, 0, -1, 1]])
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): score})
    finding = show(spread.components_of_scores, warehouse, "s").finding
    assert finding.data.to_pylist()[0]["share"] < 0
    assert finding.rows[0]["share of the variance"] == "0%"
    assert finding.rows[0]["standard deviation"] == "0.0000"


# The fixture's accuracy has a baseline of 0.5 and 100 validation examples: a margin of 0.1.
DIVERGED = np.array([[0.5, 0.55, 0.9], [0.61, 0.7, 0.8], [0.5, 0.8, 0.7]])


def test_diverged_trials_are_counted_by_seed(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): DIVERGED})
    finding = show(spread.diverged_trials, warehouse, "s", "rte").finding
    assert finding.says.startswith("3 of 9 trials diverged, 33% (95 %: 12% to 65%); 2 never")
    assert "from 0% (seed 2) to 67% (seed 1), p" in finding.says
    rows = finding.data.to_pylist()
    assert [row["diverged"] for row in rows] == [True, True, False, False, False, False, True] + [
        False
    ] * 2
    assert rows[0]["down_from_epoch"] == 0
    assert rows[2]["down_from_epoch"] is None


def test_divergence_of_a_task_is_taken_apart_too(
    show: Show, make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    none = np.full((3, 3), 0.9)
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): DIVERGED, ("s", "sst2"): none})
    finding = show(spread.components_of_divergence, warehouse, "s").finding
    assert {row["task"] for row in finding.rows} == {"rte"}
    gap = spread.components_of_divergence.of(
        Subject(make_warehouse(tmp_path / "v", {("s", "sst2"): none}), "s")
    )
    assert isinstance(gap, Gap)
    assert gap.reason == "sst2: no trial diverged."


@pytest.mark.parametrize("artefact", [spread.diverged_trials, spread.components_of_divergence])
def test_regression_does_not_diverge_to_a_baseline(
    artefact: Any,
    make_warehouse: MakeWarehouse,
    with_trials_changed: ChangeTrials,
    tmp_path: Path,
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row.update(metric="pearson", labels=1, majority_baseline=None)

    warehouse = make_warehouse(tmp_path / "a", {("s", "stsb"): np.array([[0.8, 0.7]])})
    subject = Subject(with_trials_changed(warehouse, tmp_path / "b", alter), "s")
    gap = artefact.of(subject, *(["stsb"] if artefact.scope == "task" else []))
    assert isinstance(gap, Gap)
    assert "no majority baseline to diverge to" in gap.reason.replace("No task has a", "no")
