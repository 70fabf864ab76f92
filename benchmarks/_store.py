"""A tracking store of a study that was never run, as large as the paper's, for the benchmarks.

The runs are what `finetune.tracking` would have written: the same experiments, params, tags and
metrics, of 2,100 trials with the paper's numbers of steps and evaluations. Their values are made
up. They are put into the database as rows, since logging five million values takes a quarter of an
hour; like two workers that log in batches, two trials at a time write in turn.
"""

import math
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finetune import contract
from finetune.contract import SCHEMA_VERSION, Status
from finetune.study import Recipe

BEGINNING = 1_767_225_600_000
"""2026-01-01 in milliseconds since the epoch."""

BATCH = 1_000
"""Metrics of one call of `log_batch`."""

Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class TaskSize:
    """How large a task's part of a study is.

    Attributes:
        task: its name.
        metric: its own metric.
        seeds: weight-initialisation seeds, and as many data-order seeds.
        steps_per_epoch: optimiser steps of each of three epochs.
    """

    task: str
    metric: str
    seeds: int
    steps_per_epoch: int


PAPER = (
    TaskSize("mrpc", "accuracy_and_f1", 25, 230),
    TaskSize("rte", "accuracy", 25, 156),
    TaskSize("cola", "matthews_correlation", 25, 535),
    TaskSize("sst2", "accuracy", 15, 4210),
)
"""The paper's 2,100 trials: 4.57 million optimiser steps in batches of 16."""

EPOCHS = 3
EVALUATIONS_PER_EPOCH = 10


def generate(file: Path, sizes: tuple[TaskSize, ...] = PAPER, *, seed: int = 0) -> None:
    """Write a store, as MLflow leaves it: without write-ahead logging and statistics.

    Args:
        file: where to; must not be there yet.
        sizes: the tasks.
        seed: of the made-up values.
    """
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{file}")
    rng = np.random.default_rng(seed)
    experiments = {
        size.task: client.create_experiment(contract.experiment_name("dodge2020", size.task))
        for size in sizes
    }
    trials = [
        (size, wi, do)
        for size in sizes
        for wi in range(1, size.seeds + 1)
        for do in range(1, size.seeds + 1)
    ]
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA synchronous = OFF")
    for pair in (trials[i : i + 2] for i in range(0, len(trials), 2)):
        writers = [
            _trial(connection, int(experiments[size.task]), size, wi, do, rng)
            for size, wi, do in pair
        ]
        while writers:
            writers = [writer for writer in writers if next(writer, None)]
        connection.commit()
    connection.close()


def _trial(
    connection: sqlite3.Connection,
    experiment: int,
    size: TaskSize,
    wi: int,
    do: int,
    rng: np.random.Generator,
) -> Iterator[bool]:
    """Write a trial, a batch at each step of the iteration."""
    run = uuid.UUID(bytes=rng.bytes(16)).hex
    steps = EPOCHS * size.steps_per_epoch
    started = BEGINNING + int(rng.integers(10**9))
    params, tags = _params(size, wi, do), _tags(size, wi, do)
    connection.execute(
        "insert into runs (run_uuid, name, source_type, status, start_time, end_time, "
        "lifecycle_stage, experiment_id, user_id, source_name, entry_point_name, source_version, "
        "artifact_uri) values (?, ?, 'UNKNOWN', 'FINISHED', ?, ?, 'active', ?, '', '', '', '', '')",
        (run, f"{size.task}-wi{wi:02d}-do{do:02d}", started, started + 200 * steps, experiment),
    )
    connection.executemany(
        "insert into params (key, value, run_uuid) values (?, ?, ?)",
        [(key, value, run) for key, value in params.items()],
    )
    connection.executemany(
        "insert into tags (key, value, run_uuid) values (?, ?, ?)",
        [(key, value, run) for key, value in tags.items()],
    )
    rows = _metrics(size, steps, started, rng)
    for start in range(0, len(rows), BATCH):
        connection.executemany(
            "insert into metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "values (?, ?, ?, ?, ?, ?)",
            [(*row, run) for row in rows[start : start + BATCH]],
        )
        yield True
    latest = {row[0]: row for row in rows}
    connection.executemany(
        "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
        "values (?, ?, ?, ?, ?, ?)",
        [(*row, run) for row in latest.values()],
    )


def _params(size: TaskSize, wi: int, do: int) -> dict[str, str]:
    facts = {
        "task": size.task, "model": "bert-large-uncased", "wi_seed": wi, "do_seed": do,
        "dropout_seed": do, "model_fingerprint": "m" * 16, "data_fingerprint": "d" * 16,
        "metric": size.metric, "total_steps": EPOCHS * size.steps_per_epoch,
        "steps_per_epoch": size.steps_per_epoch, "train_examples": 16 * size.steps_per_epoch,
        "validation_examples": 1_000, "labels": 2, "majority_baseline": 0.5,
    }  # fmt: skip
    recipe = Recipe().model_dump()
    return {key: _text(value) for key, value in (facts | recipe).items() if value is not None}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tags(size: TaskSize, wi: int, do: int) -> dict[str, str]:
    return {
        contract.TAG_TRIAL_ID: f"{size.task}{wi:06d}{do:06d}",
        contract.TAG_STUDY: "dodge2020",
        contract.TAG_SCHEMA_VERSION: str(SCHEMA_VERSION),
        contract.TAG_STATUS: Status.FINISHED.value,
        contract.TAG_DEVICE: "cpu",
        contract.TAG_THREADS: "1",
        contract.TAG_SEEDBED_VERSION: "0.1.0",
        contract.TAG_TORCH_VERSION: "2.13.0",
        contract.TAG_TRANSFORMERS_VERSION: "5.23.0",
        contract.TAG_PYTHON_VERSION: "3.11.7",
        "mlflow.runName": f"{size.task}-wi{wi:02d}-do{do:02d}",
        "mlflow.note.content": f"Trial of study **dodge2020** with WI seed {wi}, DO seed {do}.",
    }


def _metrics(size: TaskSize, steps: int, started: int, rng: np.random.Generator) -> Rows:
    """Return key, value, timestamp, step and is_nan of all that a trial logs, in order."""
    count = EPOCHS * EVALUATIONS_PER_EPOCH
    evaluated = {round(steps * i / count) for i in range(count + 1)}
    losses = 0.7 * np.exp(-np.arange(steps + 1) / steps) + 0.05 * rng.random(steps + 1)
    rows: Rows = []
    best = -math.inf
    for step in range(steps + 1):
        at = started + 200 * step
        if step:
            rows.append((contract.METRIC_TRAIN_LOSS, float(losses[step]), at, step, 0))
        if step in evaluated:
            score = 0.9 - float(losses[step]) / 2
            best = max(best, score)
            values = {
                contract.METRIC_EPOCH: step / size.steps_per_epoch,
                contract.METRIC_LOSS: float(losses[step]),
                contract.METRIC_SCORE: score,
                contract.METRIC_BEST_SCORE: best,
                contract.metric_key(size.metric): score,
            }
            rows += [(key, value, at, step, 0) for key, value in values.items()]
    return rows
