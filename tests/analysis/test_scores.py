"""Each trial's score is that of the evaluations that count, and no trial is dropped in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from analysis.scores import (
    COMPLETE,
    REGIMES,
    Regime,
    TrialScores,
    by_status,
    metric_title,
    trial_scores,
)
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, TASK_METRICS, Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def by_definition(warehouse: Warehouse, trial_id: str, regime: Regime) -> float:
    """The score of a trial, from its evaluations one by one; an epoch has ten steps."""
    rows = warehouse.query(
        "select step, score from evaluations where trial_id = ? order by step", [trial_id]
    ).to_pylist()
    match regime:
        case "best":
            return max(float(row["score"]) for row in rows)
        case "epoch-end":
            return max(float(row["score"]) for row in rows if row["step"] in (10, 20, 30))
        case "last":
            return float(rows[-1]["score"])


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("task", ["cola", "rte"])
def test_the_score_is_that_of_the_evaluations_that_count(
    synthetic_warehouse: Warehouse, task: str, regime: Regime
) -> None:
    scores = trial_scores(synthetic_warehouse, "demo", task, score=regime)
    assert len(scores) == (20 if task == "cola" else 19)
    for trial_id, score in zip(scores.trial_id, scores.score, strict=True):
        assert score == by_definition(synthetic_warehouse, str(trial_id), regime)


def test_the_three_regimes_differ_in_these_data(synthetic_warehouse: Warehouse) -> None:
    best, epoch_end, last = (
        trial_scores(synthetic_warehouse, "demo", "rte", score=regime).score for regime in REGIMES
    )
    assert (best >= epoch_end).all()
    assert (epoch_end >= last).all()
    assert (best > epoch_end).any()
    assert (epoch_end > last).any()


def test_scores_stand_by_the_seeds_of_their_trials(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray]
) -> None:
    scores = trial_scores(synthetic_warehouse, "demo", "cola")
    matrix = synthetic_scores["demo", "cola"]
    assert (scores.score == matrix[scores.wi_seed - 1, scores.do_seed - 1]).all()
    assert scores.metric == "matthews_correlation"


@pytest.mark.parametrize("status", list(Status))
def test_a_trial_counts_if_it_trained_to_its_end_and_is_named_if_not(
    make_warehouse: MakeWarehouse, tmp_path: Path, status: Status
) -> None:
    warehouse = make_warehouse(
        tmp_path / "w",
        {("s", "rte"): np.array([[0.6, 0.7]])},
        statuses={("s", "rte", 1, 2): status},
    )
    scores = trial_scores(warehouse, "s", "rte")
    if status in COMPLETE:
        assert len(scores) == 2
        assert scores.left_out == ()
    else:
        assert scores.trial_id.tolist() == ["s-rte-1-1"]
        (left_out,) = scores.left_out
        assert (left_out.trial_id, left_out.status) == ("s-rte-1-2", status)
        assert sum(scores.left_out_counts.values()) == 1


@pytest.mark.parametrize(
    ("best_score", "reason"), [(None, "no evaluation"), (float("nan"), "its score is nan")]
)
def test_a_complete_trial_without_a_score_is_named_too(
    make_warehouse: MakeWarehouse,
    with_trials_changed: ChangeTrials,
    tmp_path: Path,
    best_score: float | None,
    reason: str,
) -> None:
    def alter(row: dict[str, Any]) -> None:
        if row["do_seed"] == 2:
            row["best_score"] = best_score

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6, 0.7]])})
    scores = trial_scores(with_trials_changed(warehouse, tmp_path / "b", alter), "s", "rte")
    assert scores.score.tolist() == [0.6]
    assert [trial.reason for trial in scores.left_out] == [reason]


def test_a_trial_without_an_epochs_end_has_no_score_there(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["steps_per_epoch"] = 31 if row["do_seed"] == 2 else 10

    warehouse = make_warehouse(tmp_path / "a", {("s", "rte"): np.array([[0.6, 0.7]])})
    warehouse = with_trials_changed(warehouse, tmp_path / "b", alter)
    scores = trial_scores(warehouse, "s", "rte", score="epoch-end")
    assert scores.trial_id.tolist() == ["s-rte-1-1"]
    assert scores.left_out_counts == {"no evaluation at the end of an epoch": 1}


def test_the_evaluation_before_training_ends_no_epoch(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6]])}, evaluations=1)
    assert len(trial_scores(warehouse, "s", "rte")) == 1
    assert len(trial_scores(warehouse, "s", "rte", score="epoch-end")) == 0


def test_the_same_trial_in_two_studies_is_scored_in_each(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    apart = make_warehouse(
        tmp_path / "a", {("a", "rte"): np.array([[0.6]]), ("b", "rte"): np.array([[0.7]])}
    )
    tables = {}
    for name in TABLES:
        table = apart.table(name)
        place = table.schema.get_field_index("trial_id")
        same = pa.array(["same"] * table.num_rows)
        tables[name] = table.set_column(place, table.schema.field(place), same)
    write(tmp_path / "b", tables, {})
    for regime in REGIMES:
        for study in ("a", "b"):
            expected = trial_scores(apart, study, "rte", score=regime)
            scores = trial_scores(Warehouse(tmp_path / "b"), study, "rte", score=regime)
            assert scores.score.tolist() == expected.score.tolist()


def test_a_study_that_is_not_there_is_an_error_that_says_which_are(
    synthetic_warehouse: Warehouse,
) -> None:
    with pytest.raises(SeedbedError, match=r"no study 'dmo'; it has demo\."):
        trial_scores(synthetic_warehouse, "dmo", "rte")


def test_a_task_that_is_not_there_is_an_error_that_says_which_are(
    synthetic_warehouse: Warehouse,
) -> None:
    with pytest.raises(SeedbedError, match=r"'demo' has no task 'mrpc' .* it has cola, rte\."):
        trial_scores(synthetic_warehouse, "demo", "mrpc")


def test_scores_must_be_finite_and_of_one_length() -> None:
    def scores(seeds: list[int], score: list[float]) -> TrialScores:
        seed = np.array(seeds)
        return TrialScores(
            "s", "t", "f1", "best", seed.astype(str), seed, seed, seed, np.array(score)
        )

    with pytest.raises(ValueError, match="finite"):
        scores([1], [float("nan")])
    with pytest.raises(ValueError, match="one length"):
        scores([1, 2], [0.5])


def test_statuses_come_in_one_order_without_those_that_no_trial_has() -> None:
    counts = by_status({"failed": 1, "running": 0, "finished": 3})
    assert list(counts.items()) == [(Status.FINISHED, 3), (Status.FAILED, 1)]


def test_every_metric_of_the_contract_has_a_title_without_underscores() -> None:
    titles = [metric_title(metric) for metric in TASK_METRICS]
    assert len(set(titles)) == len(titles)
    assert not any("_" in title for title in titles)
