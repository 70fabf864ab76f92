"""What was run is told from the trials, and trials that do not belong together are noticed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import study_summary
from analysis.warehouse import Warehouse
from finetune.contract import TRIALS, Status

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def test_it_counts_the_trials_and_their_time(synthetic_warehouse: Warehouse) -> None:
    summary = study_summary.compute(synthetic_warehouse, "demo")
    assert summary.tasks == ("cola", "rte")
    assert summary.trials == {Status.FINISHED: 38, Status.DIVERGED: 1, Status.FAILED: 1}
    assert summary.seconds == 40 * 60
    first, last = summary.started_at
    assert first == datetime(2026, 1, 1, tzinfo=UTC)
    assert (last - first).total_seconds() == 39 * 60


def test_it_has_the_values_of_every_column_by_task(synthetic_warehouse: Warehouse) -> None:
    summary = study_summary.compute(synthetic_warehouse, "demo")
    assert set(summary.values) == {column.name for column in TRIALS} - {"task"}
    assert summary.values["wi_seed"] == {"cola": (1, 2, 3, 4, 5), "rte": (1, 2, 3, 4, 5)}
    assert summary.of_all_tasks("model") == ("tiny",)
    assert summary.of_all_tasks("metric") == ("matthews_correlation", "accuracy")
    assert summary.values["error"]["cola"] == ()


def test_a_recipe_that_differs_between_tasks_is_no_mixture(
    synthetic_warehouse: Warehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["epochs"] = 3 if row["task"] == "cola" else 5

    warehouse = with_trials_changed(synthetic_warehouse, tmp_path / "w", alter)
    assert study_summary.compute(warehouse, "demo").mixed == ()


@pytest.mark.parametrize("column", ["batch_size", "model", "data_fingerprint"])
def test_trials_of_a_task_that_differ_in_more_than_seeds_are_a_mixture(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path, column: str
) -> None:
    def alter(row: dict[str, Any]) -> None:
        if row["do_seed"] == 2:
            row[column] = 99 if column == "batch_size" else "another"

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6, 0.7]])})
    warehouse = with_trials_changed(warehouse, tmp_path / "b", alter)
    assert study_summary.compute(warehouse, "s").mixed == (column,)
