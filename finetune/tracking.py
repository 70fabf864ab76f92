"""Tracking: what happens in trials, written to MLflow. The only module that writes to it.

Executors hand their reports to one tracker in the driving process. It keeps metrics back and
writes them in batches, each stamped with the time it was produced, not written.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from finetune import contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, Event, Started, Step
from finetune.grid import Grid
from finetune.study import Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run

_BATCH = 1000
"""Metrics that MLflow takes in one call."""

_PATIENCE = 5.0
"""Seconds that a metric waits at most before it is written."""


@dataclass
class _OpenRun:
    run_id: str
    metrics: "list[Metric]" = field(default_factory=list)
    oldest: float = 0.0


_MODEL = "model"
"""Where among the artefacts of a run its model lies."""


@dataclass(frozen=True)
class TrackedTrial:
    """What the store knows of a trial.

    Attributes:
        trial_id: the trial's id.
        run_id: the id of its run.
        name: the run's name.
        status: how it stands.
        metric: what the score is; None where it did not begin.
        score: best score so far; None before the first evaluation.
        started: seconds since the epoch.
        seconds: how long it ran; None while it runs.
        error: why it failed.
        model_step: where its model is kept, after how many optimiser steps; else None.
    """

    trial_id: str
    run_id: str
    name: str
    status: Status
    metric: str | None
    score: float | None
    started: float
    seconds: float | None
    error: str | None
    model_step: int | None = None


class Tracker:
    """One tracking store: a SQLite file, or a tracking server."""

    def __init__(self, store: str) -> None:
        """Name the store; nothing is opened before it is needed.

        Args:
            store: a tracking URI as MLflow takes it.
        """
        self.store = store
        self._open: dict[str, _OpenRun] = {}
        self._experiments: dict[str, str] = {}

    @cached_property
    def _client(self) -> "MlflowClient":
        with _faults_of(self.store):
            return _connect(self.store)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────
    def prepare(self, grid: Grid) -> None:
        """Make sure that the grid's experiment is there, and note in it what is planned.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        name = contract.experiment_name(grid.study, grid.task)
        with _faults_of(self.store):
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                experiment_id = self._client.create_experiment(name, _artifacts(self.store))
            elif experiment.lifecycle_stage == "deleted":
                raise SeedbedError(
                    f"experiment {name} was deleted in {self.store}. Restore it with "
                    f"`mlflow experiments restore -x {experiment.experiment_id}`, remove it with "
                    "`mlflow gc`, or give the study another name."
                )
            else:
                experiment_id = experiment.experiment_id
            for key, value in {
                contract.TAG_STUDY: grid.study,
                contract.TAG_SCHEMA_VERSION: str(contract.SCHEMA_VERSION),
                contract.TAG_GRID: grid.to_json(),
                "mlflow.note.content": _describe_grid(grid),
                # Without it `mlflow ui` opens on the pages for language-model applications.
                "mlflow.experimentKind": "custom_model_development",
            }.items():
                self._client.set_experiment_tag(experiment_id, key, value)
        self._experiments[name] = experiment_id
        _tune(self.store)

    def record(self, trial: Trial, event: Event) -> None:
        """Write an event of a trial, at once or with the next batch.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        with _faults_of(self.store):
            match event:
                case Started():
                    self._start(trial, event)
                case Step(step, loss, moment):
                    self._log(trial, {contract.METRIC_TRAIN_LOSS: loss}, step, moment)
                case Evaluation():
                    self._log(trial, _evaluation_metrics(event), event.step, event.time)
                case Ended():
                    self._end(trial, event)

    def close(self, reason: str = "the study was interrupted") -> None:
        """Write what is left, and note of trials that did not end that they were interrupted."""
        for trial_id in list(self._open):
            self._finish(trial_id, Status.INTERRUPTED, reason, time.time())

    def analyze(self) -> None:
        """Give a SQLite store the statistics without which it reads histories 30 times slower."""
        _tune(self.store, analyze=True)

    def _start(self, trial: Trial, event: Started) -> None:
        params = {**_trial_params(trial), **event.facts}
        tags = {
            contract.TAG_TRIAL_ID: trial.id,
            contract.TAG_STUDY: trial.study,
            contract.TAG_SCHEMA_VERSION: str(contract.SCHEMA_VERSION),
            contract.TAG_STATUS: Status.RUNNING.value,
            "mlflow.note.content": _describe_trial(trial),
            **event.machine,
        }
        experiment_id = self._experiments[contract.experiment_name(trial.study, trial.task)]
        run = self._client.create_run(
            experiment_id, start_time=int(event.time * 1000), tags=tags, run_name=trial.name
        )
        self._open[trial.id] = _OpenRun(run.info.run_id)
        from mlflow.entities import Param

        written = [Param(name, _text(value)) for name, value in params.items() if value is not None]
        self._client.log_batch(run.info.run_id, params=written)

    def _log(self, trial: Trial, metrics: Mapping[str, float], step: int, moment: float) -> None:
        from mlflow.entities import Metric

        run = self._open[trial.id]
        if not run.metrics:
            run.oldest = time.monotonic()
        milliseconds = int(moment * 1000)
        run.metrics += [Metric(key, value, milliseconds, step) for key, value in metrics.items()]
        if len(run.metrics) >= _BATCH or time.monotonic() - run.oldest >= _PATIENCE:
            self._flush(run)

    def _flush(self, run: _OpenRun) -> None:
        for start in range(0, len(run.metrics), _BATCH):
            self._client.log_batch(run.run_id, metrics=run.metrics[start : start + _BATCH])
        run.metrics.clear()

    def drop_model(self, run_id: str) -> None:
        """Remove the model kept of a run.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with _faults_of(self.store):
            # The tag first: what it names is there, whenever this is cut off.
            self._client.delete_tag(run_id, contract.TAG_MODEL_STEP)
            artifacts = self._client.get_run(run_id).info.artifact_uri
            repository = get_artifact_repository(artifacts, self.store)
            repository.delete_artifacts(_MODEL)  # type: ignore[no-untyped-call]

    def fetch_model(self, run_id: str, folder: Path) -> None:
        """Copy the model kept of a run into a folder.

        Raises:
            SeedbedError: where it cannot be read.
        """
        with _faults_of(self.store), tempfile.TemporaryDirectory() as scratch:
            found = Path(self._client.download_artifacts(run_id, _MODEL, scratch))
            shutil.copytree(found, folder, dirs_exist_ok=True)

    def add_to_model(self, run_id: str, file: Path) -> None:
        """Put a file beside the model kept of a run.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        with _faults_of(self.store):
            self._client.log_artifact(run_id, str(file), _MODEL)

    def _end(self, trial: Trial, event: Ended) -> None:
        if trial.id not in self._open:
            # It failed before it began, such as with a worker that died loading the model.
            self._start(trial, Started({}, {}, event.time))
        if event.model is not None:
            run_id = self._open[trial.id].run_id
            self._client.log_artifacts(run_id, str(event.model.folder), _MODEL)
            self._client.set_tag(run_id, contract.TAG_MODEL_STEP, str(event.model.step))
        self._finish(trial.id, event.status, event.error, event.time)

    def _finish(self, trial_id: str, status: Status, error: str | None, moment: float) -> None:
        from mlflow.entities import RunTag

        run = self._open.pop(trial_id)
        self._flush(run)
        tags = [RunTag(contract.TAG_STATUS, status.value)]
        if error is not None:
            tags.append(RunTag(contract.TAG_ERROR, error[:1000]))
        self._client.log_batch(run.run_id, tags=tags)
        self._client.set_terminated(run.run_id, _MLFLOW_STATUS[status], int(moment * 1000))

    # ── Reading, to resume and to report ─────────────────────────────────────────────────────────
    def studies(self) -> list[str]:
        """Return the names of the studies that the store holds, sorted.

        Raises:
            SeedbedError: where there is no such store.
        """
        return sorted({e.tags[contract.TAG_STUDY] for e in self._experiments_of(None)})

    def grids(self, study: str) -> list[Grid]:
        """Return the grids that a study last planned, one per task.

        Raises:
            SeedbedError: where the store has no such study.
        """
        experiments = self._experiments_of(study)
        if not experiments:
            known = ", ".join(self.studies()) or "none"
            raise SeedbedError(
                f"study {study}: there is none of this name in {self.store}; it holds: {known}."
            )
        return [Grid.from_json(e.tags[contract.TAG_GRID]) for e in experiments]

    def trials(self, study: str) -> dict[str, TrackedTrial]:
        """Return what the store knows of a study's trials, by trial id.

        Where a trial was run several times, the run that got furthest counts: done before running
        before the rest, and of equals the latest.
        """
        found: dict[str, TrackedTrial] = {}
        for experiment in self._experiments_of(study):
            for run in self._runs(experiment.experiment_id):
                tracked = _tracked(run)
                known = found.get(tracked.trial_id)
                if known is None or _rank(tracked) > _rank(known):
                    found[tracked.trial_id] = tracked
        return found

    def _experiments_of(self, study: str | None) -> "list[Experiment]":
        if _missing(self.store):
            return []
        found = []
        token = None
        with _faults_of(self.store):
            while True:
                page = self._client.search_experiments(page_token=token)
                found += [
                    experiment
                    for experiment in page
                    if contract.TAG_GRID in experiment.tags
                    and study in (None, experiment.tags.get(contract.TAG_STUDY))
                ]
                token = page.token
                if not token:
                    return sorted(found, key=lambda experiment: int(experiment.experiment_id))

    def _runs(self, experiment_id: str) -> "Iterator[Run]":
        token = None
        with _faults_of(self.store):
            while True:
                page = self._client.search_runs([experiment_id], max_results=1000, page_token=token)
                yield from (run for run in page if contract.TAG_TRIAL_ID in run.data.tags)
                token = page.token
                if not token:
                    return


_MLFLOW_STATUS = {
    Status.FINISHED: "FINISHED",
    Status.DIVERGED: "FINISHED",
    Status.STOPPED_EARLY: "FINISHED",
    Status.FAILED: "FAILED",
    Status.INTERRUPTED: "KILLED",
}


def _trial_params(trial: Trial) -> dict[str, object]:
    return {
        "task": trial.task,
        "model": trial.model,
        "wi_seed": trial.wi_seed,
        "do_seed": trial.do_seed,
        "dropout_seed": trial.dropout_seed,
        "model_fingerprint": trial.model_fingerprint,
        "data_fingerprint": trial.data_fingerprint,
        **trial.recipe.model_dump(),
    }


def _evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    return {
        contract.METRIC_EPOCH: evaluation.epoch,
        contract.METRIC_LOSS: evaluation.loss,
        contract.METRIC_SCORE: evaluation.score,
        contract.METRIC_BEST_SCORE: evaluation.best_score,
        **{contract.metric_key(name): value for name, value in evaluation.metrics.items()},
    }


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _describe_grid(grid: Grid) -> str:
    return (
        f"Study **{grid.study}**, task **{grid.task}**: {grid.model} fine-tuned with "
        f"{len(grid.wi_seeds)} weight-initialisation seeds × {len(grid.do_seeds)} data-order "
        f"seeds, {len(grid.trials())} trials. `eval/score` is the task's own metric; "
        "`eval/best_score` the highest so far."
    )


def _describe_trial(trial: Trial) -> str:
    return (
        f"Trial `{trial.id}` of study **{trial.study}**: {trial.model} fine-tuned on "
        f"**{trial.task}** with WI seed {trial.wi_seed}, DO seed {trial.do_seed} and dropout seed "
        f"{trial.dropout_seed}."
    )


def _tracked(run: "Run") -> TrackedTrial:
    tags, info = run.data.tags, run.info
    return TrackedTrial(
        trial_id=tags[contract.TAG_TRIAL_ID],
        run_id=info.run_id,
        name=info.run_name,
        status=Status(tags.get(contract.TAG_STATUS, Status.RUNNING)),
        metric=run.data.params.get("metric"),
        score=run.data.metrics.get(contract.METRIC_BEST_SCORE),
        started=info.start_time / 1000,
        seconds=None if info.end_time is None else (info.end_time - info.start_time) / 1000,
        error=tags.get(contract.TAG_ERROR),
        model_step=int(tags[contract.TAG_MODEL_STEP]) if contract.TAG_MODEL_STEP in tags else None,
    )


def _rank(trial: TrackedTrial) -> tuple[bool, bool, float]:
    return trial.status.is_done, trial.status is Status.RUNNING, trial.started


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────
def sqlite_file(store: str) -> Path | None:
    """Return the file of a SQLite store; None for any other store."""
    prefix = "sqlite:///"
    return Path(store.removeprefix(prefix)) if store.startswith(prefix) else None


def _artifacts(store: str) -> str | None:
    """Return where the artefacts of a store's runs lie: beside a SQLite file; None: it knows."""
    file = sqlite_file(store)
    return None if file is None else (file.absolute().parent / "mlruns").as_uri()


