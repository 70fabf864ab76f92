"""Table 2 is counted from the trials, and says how they ended."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import task_summary
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def test_it_has_each_task_with_its_sizes_and_how_its_trials_ended(
    synthetic_warehouse: Warehouse,
) -> None:
    cola, rte = task_summary.compute(synthetic_warehouse, "demo")
    assert (cola.task, cola.metric, cola.majority_baseline) == ("cola", "matthews_correlation", 0)
    assert (cola.train_examples, cola.validation_examples, cola.labels) == (160, 100, 2)
    assert cola.trials == {Status.FINISHED: 19, Status.DIVERGED: 1}
    assert rte.trials == {Status.FINISHED: 19, Status.FAILED: 1}
    assert (cola.scored, cola.at_baseline, cola.share_at_baseline) == (20, 1, 0.05)
    assert (rte.scored, rte.at_baseline, rte.share_at_baseline) == (19, 0, 0)


def test_a_trial_at_the_baseline_but_for_rounding_is_at_it(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = np.array([[0.5, 0.5 + 1e-13, 0.5 + 1 / 873, 0.4]])
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): scores})
    (rte,) = task_summary.compute(warehouse, "s")
    assert rte.at_baseline == 3


def test_regression_has_no_baseline_to_be_at(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row.update(metric="pearson", labels=1, majority_baseline=None)

    warehouse = make_warehouse(tmp_path / "a", {("s", "stsb"): np.array([[0.8]])})
    (stsb,) = task_summary.compute(with_trials_changed(warehouse, tmp_path / "b", alter), "s")
    assert (stsb.majority_baseline, stsb.at_baseline, stsb.share_at_baseline) == (None, None, None)
    assert stsb.scored == 1


def test_where_no_trial_is_complete_there_is_no_share(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6]])},
        statuses={("s", "rte", 1, 1): Status.RUNNING},
    )
    (rte,) = task_summary.compute(warehouse, "s")
    assert (rte.scored, rte.share_at_baseline) == (0, None)


def test_a_task_whose_data_changed_comes_once_for_each_state(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["train_examples"] = 160 if row["wi_seed"] == 1 else 200

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6], [0.7], [0.8]])})
    both = task_summary.compute(with_trials_changed(warehouse, tmp_path / "b", alter), "s")
    assert [(task.train_examples, task.scored) for task in both] == [(160, 1), (200, 2)]


def test_an_unknown_study_is_an_error(synthetic_warehouse: Warehouse) -> None:
    with pytest.raises(SeedbedError, match="no study 'other'"):
        task_summary.compute(synthetic_warehouse, "other")
