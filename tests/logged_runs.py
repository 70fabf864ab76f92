"""Runs as tracking writes them, to be given out by a reader or logged in an MLflow store."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from analysis.last_export import FILE
from analysis.runs import Counted, History, RunRecord
from finetune.contract import (
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
    Status,
    experiment_name,
    metric_key,
)

BEGINNING = 1_767_225_600_000
"""2026-01-01 in milliseconds since the epoch."""
STEPS_PER_EPOCH = 4

Logged = tuple[str, float, int, int]
"""Key, value, timestamp, step."""


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

    counted: Counted | None = None

    def __init__(self, *runs: Run) -> None:
        self.contents = {f"run-{number}": run for number, run in enumerate(runs)}

    def runs(self, others: Callable[[str], bool]) -> list[RunRecord]:
        return [
            RunRecord(
                id=id_,
                name=run.name,
                experiment=experiment_name(run.study, run.task),
                status="FINISHED",
                started_at=run.started_at,
                ended_at=run.started_at + 9_500,
                params=run.all_params(),
                tags=run.all_tags(),
                metrics={key: max(_history(run, key).steps) for key in _keys(run)},
                values=len(run.logged()),
                mark=str(len(run.logged())),
            )
            for id_, run in self.contents.items()
        ]

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        for record in runs:
            run = self.contents[record.id]
            yield record, {key: _history(run, key) for key in _keys(run)}


def _keys(run: Run) -> list[str]:
    return sorted({key for key, *_ in run.logged()})


def _history(run: Run, key: str) -> History:
    rows = [row for row in run.logged() if row[0] == key]
    _, values, timestamps, steps = zip(*rows, strict=True)
    return History.from_logged(steps, timestamps, values)


# ── Logged in a store ────────────────────────────────────────────────────────────────────────────
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


def log(client: MlflowClient, experiment: str, run: Run) -> str:
    """Log a run; return its id."""
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


def fill(uri: str, artifacts: Path) -> None:
    """Log two studies of two tasks in a store, and all that must not come out of it."""
    client = MlflowClient(uri)
    experiments = {
        (study, task): client.create_experiment(
            experiment_name(study, task), artifact_location=str(artifacts)
        )
        for study in ("first", "second")
        for task in ("cola", "rte")
    }
    for run in [*TRIALS_IN_STORE, FAILED, BROKEN]:
        log(client, experiments[run.study, run.task], run)

    deleted = log(client, experiments["first", "cola"], Run("first", "cola", 9, 9))
    client.delete_run(deleted)
    gone = client.create_experiment("gone/rte", artifact_location=str(artifacts))
    log(client, gone, Run("gone"))
    client.delete_experiment(gone)
    foreign = client.create_experiment("somebody's", artifact_location=str(artifacts))
    client.log_metric(client.create_run(foreign).info.run_id, "loss", 1.0)


def contents(folder: Path) -> dict[str, bytes]:
    """Return what an export is made of: its files by path, but for the time in the manifest.

    What it notes for the next export is left out: it depends on how the store was read.
    """
    return {
        str(path.relative_to(folder)): re.sub(rb'"exported_at": "[^"]*"', b"", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != FILE
    }
