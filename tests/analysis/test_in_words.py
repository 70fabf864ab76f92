"""A study in sentences: each number is that of the data, and what cannot be said is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis import in_words, study_summary, task_summary
from analysis.imported import import_published
from analysis.reference import STUDY
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse
from finetune.contract import Status

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


def spread(warehouse: Warehouse, study: str, task: str) -> str:
    summaries = task_summary.compute(warehouse, study)
    own = [summary for summary in summaries if summary.task == task]
    return in_words.spread_of_scores(trial_scores(warehouse, study, task), own)


def test_what_was_run_names_grids_ends_and_times(synthetic_warehouse: Warehouse) -> None:
    assert in_words.what_was_run(study_summary.compute(synthetic_warehouse, "demo")) == (
        "40 trials of tiny on cola, rte (5 WI × 4 DO seeds each): 38 finished, 1 diverged, "
        "1 failed. Started on 2026-01-01 (UTC); 40.0 minutes of training in all."
    )


def test_tasks_of_unlike_grids_are_told_apart(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = {("s", "cola"): np.full((2, 3), 0.5), ("s", "rte"): np.full((1, 2), 0.5)}
    words = in_words.what_was_run(
        study_summary.compute(make_warehouse(tmp_path / "w", scores, evaluations=3), "s")
    )
    assert "on cola (2 WI × 3 DO seeds); rte (1 WI × 2 DO seeds): 8 finished." in words


def test_imported_trials_have_no_times_and_published_ones_no_seeds(tmp_path: Path) -> None:
    import_published(tmp_path / "w")
    summary = study_summary.compute(Warehouse(tmp_path / "w"), STUDY)
    assert in_words.what_was_run(summary) == (
        "2,100 trials of bert-large-uncased on cola, mrpc, rte (25 WI × 25 DO seeds each); sst2 "
        "(15 WI × 15 DO seeds): 2,100 finished."
    )
    (warning,) = in_words.warnings(summary)
    assert warning.startswith("The seeds of these trials are not published, only their ranks")


def test_the_spread_of_scores_is_that_of_the_data(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray]
) -> None:
    cola = synthetic_scores["demo", "cola"]
    assert spread(synthetic_warehouse, "demo", "cola") == (
        f"The Matthews correlation of 20 trials goes from 0.000 to {cola.max():.3f}, with mean "
        f"{cola.mean():.3f} and standard deviation {cola.std():.4f} over trials. 1 (5%) never "
        "rose above the majority baseline of 0.000."
    )


def test_one_trial_and_equal_trials_say_nothing_about_seeds(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = {("one", "rte"): np.array([[0.6]]), ("equal", "rte"): np.full((2, 2), 0.7)}
    warehouse = make_warehouse(tmp_path / "w", scores, evaluations=3)
    assert spread(warehouse, "one", "rte") == (
        "One trial trained to its end, with accuracy 0.600. With one trial nothing can be said "
        "about seeds."
    )
    assert spread(warehouse, "equal", "rte") == (
        "All 4 trials have the same accuracy, 0.700: nothing can be said about seeds."
    )


def test_what_keeps_scores_from_comparison_is_a_warning(
    make_warehouse: MakeWarehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["batch_size"] = 8 * row["do_seed"]

    warehouse = make_warehouse(
        tmp_path / "a",
        {("s", "rte"): np.array([[0.6, 0.7]])},
        statuses={("s", "rte", 1, 2): Status.RUNNING},
        evaluations=3,
    )
    changed = with_trials_changed(warehouse, tmp_path / "b", alter)
    mixed, running = in_words.warnings(study_summary.compute(changed, "s"))
    assert "differ in more than their seeds: in batch size." in mixed
    assert running.startswith("1 trial had not ended when the warehouse was exported")


def test_a_fact_is_one_value_or_which_on_which_task(
    synthetic_warehouse: Warehouse, with_trials_changed: ChangeTrials, tmp_path: Path
) -> None:
    def alter(row: dict[str, Any]) -> None:
        row["batch_size"] = 8 if row["task"] == "cola" else 16
        row["device"] = None

    changed = with_trials_changed(synthetic_warehouse, tmp_path / "changed", alter)
    columns = ["learning_rate", "batch_size", "bias_correction", "device"]
    facts = in_words.facts(study_summary.compute(changed, "demo"), columns)
    assert [(fact.name, fact.value) for fact in facts] == [
        ("learning rate", "2e-05"),
        ("batch size", "8 (cola); 16 (rte)"),
        ("bias correction", "no"),
    ]
