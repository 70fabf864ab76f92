"""Exports are complete, or loud: what was logged comes out, and what does not is named."""

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from analysis.export import ExportSummary, export, export_from
from analysis.runs import History, RunRecord
from analysis.warehouse import Warehouse
from finetune.contract import (
    KNOWN_ONCE_STARTED,
    METRIC_BEST_SCORE,
    METRIC_EPOCH,
    METRIC_LOSS,
    METRIC_SCORE,
    METRIC_TRAIN_LOSS,
    SCHEMA_VERSION,
    TAG_ERROR,
    TAG_SCHEMA_VERSION,
    TAG_STATUS,
    TAG_STUDY,
    TAG_TRIAL_ID,
    TRIALS,
    Status,
    experiment_name,
    metric_key,
)
from finetune.errors import SeedbedError

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]
BEGINNING = 1_767_225_600_000
"""2026-01-01 in milliseconds since the epoch."""
STEPS_PER_EPOCH = 4

Logged = tuple[str, float, int, int]
"""Key, value, timestamp, step."""


# ── Runs as tracking writes them ─────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Run:
    """A run of the contract, to be logged in MLflow or given out by `Memory`."""

    study: str = "demo"
    task: str = "rte"
    wi_seed: int = 1
    do_seed: int = 1
    status: Status = Status.FINISHED
    scores: tuple[float, ...] = (0.5, 0.6, 0.7, 0.65)
    losses: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
    started_at: int = BEGINNING
    more: tuple[Logged, ...] = ()
    params: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def trial_id(self) -> str:
        return f"{self.study}-{self.task}-{self.wi_seed}-{self.do_seed}"

    @property
    def name(self) -> str:
        return f"{self.task}-wi{self.wi_seed:02d}-do{self.do_seed:02d}"

    def all_params(self) -> dict[str, str]:
        params = {
            "task": self.task, "model": "embedded", "wi_seed": str(self.wi_seed),
            "do_seed": str(self.do_seed), "dropout_seed": "0", "metric": "accuracy",
            "total_steps": "8", "steps_per_epoch": str(STEPS_PER_EPOCH), "train_examples": "64",
            "validation_examples": "100", "labels": "2", "majority_baseline": "0.5",
            "epochs": "2", "batch_size": "16", "learning_rate": "2e-05", "warmup": "0.1",
            "schedule": "linear", "dropout_until_evaluated": "false",
            "bias_correction": "false", "weight_decay": "0.01", "adam_epsilon": "1e-06",
            "clipping": "per-parameter", "clip_norm": "1.0", "dropout": "0.1",
            "max_length": "128", "precision": "fp32", "evaluate": "2 per epoch",
            "model_fingerprint": "m0", "data_fingerprint": "d0",
        }  # fmt: skip
        return _present(params | dict(self.params))

    def all_tags(self) -> dict[str, str]:
        tags = {
            TAG_TRIAL_ID: self.trial_id, TAG_STUDY: self.study, TAG_STATUS: self.status.value,
            TAG_SCHEMA_VERSION: str(SCHEMA_VERSION), "seedbed.device": "cpu",
            "seedbed.threads": "1", "seedbed.version": "0.1.0", "seedbed.torch": "2.6.0",
            "seedbed.transformers": "5.0.0", "seedbed.python": "3.11.2",
        }  # fmt: skip
        return _present(tags | dict(self.tags))

    def logged(self) -> list[Logged]:
        """Everything logged: an evaluation every second step from 0, a loss every step from 1."""
        rows: list[Logged] = []
        for i, score in enumerate(self.scores):
            step, best = 2 * i, max(self.scores[: i + 1])
            at = self.started_at + 1000 * step
            rows += [
                (METRIC_EPOCH, step / STEPS_PER_EPOCH, at, step),
                (METRIC_LOSS, 1 - score, at, step),
                (METRIC_SCORE, score, at, step),
                (METRIC_BEST_SCORE, best, at, step),
                (metric_key("accuracy"), score, at, step),
            ]
        rows += [
            (METRIC_TRAIN_LOSS, loss, self.started_at + 1000 * step, step)
            for step, loss in enumerate(self.losses, start=1)
        ]
        return [*rows, *self.more]


def _present(texts: Mapping[str, str | None]) -> dict[str, str]:
    return {key: text for key, text in texts.items() if text is not None}


