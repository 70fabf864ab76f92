"""Exports are complete, or loud: what was logged comes out, and what does not is named."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.export import ExportSummary, export_from
from analysis.runs import History, RunRecord
from analysis.warehouse import Warehouse
from finetune.contract import (
    KNOWN_OF_OUR_OWN,
    KNOWN_ONCE_STARTED,
    METRIC_BEST_SCORE,
    METRIC_EPOCH,
    METRIC_LOSS,
    METRIC_SCORE,
    METRIC_TRAIN_LOSS,
    TAG_ERROR,
    TAG_SCHEMA_VERSION,
    TAG_STATUS,
    TAG_TRIAL_ID,
    TRIALS,
    Status,
)
from finetune.errors import SeedbedError
from tests.logged_runs import BEGINNING, Memory, Run, contents


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


def test_a_trial_that_stood_still_tells_how_long_it_was_trained(tmp_path: Path) -> None:
    _, warehouse = exported(tmp_path, Run(tags={"seedbed.seconds": "3.25"}))
    assert warehouse.table("trials")["seconds"].to_pylist() == [3.25]


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
    nullable = nullable and name not in (*KNOWN_ONCE_STARTED, *KNOWN_OF_OUR_OWN)

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


# ── Complete, or loud ────────────────────────────────────────────────────────────────────────────
class Forgetful(Memory):
    """Gives out less than it has said that there is."""

    def __init__(self, *runs: Run, forgets: str, of: str = "run-0") -> None:
        super().__init__(*runs)
        self.forgets = forgets
        self.of = of

    def runs(self, others: object) -> list[RunRecord]:
        runs = super().runs(lambda _: False)
        if self.forgets == "values":
            return runs
        return [replace(run, values=None) for run in runs]

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        for run, histories in super().histories(runs):
            if run.id != self.of:
                yield run, histories
            elif self.forgets in histories:
                yield run, {key: h for key, h in histories.items() if key != self.forgets}
            else:
                yield (
                    run,
                    {
                        key: h.up_to(h.steps[-1] - 1) if key == METRIC_TRAIN_LOSS else h
                        for key, h in histories.items()
                    },
                )


@pytest.mark.parametrize(
    ("forgets", "reason"),
    [
        ("values", "the store counts 26 metric values and gave 25"),
        ("the last", "the store names train/loss at step 6 and did not give it"),
        (METRIC_SCORE, "the store names eval/score at step 6 and did not give it"),
    ],
)
def test_a_run_that_a_store_does_not_give_whole_is_named(
    forgets: str, reason: str, tmp_path: Path
) -> None:
    reader = Forgetful(Run(), Run(do_seed=2), forgets=forgets)

    summary = export_from(reader, "memory", tmp_path / "warehouse")

    assert reasons(summary) == [reason]
    assert Warehouse(tmp_path / "warehouse").table("trials")["do_seed"].to_pylist() == [2]


def test_what_has_no_column_is_kept(tmp_path: Path) -> None:
    run = Run(
        more=(
            ("system/cpu", 0.5, BEGINNING, 0),
            ("system/cpu", 0.25, BEGINNING + 1, 0),
            ("a", math.nan, 7, -3),
        ),
        params={"colour": "blue"},
        tags={"mlflow.user": "alice"},
    )

    summary, warehouse = exported(tmp_path, run)

    rows = warehouse.query(
        "select trial_id, study, task, kind, key, step, value, text, logged_at from unmapped"
    ).to_pylist()
    of = ("demo-rte-1-1", "demo", "rte")
    at = [datetime.fromtimestamp(ms / 1000, UTC) for ms in (7, BEGINNING, BEGINNING + 1)]
    np.testing.assert_equal(
        [tuple(row.values()) for row in rows],
        [
            (*of, "metric", "a", -3, math.nan, None, at[0]),
            (*of, "metric", "system/cpu", 0, 0.5, None, at[1]),
            (*of, "metric", "system/cpu", 0, 0.25, None, at[2]),
            (*of, "param", "colour", None, None, "blue", None),
            (*of, "tag", "mlflow.user", None, None, "alice", None),
        ],
    )
    assert summary.unmapped == 5


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

    write_table = pq.ParquetWriter.write_table

    def fail_on_steps(self: pq.ParquetWriter, table: pa.Table, **options: Any) -> None:
        if "loss" in table.column_names:
            raise OSError("no space left on device")
        write_table(self, table, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail_on_steps)
    with pytest.raises(OSError, match="no space left"):
        exported(tmp_path, Run(), Run(do_seed=2))

    assert contents(tmp_path) == before
