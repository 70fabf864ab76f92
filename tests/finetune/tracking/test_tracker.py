"""Tracking: what MLflow holds after a trial, and what a study is taken up from."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from finetune import contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Step
from finetune.grid import Grid
from finetune.study import Trial
from finetune.tracking import Tracker, sqlite_file

Make = Callable[..., Any]


def run_of(tracker: Tracker, trial: Trial) -> Any:
    tracker.settle()
    client = MlflowClient(tracker.store)
    experiment = client.get_experiment_by_name("tiny/reviews")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return next(run for run in runs if run.data.tags[contract.TAG_TRIAL_ID] == trial.id)


def test_a_run_holds_all_that_the_contract_names(
    tracker: Tracker, store: str, grid: Grid, started: Make, evaluation: Make
) -> None:
    trial = grid.trials()[0]
    tracker.record(trial, started())
    tracker.record(trial, evaluation(0, 0.5, 0.5))
    for step in range(1, 5):
        tracker.record(trial, Step(step, 0.7 / step, time=1e9 + step))
    tracker.record(trial, evaluation(4, 0.75, 0.75, time=1e9 + 5))
    tracker.record(trial, Ended(Status.FINISHED, time=1e9 + 6))
    run = run_of(tracker, trial)
    for column in contract.TRIALS:
        kind, _, key = column.source.partition(":")
        if kind == "param" and not column.nullable:
            assert key in run.data.params
        if kind == "tag" and not column.nullable:
            assert key in run.data.tags
    assert run.data.params["learning_rate"] == "2e-05"
    assert run.data.params["bias_correction"] == "false"
    assert run.data.tags[contract.TAG_STATUS] == "finished"
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "reviews-wi01-do03"
    assert (run.info.start_time, run.info.end_time) == (10**12, 10**12 + 6000)
    client = MlflowClient(store)
    history = client.get_metric_history(run.info.run_id, contract.METRIC_TRAIN_LOSS)
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (step, 0.7 / step, 10**12 + 1000 * step) for step in range(1, 5)
    ]
    best = client.get_metric_history(run.info.run_id, contract.METRIC_BEST_SCORE)
    assert [(m.step, m.value) for m in best] == [(0, 0.5), (4, 0.75)]
    for key in (contract.METRIC_EPOCH, contract.METRIC_LOSS, "eval/accuracy"):
        assert len(client.get_metric_history(run.info.run_id, key)) == 2


def test_mlflow_ui_opens_the_experiment_as_a_training_and_says_what_it_is(
    tracker: Tracker, store: str
) -> None:
    experiment = MlflowClient(store).get_experiment_by_name("tiny/reviews")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "4 trials" in experiment.tags["mlflow.note.content"]


def test_more_metrics_than_one_call_takes_are_all_written(
    tracker: Tracker, store: str, grid: Grid, started: Make
) -> None:
    trial = grid.trials()[0]
    tracker.record(trial, started(time.time()))
    for step in range(1, 2346):
        tracker.record(trial, Step(step, 1.0, time=1e9 + step))
    tracker.record(trial, Ended(Status.FINISHED))
    run = run_of(tracker, trial)
    history = MlflowClient(store).get_metric_history(run.info.run_id, contract.METRIC_TRAIN_LOSS)
    assert [m.step for m in history] == list(range(1, 2346))


def test_a_loss_that_is_not_a_number_is_kept_as_such(
    tracker: Tracker, store: str, grid: Grid, started: Make
) -> None:
    import math

    trial = grid.trials()[0]
    tracker.record(trial, started(time.time()))
    tracker.record(trial, Step(1, math.nan))
    tracker.record(trial, Ended(Status.DIVERGED))
    run = run_of(tracker, trial)
    history = MlflowClient(store).get_metric_history(run.info.run_id, contract.METRIC_TRAIN_LOSS)
    assert math.isnan(history[0].value)
    assert run.data.tags[contract.TAG_STATUS] == "diverged"
    assert run.info.status == "FINISHED"


def test_what_did_not_end_is_closed_as_interrupted_with_all_that_happened(
    tracker: Tracker, store: str, grid: Grid, started: Make
) -> None:
    trial = grid.trials()[0]
    tracker.record(trial, started(time.time()))
    tracker.record(trial, Step(1, 0.7))
    tracker.close()
    run = run_of(tracker, trial)
    assert run.info.status == "KILLED"
    assert run.data.tags[contract.TAG_STATUS] == "interrupted"
    assert run.data.metrics[contract.METRIC_TRAIN_LOSS] == 0.7


def test_a_failed_trial_says_why(tracker: Tracker, store: str, grid: Grid, started: Make) -> None:
    trial = grid.trials()[0]
    tracker.record(trial, started(time.time()))
    tracker.record(trial, Ended(Status.FAILED, "RuntimeError: out of memory"))
    assert run_of(tracker, trial).info.status == "FAILED"
    assert tracker.trials("tiny")[trial.id].error == "RuntimeError: out of memory"


def test_the_store_tells_the_grid_and_how_its_trials_stand(
    tracker: Tracker, store: str, grid: Grid, started: Make, evaluation: Make
) -> None:
    done, running, paused, _ = grid.trials()
    for trial in (done, running, paused):
        tracker.record(trial, started())
        tracker.record(trial, evaluation(0, 0.5, 0.5))
    tracker.record(done, Ended(Status.FINISHED, time=1e9 + 2))
    tracker.record(paused, Ended(Status.FINISHED, time=1e9 + 3600, seconds=3.0))
    tracker.settle()
    other = Tracker(store)
    assert other.studies() == ["tiny"]
    assert other.grids("tiny") == [grid]
    trials = other.trials("tiny")
    assert trials.keys() == {done.id, running.id, paused.id}
    assert trials[done.id].status is Status.FINISHED
    assert trials[done.id].score == 0.5
    assert trials[done.id].seconds == 2.0
    assert trials[paused.id].seconds == 3.0, "an hour in which it stood still does not count"
    assert trials[running.id].status is Status.RUNNING


@pytest.mark.parametrize("order", [("finished", "interrupted"), ("interrupted", "finished")])
def test_of_two_runs_of_a_trial_the_one_that_is_done_counts(
    tracker: Tracker, order: tuple[str, str], grid: Grid, started: Make
) -> None:
    trial = grid.trials()[0]
    for status in order:
        tracker.record(trial, started(time.time()))
        tracker.record(trial, Ended(Status(status)))
    assert tracker.trials("tiny")[trial.id].status is Status.FINISHED


def test_the_store_lets_readers_and_the_writer_be(store: str, tracker: Tracker) -> None:
    import sqlite3

    tracker.analyze()
    connection = sqlite3.connect(sqlite_file(store) or "")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] > 0
    connection.close()


def test_a_grid_reads_back_from_its_tag_as_it_was(grid: Grid) -> None:
    assert Grid.from_json(grid.to_json()) == grid
    assert len(grid.to_json()) < 5000, "MLflow takes no longer tag on an experiment"


def test_reading_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    tracker = Tracker(f"sqlite:///{tmp_path}/none.db")
    assert tracker.studies() == []
    assert tracker.trials("tiny") == {}
    with pytest.raises(SeedbedError, match="there is none of this name"):
        tracker.grids("tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are my notes")
    with pytest.raises(SeedbedError, match=r"notes.db.*Check that it is an MLflow store"):
        Tracker(f"sqlite:///{path}").studies()
    assert path.read_text() == "these are my notes"


def test_a_server_that_is_away_is_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SeedbedError, match=r"127.0.0.1:9.*server"):
        Tracker("http://127.0.0.1:9").studies()