class Memory:
    """Gives out runs without an MLflow store, as a `RunReader`."""

    def __init__(self, *runs: Run) -> None:
        self.contents = {f"run-{number}": run for number, run in enumerate(runs)}

    def runs(self) -> list[RunRecord]:
        return [
            RunRecord(
                id=id_,
                name=run.name,
                started_at=run.started_at,
                ended_at=run.started_at + 9_500,
                params=run.all_params(),
                tags=run.all_tags(),
                metrics=frozenset(key for key, *_ in run.logged()),
            )
            for id_, run in self.contents.items()
        ]

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        for run in runs:
            logged = self.contents[run.id].logged()
            yield (
                run,
                {key: _history(row for row in logged if row[0] == key) for key in run.metrics},
            )


def _history(rows: Iterable[Logged]) -> History:
    _, values, timestamps, steps = zip(*rows, strict=True)
    return History.from_logged(steps, timestamps, values)


def exported(folder: Path, *runs: Run) -> tuple[ExportSummary, Warehouse]:
    summary = export_from(Memory(*runs), "memory", folder / "warehouse")
    return summary, Warehouse(folder / "warehouse")


def reasons(summary: ExportSummary) -> list[str]:
    return [left_out.reason for left_out in summary.left_out]


# ── What a run becomes ───────────────────────────────────────────────────────────────────────────
def test_a_run_becomes_a_row_with_what_it_said_of_its_trial(tmp_path: Path) -> None:
    _, warehouse = exported(tmp_path, Run(params={"bias_correction": "True"}))

    row = warehouse.table("trials").to_pylist()[0]
    assert row == {
        "trial_id": "demo-rte-1-1", "study": "demo", "task": "rte", "model": "embedded",
        "wi_seed": 1, "do_seed": 1, "dropout_seed": 0, "status": "finished", "metric": "accuracy",
        "best_score": 0.7, "best_step": 4, "last_score": 0.65, "evaluations": 4, "steps": 6,
        "total_steps": 8, "steps_per_epoch": 4, "train_examples": 64, "validation_examples": 100,
        "labels": 2, "majority_baseline": 0.5, "epochs": 2, "batch_size": 16,
        "learning_rate": 2e-5, "warmup": 0.1, "schedule": "linear",
        "dropout_until_evaluated": False, "bias_correction": True, "weight_decay": 0.01,
        "adam_epsilon": 1e-6, "clipping": "per-parameter", "clip_norm": 1.0, "dropout": 0.1,
        "max_length": 128, "precision": "fp32", "evaluate": "2 per epoch",
        "model_fingerprint": "m0", "data_fingerprint": "d0", "device": "cpu", "threads": 1,
        "seedbed_version": "0.1.0", "torch_version": "2.6.0", "transformers_version": "5.0.0",
        "python_version": "3.11.2", "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "seconds": 9.5, "run_id": "run-0", "error": None,
    }  # fmt: skip


def test_an_evaluation_becomes_a_row(tmp_path: Path) -> None:
    _, warehouse = exported(tmp_path, Run())

    rows = warehouse.table("evaluations").to_pylist()
    assert [row["step"] for row in rows] == [0, 2, 4, 6]
    absent = ("f1", "accuracy_and_f1", "matthews_correlation", "pearson", "spearman",
              "pearson_and_spearman")  # fmt: skip
    assert rows[3] == {
        "trial_id": "demo-rte-1-1", "study": "demo", "task": "rte", "step": 6, "epoch": 1.5,
        "score": 0.65, "best_score": 0.7, "loss": 1 - 0.65, "accuracy": 0.65,
        "logged_at": datetime(2026, 1, 1, 0, 0, 6, tzinfo=UTC), **dict.fromkeys(absent),
    }  # fmt: skip


def test_an_optimiser_step_becomes_a_row(tmp_path: Path) -> None:
    _, warehouse = exported(tmp_path, Run())

    rows = warehouse.table("train_steps").to_pylist()
    assert [row["loss"] for row in rows] == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert [row["epoch"] for row in rows] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert rows[5] == {
        "trial_id": "demo-rte-1-1", "study": "demo", "task": "rte", "step": 6, "epoch": 1.5,
        "loss": 0.4, "logged_at": datetime(2026, 1, 1, 0, 0, 6, tzinfo=UTC),
    }  # fmt: skip


