"""How far each trial had come is what the warehouse's evaluations say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import progress
from analysis.progress import Progress
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError


def test_scores_are_those_of_the_evaluations_and_best_ones_run_up(
    synthetic_warehouse: Warehouse,
) -> None:
    found = progress.compute(synthetic_warehouse, "demo", "cola")
    assert (len(found), found.metric, found.total_steps) == (20, "matthews_correlation", 30)
    assert found.epochs == pytest.approx(3)
    for trial, score, best in zip(found.trial_id, found.score, found.best, strict=True):
        rows = synthetic_warehouse.query(
            "select step, score, best_score from evaluations where trial_id = ? order by step",
            [str(trial)],
        )
        assert found.step.tolist() == rows["step"].to_pylist()
        assert score.tolist() == rows["score"].to_pylist()
        assert best.tolist() == rows["best_score"].to_pylist()


def test_the_end_is_the_performance_of_the_trial(synthetic_warehouse: Warehouse) -> None:
    found = progress.compute(synthetic_warehouse, "demo", "rte")
    rows = synthetic_warehouse.query(
        "select trial_id, best_score, wi_seed, do_seed from trials where task = 'rte' "
        "and status = 'finished'"
    ).to_pylist()
    by_trial = {row["trial_id"]: row for row in rows}
    assert set(found.trial_id.tolist()) == set(by_trial)
    for index, trial in enumerate(found.trial_id.tolist()):
        row = by_trial[trial]
        assert found.final[index] == row["best_score"]
        assert (found.wi_seed[index], found.do_seed[index]) == (row["wi_seed"], row["do_seed"])


def test_trials_evaluated_at_other_steps_are_left_out_by_name(
    make_warehouse: Any, tmp_path: Path
) -> None:
    from analysis.warehouse import write

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.full((2, 3), 0.6)})
    tables = {name: warehouse.table(name) for name in ("trials", "evaluations", "train_steps")}
    rows = tables["evaluations"].to_pylist()
    kept = [row for row in rows if not (row["trial_id"] == "s-rte-2-1" and row["step"] == 7)]
    kept = [row for row in kept if row["trial_id"] != "s-rte-1-3"]
    tables["evaluations"] = type(tables["evaluations"]).from_pylist(
        kept, schema=tables["evaluations"].schema
    )
    write(tmp_path / "b", tables, {})
    found = progress.compute(Warehouse(tmp_path / "b"), "s", "rte")
    assert len(found) == 4
    assert {(trial.trial_id, trial.reason) for trial in found.left_out} == {
        ("s-rte-2-1", "evaluated at other steps"),
        ("s-rte-1-3", "no evaluation"),
    }


def test_only_complete_trials_count(make_warehouse: Any, tmp_path: Path) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.full((1, 3), 0.6)},
        statuses={("s", "rte", 1, 1): Status.FAILED, ("s", "rte", 1, 2): Status.DIVERGED},
    )
    found = progress.compute(warehouse, "s", "rte")
    assert found.trial_id.tolist() == ["s-rte-1-2", "s-rte-1-3"]


def test_there_may_be_none(make_warehouse: Any, tmp_path: Path) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6]])},
        statuses={("s", "rte", 1, 1): Status.FAILED},
    )
    found = progress.compute(warehouse, "s", "rte")
    assert len(found) == found.final.size == 0
    assert found.epochs == 0


def progress_with(score: list[list[float]]) -> Progress:
    trials, evaluations = len(score), len(score[0])
    seeds = np.arange(trials)
    steps = np.arange(evaluations)
    return Progress(
        "s", "t", "f1", seeds.astype(str), seeds, seeds, steps, steps / 2, evaluations - 1,
        np.array(score),
    )  # fmt: skip


def test_evaluations_without_a_score_do_not_count() -> None:
    found = progress_with([[np.nan, 0.2, np.nan, 0.1], [0.3, 0.1, np.inf, 0.4]])
    assert found.best.tolist() == [[-np.inf, 0.2, 0.2, 0.2], [0.3, 0.3, 0.3, 0.4]]


@pytest.mark.parametrize("score", [[[np.nan, np.nan]], [[0.1, 0.2], [np.nan, np.inf]]])
def test_trials_without_any_score_are_refused(score: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="leave out those that have none"):
        progress_with(score)


def test_an_unknown_task_is_an_error(synthetic_warehouse: Warehouse) -> None:
    with pytest.raises(SeedbedError, match="no task 'sst2'"):
        progress.compute(synthetic_warehouse, "demo", "sst2")
