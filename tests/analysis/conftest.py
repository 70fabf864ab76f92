"""Warehouses for tests, made from score matrices."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from analysis.schema import arrow_schema
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, TASK_METRICS, Status

Floats = NDArray[np.float64]
Trial = tuple[str, str, int, int]
"""Study, task, WI seed, DO seed."""

METRICS = {"cola": "matthews_correlation"}
"""Per task its own metric; accuracy for all others."""
BASELINES = {"matthews_correlation": 0.0, "accuracy": 0.5}
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_PER_EPOCH = 10


class Grid:
    """Makes the three tables of trials whose best scores are given.

    Args:
        evaluations: evaluations of a trial that ran to its end.
        steps: optimiser steps of such a trial.
        rng: where the course of the scores and the losses comes from; the best scores are exact.
    """

    def __init__(self, evaluations: int, steps: int, rng: np.random.Generator) -> None:
        self.evaluations = evaluations
        self.steps = steps
        self.rng = rng
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def add(self, trial: Trial, best_score: float, status: Status) -> None:
        study, task, wi_seed, do_seed = trial
        key = {"trial_id": f"{study}-{task}-{wi_seed}-{do_seed}", "study": study, "task": task}
        metric = METRICS.get(task, "accuracy")
        at, scores = self.curve(best_score, BASELINES[metric])
        losses = 0.7 * np.exp(-np.arange(1, self.steps + 1) / self.steps)
        losses += 0.05 * self.rng.random(self.steps)
        if status is Status.FAILED:
            made = at <= self.steps // 2
            at, scores, losses = at[made], scores[made], losses[: self.steps // 2]
        if status is Status.DIVERGED:
            losses[self.steps // 2 :] = np.nan
        logged_at = BEGINNING + timedelta(minutes=len(self.rows["trials"]))

        for step, score, best in zip(at, scores, np.maximum.accumulate(scores), strict=True):
            self.rows["evaluations"].append(
                key
                | dict.fromkeys(TASK_METRICS)
                | {"step": int(step), "epoch": step / STEPS_PER_EPOCH, "score": score}
                | {"best_score": best, "loss": 1 - score, metric: score, "logged_at": logged_at}
            )
        for step, loss in enumerate(losses, start=1):
            self.rows["train_steps"].append(
                key
                | {"step": step, "epoch": step / STEPS_PER_EPOCH, "loss": loss}
                | {"logged_at": logged_at}
            )
        self.rows["trials"].append(
            FACTS
            | key
            | {"wi_seed": wi_seed, "do_seed": do_seed, "status": status, "metric": metric}
            | {"best_score": scores.max(), "best_step": int(at[scores.argmax()])}
            | {"last_score": scores[-1], "evaluations": len(at), "steps": len(losses)}
            | {"total_steps": self.steps, "majority_baseline": BASELINES[metric]}
            | {"started_at": logged_at, "run_id": f"run-{len(self.rows['trials'])}"}
            | {"error": "RuntimeError: out of memory" if status is Status.FAILED else None}
        )

    def curve(self, best_score: float, baseline: float) -> tuple[NDArray[np.int64], Floats]:
        """Return steps, and scores that rise from the baseline to exactly the best score."""
        at = np.unique(np.linspace(0, self.steps, self.evaluations).round().astype(np.int64))
        progress = np.sqrt(at / max(self.steps, 1))
        scores = baseline + (best_score - baseline) * progress
        scores += 0.02 * self.rng.standard_normal(len(at))
        scores = np.minimum(scores, best_score)
        scores[self.rng.integers(len(at) // 2, len(at))] = best_score
        return at, scores

    def tables(self) -> dict[str, pa.Table]:
        return {
            name: pa.Table.from_pylist(rows, schema=arrow_schema(name))
            for name, rows in self.rows.items()
        }


FACTS: dict[str, Any] = {
    "model": "tiny", "dropout_seed": 0, "steps_per_epoch": STEPS_PER_EPOCH,
    "train_examples": 160, "validation_examples": 100, "labels": 2, "epochs": 3, "batch_size": 16,
    "learning_rate": 2e-5, "warmup": 0.1, "schedule": "linear", "bias_correction": False,
    "dropout_until_evaluated": False, "weight_decay": 0.01,
    "adam_epsilon": 1e-6, "clipping": "per-parameter", "clip_norm": 1.0, "dropout": 0.1,
    "max_length": 128, "precision": "fp32", "evaluate": "10 per epoch",
    "model_fingerprint": "m0", "data_fingerprint": "d0", "device": "cpu", "threads": 1,
    "seedbed_version": "0.1.0", "torch_version": "2.6.0", "transformers_version": "5.0.0",
    "python_version": "3.11.2", "seconds": 60.0,
}  # fmt: skip
"""What all trials of these warehouses share."""

MakeWarehouse = Callable[..., Warehouse]
"""`make_warehouse(folder, scores, *, statuses={}, evaluations=31, steps=30, seed=0)`: see it."""


def _make_warehouse(
    folder: Path,
    scores: Mapping[tuple[str, str], Floats],
    *,
    statuses: Mapping[Trial, Status] | None = None,
    evaluations: int = 31,
    steps: int = 30,
    seed: int = 0,
) -> Warehouse:
    """Write a warehouse of the trials whose best scores are given, and open it.

    Args:
        folder: where to.
        scores: per study and task the best scores, shape (WI seeds, DO seeds); seeds count from 1;
            NaN stands for a trial that is not there.
        statuses: of trials (study, task, WI seed, DO seed) that are not finished. A failed one was
            cut in the middle, so that its best score is lower; a diverged one has NaN losses.
        evaluations: evaluations of a trial, evenly spread over its steps, first and last included.
        steps: optimiser steps of a trial; an epoch has ten.
        seed: of the courses of scores and losses.
    """
    grid = Grid(evaluations, steps, np.random.default_rng(seed))
    for (study, task), matrix in scores.items():
        for (wi, do), best_score in np.ndenumerate(matrix):
            if not np.isnan(best_score):
                trial = (study, task, wi + 1, do + 1)
                status = (statuses or {}).get(trial, Status.FINISHED)
                grid.add(trial, float(best_score), status)
    write(folder, grid.tables(), {"exported_by": "tests"})
    return Warehouse(folder)


@pytest.fixture(scope="session")
def make_warehouse() -> MakeWarehouse:
    return _make_warehouse


@pytest.fixture(scope="session")
def synthetic_scores() -> dict[tuple[str, str], Floats]:
    """Best scores of study `demo` on `cola` (MCC) and `rte` (accuracy), each 5 WI × 4 DO seeds."""
    rng = np.random.default_rng(2020)
    wi, do = 0.03 * rng.standard_normal((5, 1)), 0.02 * rng.standard_normal((1, 4))
    scores = {
        ("demo", task): centre + wi + do + 0.02 * rng.standard_normal((5, 4))
        for task, centre in (("cola", 0.55), ("rte", 0.68))
    }
    scores["demo", "cola"][1, 2] = 0.0  # the diverged one never left the majority baseline
    return scores


@pytest.fixture(scope="session")
def synthetic_warehouse(
    tmp_path_factory: pytest.TempPathFactory, synthetic_scores: dict[tuple[str, str], Floats]
) -> Warehouse:
    """The trials of `synthetic_scores`: 31 evaluations and 30 steps each, 1 diverged, 1 failed."""
    return _make_warehouse(
        tmp_path_factory.mktemp("synthetic") / "warehouse",
        synthetic_scores,
        statuses={
            ("demo", "cola", 2, 3): Status.DIVERGED,
            ("demo", "rte", 4, 1): Status.FAILED,
        },
    )


ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


@pytest.fixture(scope="session")
def with_trials_changed() -> ChangeTrials:
    """Write a warehouse like another one, in which a function has changed each row of trials."""

    def change(
        warehouse: Warehouse, folder: Path, alter: Callable[[dict[str, Any]], None]
    ) -> Warehouse:
        tables = {name: warehouse.table(name) for name in TABLES}
        rows = tables["trials"].to_pylist()
        for row in rows:
            alter(row)
        tables["trials"] = pa.Table.from_pylist(rows, schema=arrow_schema("trials"))
        write(folder, tables, {"exported_by": "tests"})
        return Warehouse(folder)

    return change