scores = st.lists(
    st.floats(-1, 1) | st.sampled_from([math.nan, -0.5, 0.0, 0.5]), min_size=0, max_size=8
)


@settings(max_examples=40, deadline=None)  # each writes a warehouse
@given(scores=scores)
def test_the_best_score_is_the_highest_number_and_its_step_the_first(
    scores: list[float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = Run(scores=tuple(scores), status=Status.DIVERGED)

    _, warehouse = exported(tmp_path_factory.mktemp("best"), run)

    row = warehouse.table("trials").to_pylist()[0]
    numbers = [score for score in scores if not math.isnan(score)]
    assert row["best_score"] == max(numbers, default=None)
    assert row["best_step"] == (2 * scores.index(max(numbers)) if numbers else None)
    assert row["evaluations"] == len(scores)
    np.testing.assert_equal(row["last_score"], scores[-1] if scores else None)


def test_a_step_logged_again_has_its_last_value(tmp_path: Path) -> None:
    again = ((METRIC_TRAIN_LOSS, 0.11, BEGINNING + 90_000, 5), (METRIC_TRAIN_LOSS, 0.22, 0, 6))

    summary, warehouse = exported(tmp_path, Run(more=again))

    losses = warehouse.table("train_steps")["loss"].to_pylist()
    assert losses == [0.9, 0.8, 0.7, 0.6, 0.11, 0.4]
    assert summary.relogged == 2


# ── Which runs ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("status", Status)
def test_a_trial_stays_in_however_it_stands(status: Status, tmp_path: Path) -> None:
    error = {TAG_ERROR: "RuntimeError: out of memory"} if status is Status.FAILED else {}

    summary, warehouse = exported(tmp_path, Run(status=status, tags=error))

    row = warehouse.table("trials").to_pylist()[0]
    assert row["status"] == status
    assert row["error"] == error.get(TAG_ERROR)
    assert summary.statuses == {status: 1}


def test_a_trial_that_has_not_got_anywhere_has_nulls(tmp_path: Path) -> None:
    _, warehouse = exported(tmp_path, Run(status=Status.RUNNING, scores=(), losses=()))

    row = warehouse.table("trials").to_pylist()[0]
    assert (row["best_score"], row["best_step"], row["last_score"]) == (None, None, None)
    assert (row["evaluations"], row["steps"]) == (0, 0)
    assert warehouse.table("evaluations").num_rows == 0


RUNS_OF_ONE_TRIAL = {
    "the done one, though another began later": (
        [(Status.FAILED, 1), (Status.FINISHED, 2), (Status.RUNNING, 3)], Status.FINISHED),
    "the running one, where none is done": (
        [(Status.RUNNING, 1), (Status.INTERRUPTED, 2)], Status.RUNNING),
    "the later of two that are done": (
        [(Status.DIVERGED, 2), (Status.FINISHED, 1)], Status.DIVERGED),
    "the later of two that are not": (
        [(Status.INTERRUPTED, 1), (Status.FAILED, 2)], Status.FAILED),
}  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "winner"), RUNS_OF_ONE_TRIAL.values(), ids=list(RUNS_OF_ONE_TRIAL)
)
def test_of_a_trial_run_again_there_is(
    runs: list[tuple[Status, int]], winner: Status, tmp_path: Path
) -> None:
    summary, warehouse = exported(
        tmp_path, *(Run(status=status, started_at=BEGINNING + begun) for status, begun in runs)
    )

    assert warehouse.table("trials")["status"].to_pylist() == [winner]
    assert summary.superseded == len(runs) - 1
    assert summary.left_out == ()


def test_a_trial_that_failed_before_it_started_is_there_with_what_is_known(tmp_path: Path) -> None:
    unknown = {"steps_per_epoch": None, "total_steps": None, "metric": None}
    failed = Run(
        status=Status.FAILED, scores=(), losses=(), params=unknown, tags={"seedbed.device": None}
    )
    summary, warehouse = exported(tmp_path, failed)

    (row,) = warehouse.table("trials").to_pylist()
    assert (row["status"], row["metric"], row["device"]) == ("failed", None, None)
    assert summary.left_out == ()