def _missing(store: str) -> bool:
    file = sqlite_file(store)
    return file is not None and not file.exists()


def _connect(store: str) -> "MlflowClient":
    """Open a store quietly; a SQLite file is created where there is none."""
    import logging

    # MLflow's migrations tell each of their steps when a store is created.
    for name in ("mlflow.store.db.utils", "alembic", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    file = sqlite_file(store)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    client.search_experiments(max_results=1)
    return client


def _tune(store: str, *, analyze: bool = False) -> None:
    """Keep a SQLite store fit for one writer and many readers.

    With write-ahead logging a reader never holds up the writer; it is set once and stays in the
    file. MLflow sets neither that nor the planner's statistics.
    """
    file = sqlite_file(store)
    if file is None:
        return
    with sqlite3.connect(file, timeout=20) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        if analyze:
            connection.execute("ANALYZE")
    connection.close()


@contextmanager
def _faults_of(store: str) -> Iterator[None]:
    """Turn what MLflow and its database raise into a sentence for the user."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0].rstrip(".") if lines else type(error).__name__
        advice = (
            "Check that it is an MLflow store, that the disk has room and that you may write there."
            if sqlite_file(store)
            else "Check MLFLOW_TRACKING_URI, or --store, and that the server is up."
        )
        if isinstance(error, requests.exceptions.ConnectionError):
            reason = "the server cannot be reached"
        raise SeedbedError(f"tracking store {store}: {reason}. {advice}") from error
