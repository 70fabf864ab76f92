"""The best trial of a task is the one with the highest score, the first to reach it if several."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis import best_trial
from analysis.warehouse import Warehouse
from finetune.contract import Status

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def test_it_is_the_trial_with_the_highest_score(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray]
) -> None:
    best = best_trial.compute(synthetic_warehouse, "demo")
    assert set(best) == {"cola", "rte"}
    scores = synthetic_scores["demo", "cola"]
    cola = best["cola"]
    assert cola.score == scores.max() == scores[cola.wi_seed - 1, cola.do_seed - 1]
    assert cola.step is not None
    assert cola.epoch == cola.step / 10


def test_a_trial_that_did_not_train_to_its_end_is_not_the_best(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6, 0.9]])},
        statuses={("s", "rte", 1, 2): Status.STOPPED_EARLY},
    )
    assert best_trial.compute(warehouse, "s")["rte"].score == 0.6


def test_of_equal_trials_it_is_the_first_to_get_there(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["best_step"] = {1: 25, 2: 12, 3: 12}[row["do_seed"]]

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.9, 0.9, 0.9]])})
    best = best_trial.compute(with_trials_changed(warehouse, tmp_path / "b", alter), "s")["rte"]
    assert (best.do_seed, best.step) == (2, 12)


def test_a_task_without_a_complete_trial_has_none(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6]])},
        statuses={("s", "rte", 1, 1): Status.FAILED},
    )
    assert best_trial.compute(warehouse, "s") == {}