WRONG: dict[str, tuple[Run, str]] = {
    "no seed": (Run(params={"wi_seed": None}), "its param wi_seed is missing"),
    "no device": (Run(tags={"seedbed.device": None}), "its tag seedbed.device is missing"),
    "steps of no epoch": (
        Run(params={"steps_per_epoch": None}), "its param steps_per_epoch is missing"),
    "a seed that is no number": (
        Run(params={"wi_seed": "one"}), "its param wi_seed is 'one', which is no int64"),
    "a seed beyond all numbers": (
        Run(params={"wi_seed": "9" * 30}), "which is no int64"),
    "a flag that is neither": (
        Run(params={"bias_correction": "yes"}), "its param bias_correction is 'yes'"),
    "two faults at once": (
        Run(params={"wi_seed": None, "epochs": "x"}),
        "its param wi_seed is missing; its param epochs is 'x'"),
    "an unknown status": (
        Run(tags={TAG_STATUS: "tired"}), "its tag seedbed.status is 'tired', not one of running"),
    "epochs of no steps": (
        Run(params={"steps_per_epoch": "0"}), "its param steps_per_epoch is 0, below 1"),
    "another schema": (
        Run(tags={TAG_SCHEMA_VERSION: "99"}), "its tag seedbed.schema_version is '99'"),
    "no trial": (Run(tags={TAG_TRIAL_ID: None}), "it has no tag seedbed.trial_id"),
    "an evaluation without its loss": (
        Run(more=((METRIC_SCORE, 0.6, BEGINNING, 3),)),
        "its evaluation at step 3 has no epoch, eval/best_score, eval/loss"),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "reason"), WRONG.values(), ids=list(WRONG))
def test_a_run_is_left_out_and_named_for(wrong: Run, reason: str, tmp_path: Path) -> None:
    summary, warehouse = exported(tmp_path, replace(wrong, do_seed=2), Run())

    assert warehouse.table("trials")["trial_id"].to_pylist() == ["demo-rte-1-1"]
    assert [(run.run_name, run.run_id) for run in summary.left_out] == [("rte-wi01-do02", "run-0")]
    assert reason in reasons(summary)[0]
    assert reason in warehouse.manifest["source"]["left_out"][0]["reason"]


@pytest.mark.parametrize("name", [c.name for c in TRIALS if c.source.startswith("param:")])
def test_only_what_a_trial_may_lack_can_be_missing(name: str, tmp_path: Path) -> None:
    nullable = {column.name: column.nullable for column in TRIALS}[name]
    nullable = nullable and name not in KNOWN_ONCE_STARTED

    summary, _ = exported(tmp_path, Run(params={name: None}), Run(do_seed=2))

    assert len(summary.left_out) == (0 if nullable else 1)


def test_the_last_evaluation_of_a_running_trial_waits_until_it_is_whole(tmp_path: Path) -> None:
    half = ((METRIC_SCORE, 0.9, BEGINNING + 8_000, 8),)

    summary, warehouse = exported(tmp_path, Run(status=Status.RUNNING, more=half))

    assert warehouse.table("evaluations")["step"].to_pylist() == [0, 2, 4, 6]
    assert warehouse.table("trials")["best_score"].to_pylist() == [0.7]
    assert (summary.cut_short, summary.left_out) == (1, ())


def test_an_earlier_evaluation_of_a_running_trial_must_be_whole(tmp_path: Path) -> None:
    half = tuple(
        (key, 0.9, BEGINNING, 3) for key in (METRIC_SCORE, METRIC_BEST_SCORE, METRIC_EPOCH)
    )

    summary, _ = exported(tmp_path, Run(status=Status.RUNNING, more=half), Run(do_seed=2))

    assert reasons(summary) == [f"its evaluation at step 3 has no {METRIC_LOSS}"]


def test_progress_counts_every_trial_read(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    reader = Memory(Run(), Run(do_seed=2), Run(do_seed=3, params={"epochs": None}))

    export_from(reader, "memory", tmp_path / "w", progress=lambda *call: calls.append(call))

    assert calls == [(1, 2), (2, 2)]


# ── Nothing, and nothing half ────────────────────────────────────────────────────────────────────
def test_a_store_without_trials_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match="Nothing to export: memory has no trials"):
        exported(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_export_of_broken_runs_only_says_what_is_wrong_with_them(tmp_path: Path) -> None:
    broken = Run(params={"wi_seed": None})

    with pytest.raises(SeedbedError, match=r"none of the 1 runs .*\n.*wi_seed is missing"):
        exported(tmp_path, broken)

    assert list(tmp_path.iterdir()) == []


def test_a_study_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    reader = Memory(Run(), Run(study="other"))

    with pytest.raises(SeedbedError, match="memory has no study 'dmo'; it has demo, other"):
        export_from(reader, "memory", tmp_path / "warehouse", ["dmo"])


def test_only_the_studies_asked_for_are_exported(tmp_path: Path) -> None:
    reader = Memory(Run(), Run(study="other"), Run(study="third"))

    summary = export_from(reader, "memory", tmp_path / "warehouse", ["third", "demo"])

    assert summary.studies == ("demo", "third")
    assert Warehouse(tmp_path / "warehouse").studies() == ["demo", "third"]


def test_a_write_that_fails_leaves_the_old_warehouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(tmp_path, Run())
    before = contents(tmp_path)

    def fail_on_steps(table: object, where: Path, **options: object) -> None:
        if where.name == "train_steps.parquet":
            raise OSError("no space left on device")

    monkeypatch.setattr(pq, "write_table", fail_on_steps)
    with pytest.raises(OSError, match="no space left"):
        exported(tmp_path, Run(), Run(do_seed=2))

    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder, by its path, but for the time in the manifest."""
    return {
        str(path.relative_to(folder)): re.sub(rb'"exported_at": "[^"]*"', b"", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ── From an MLflow store ─────────────────────────────────────────────────────────────────────────
LONG = Run(study="first", task="cola", wi_seed=2, do_seed=2,
           losses=tuple(1 / step for step in range(1, 1_235)))  # fmt: skip
SPECIAL = Run(study="first", task="rte", wi_seed=1, do_seed=2, status=Status.DIVERGED,
              scores=(0.5, math.nan, 0.25),
              losses=(0.9, math.inf, -math.inf, math.nan))  # fmt: skip
RELOGGED = Run(study="second", task="rte", wi_seed=1, do_seed=1,
               more=((METRIC_TRAIN_LOSS, 0.33, BEGINNING + 90_000, 5),))  # fmt: skip
RUNNING = Run(study="second", task="rte", wi_seed=1, do_seed=2, status=Status.RUNNING)
FAILED = Run(study="second", task="cola", wi_seed=1, do_seed=1, status=Status.FAILED,
             scores=(0.5,), losses=(), tags={TAG_ERROR: "OSError: disk full"})  # fmt: skip
AGAIN = replace(FAILED, status=Status.FINISHED, scores=(0.5, 0.6), tags={})
BROKEN = Run(study="second", task="cola", wi_seed=2, do_seed=2, params={"epochs": None})

TRIALS_IN_STORE = [
    *(Run("first", task, wi, do) for task in ("cola", "rte") for wi in (1, 2) for do in (1, 2)
      if (task, wi, do) not in {("cola", 2, 2), ("rte", 1, 2)}),
    LONG, SPECIAL, RELOGGED, RUNNING, AGAIN,
]  # fmt: skip


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of two studies of two tasks, and of all that must not come out of it."""
    folder = tmp_path_factory.mktemp("store")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiments = {
        (study, task): client.create_experiment(
            experiment_name(study, task), artifact_location=str(folder)
        )
        for study in ("first", "second")
        for task in ("cola", "rte")
    }
    for run in [*TRIALS_IN_STORE, FAILED, BROKEN]:
        log(client, experiments[run.study, run.task], run)

    deleted = log(client, experiments["first", "cola"], Run("first", "cola", 9, 9))
    client.delete_run(deleted)
    gone = client.create_experiment("gone/rte", artifact_location=str(folder))
    log(client, gone, Run("gone"))
    client.delete_experiment(gone)
    foreign = client.create_experiment("somebody's", artifact_location=str(folder))
    client.log_metric(client.create_run(foreign).info.run_id, "loss", 1.0)
    return uri


def log(client: MlflowClient, experiment: str, run: Run) -> str:
    created = client.create_run(
        experiment, start_time=run.started_at, tags=run.all_tags(), run_name=run.name
    )
    run_id: str = created.info.run_id
    client.log_batch(run_id, params=[Param(*item) for item in run.all_params().items()])
    logged = run.logged()
    for start in range(0, len(logged), 1_000):
        client.log_batch(run_id, metrics=[Metric(*row) for row in logged[start : start + 1_000]])
    if run.status is not Status.RUNNING:
        client.set_terminated(run_id, end_time=run.started_at + 9_500)
    return run_id


@pytest.fixture(scope="session")
def exported_store(store: str, tmp_path_factory: pytest.TempPathFactory) -> ExportSummary:
    return export(store, tmp_path_factory.mktemp("exported") / "warehouse")


def test_the_store_gives_what_was_logged_in_it(
    exported_store: ExportSummary, tmp_path: Path
) -> None:
    """MLflow gives back what was logged: as if the runs had been read from memory."""
    _, of_memory = exported(tmp_path, *TRIALS_IN_STORE)

    of_store = Warehouse(exported_store.folder)

    for name in ("evaluations", "train_steps"):
        np.testing.assert_equal(of_store.table(name).to_pylist(), of_memory.table(name).to_pylist())
    for row, expected in zip(
        of_store.table("trials").to_pylist(), of_memory.table("trials").to_pylist(), strict=True
    ):
        ended = row["status"] != "running"
        assert row == expected | {"run_id": row["run_id"], "seconds": 9.5 if ended else None}


def test_every_run_of_the_store_is_accounted_for(exported_store: ExportSummary) -> None:
    summary = exported_store

    assert summary.runs == len(TRIALS_IN_STORE) + 2  # a failed one run again, and a broken one
    assert (summary.trials, summary.superseded) == (len(TRIALS_IN_STORE), 1)
    assert [(run.run_name, run.reason) for run in summary.left_out] == [
        (BROKEN.name, "its param epochs is missing")
    ]
    assert summary.relogged == 1
    assert summary.evaluations == sum(len(run.scores) for run in TRIALS_IN_STORE)
    assert summary.train_steps == sum(len(run.losses) for run in TRIALS_IN_STORE)
    assert Warehouse(summary.folder).manifest["rows"] == {
        "trials": summary.trials,
        "evaluations": summary.evaluations,
        "train_steps": summary.train_steps,
    }


def test_what_was_deleted_or_is_not_ours_stays_out(exported_store: ExportSummary) -> None:
    warehouse = Warehouse(exported_store.folder)

    assert warehouse.studies() == ["first", "second"]
    assert "first-cola-9-9" not in warehouse.table("trials")["trial_id"].to_pylist()


def test_nan_and_infinities_come_out_as_what_they_were(exported_store: ExportSummary) -> None:
    losses = Warehouse(exported_store.folder).query(
        "select loss from train_steps where trial_id = ? order by step", [SPECIAL.trial_id]
    )

    np.testing.assert_equal(losses["loss"].to_pylist(), [0.9, math.inf, -math.inf, math.nan])


def test_the_same_store_gives_the_same_bytes(
    store: str, exported_store: ExportSummary, tmp_path: Path
) -> None:
    again = export(store, tmp_path / "warehouse")

    assert contents(again.folder) == contents(exported_store.folder)


def test_no_page_is_skipped(
    store: str, exported_store: ExportSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.runs._PAGE", 3)
    monkeypatch.setattr(
        "mlflow.tracking._tracking_service.client.GET_METRIC_HISTORY_MAX_RESULTS", 100
    )

    paged = export(store, tmp_path / "warehouse")

    assert contents(paged.folder) == contents(exported_store.folder)


def test_an_export_prints_nothing_and_leaves_nothing_beside_the_warehouse(
    store: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from analysis.export import export;"
        "export(sys.argv[1], Path('warehouse'))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, store],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse"]


def test_a_folder_of_something_else_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(SeedbedError, match="is not a warehouse, so it is not overwritten"):
        export("sqlite:///not-there.db", tmp_path)

    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.slow
def test_a_server_gives_the_same_bytes_as_its_file(
    store: str, exported_store: ExportSummary, tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"
    shutil.copy(store.removeprefix("sqlite:///"), file)
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port),
         "--backend-store-uri", f"sqlite:///{file}", "--default-artifact-root", str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(lambda: urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close())
        over_http = export(f"http://127.0.0.1:{port}", tmp_path / "warehouse")
    finally:
        server.terminate()
        server.wait()

    assert contents(over_http.folder) == contents(exported_store.folder)


def _wait_for(answer: Callable[[], Any], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            answer()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return
