"""The tracker: one tracking store, as the driving process writes and reads it."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from finetune import contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, Event, Started, Step
from finetune.grid import Grid
from finetune.study import Trial
from finetune.tracking.entries import Closing, DroppedModel, KeptModel, Opening, Values
from finetune.tracking.journal import Journal
from finetune.tracking.runs import MODEL
from finetune.tracking.store import Store
from finetune.tracking.terms import (
    MLFLOW_STATUS,
    as_text,
    describe_trial,
    evaluation_metrics,
    experiment_tags,
    milliseconds,
    trial_params,
)
from finetune.tracking.tracked import TrackedTrial
from finetune.tracking.writer import Waiting, Writer

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run

_PATIENCE = 20.0
"""Seconds that a store may take nothing before it is no longer waited for."""


class Tracker:
    """One tracking store: a SQLite file, or a tracking server.

    What is recorded is first of all in a journal on disk and is written to the store from there, by
    a thread: in batches, each metric stamped with the time it was produced, in order, and once. A
    store that is away is waited for; recording never does. Reading waits until what was recorded
    before has been written.
    """

    def __init__(self, store: str) -> None:
        """Name the store; nothing is opened before it is needed.

        Args:
            store: a tracking URI as MLflow takes it.
        """
        self.store = store
        self._store = Store(store)
        self._journals = self._store.work_folder / "journals"
        self._experiments: dict[str, str] = {}
        self._open: set[str] = set()
        self._writer: Writer | None = None
        self._is_closed = True

    @property
    def waiting(self) -> Waiting | None:
        """What was recorded and the store does not have yet; None where it has all."""
        return None if self._writer is None else self._writer.waiting

    @property
    def notes(self) -> list[str]:
        """What could not be written and never will be, in sentences."""
        return [] if self._writer is None else self._writer.notes

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────
    def catch_up(self) -> int:
        """Write what processes that have died could not write any more to this store.

        Returns:
            How many entries of their journals there were.

        Raises:
            SeedbedError: where the store is away still; nothing is lost by that.
        """
        written = 0
        for journal in Journal.abandoned(self._journals, self._store.name):
            count = journal.waiting
            self._store.client  # noqa: B018 — where it cannot be opened, that is said here
            writer = Writer(journal, self._store, is_rest=True)
            if not writer.close(_PATIENCE):
                raise SeedbedError(self._left_over(writer))
            written += count
        return written

    def left_behind(self) -> int:
        """Return how many entries `catch_up` would write; see there."""
        found = Journal.abandoned(self._journals, self._store.name)
        return sum(journal.waiting for journal in found)

    def prepare(self, grid: Grid, *, is_plan: bool = True) -> None:
        """Make sure that the grid's experiment is there, and note in it what is planned.

        Args:
            grid: the grid.
            is_plan: whether it is what the study plans; else it is noted only where nothing is.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        name = contract.experiment_name(grid.study, grid.task)
        client = self._store.client
        with self._store.faults():
            experiment = client.get_experiment_by_name(name)
            if experiment is None:
                experiment_id = client.create_experiment(name, self._store.artifacts)
            elif experiment.lifecycle_stage == "deleted":
                raise SeedbedError(
                    f"experiment {name} was deleted in {self.store}. Restore it with "
                    f"`mlflow experiments restore -x {experiment.experiment_id}`, remove it with "
                    "`mlflow gc`, or give the study another name."
                )
            else:
                experiment_id = experiment.experiment_id
            if is_plan or experiment is None or contract.TAG_GRID not in experiment.tags:
                for key, value in experiment_tags(grid).items():
                    client.set_experiment_tag(experiment_id, key, value)
            self._store.let_readers_be()
        self._experiments[name] = experiment_id

    def record(self, trial: Trial, event: Event) -> None:
        """Have an event of a trial written. It waits for no store.

        Raises:
            SeedbedError: where the disk is full, or the store refuses for good.
        """
        match event:
            case Started():
                self._start(trial, event)
            case Step(step, loss, moment):
                metrics = {contract.METRIC_TRAIN_LOSS: loss}
                self._writing().put(Values(trial.id, step, milliseconds(moment), metrics))
            case Evaluation(step, time=moment):
                metrics = evaluation_metrics(event)
                self._writing().put(Values(trial.id, step, milliseconds(moment), metrics))
            case Ended():
                self._end(trial, event)
            case _:
                pass  # of no concern to the store

    def drop_model(self, trial_id: str) -> None:
        """Have the model that is kept of a trial removed.

        Raises:
            SeedbedError: where the disk is full, or the store refuses for good.
        """
        self._writing().put(DroppedModel(trial_id))

    def settle(self, patience: float = _PATIENCE) -> None:
        """Wait until all that was recorded is written.

        Args:
            patience: seconds that the store may take nothing before it is not waited for.

        Raises:
            SeedbedError: where it is still away then.
        """
        if self._writer is None:
            return
        is_written = self.waiting is None if self._is_closed else self._writer.settle(patience)
        if not is_written:
            raise SeedbedError(self._left_over(self._writer))

    def close(
        self, reason: str = "the study was interrupted", *, patience: float = _PATIENCE
    ) -> bool:
        """Write what is left, and note of trials that did not end that they were interrupted.

        Args:
            reason: what is noted.
            patience: seconds that the store may take nothing before it is not waited for.

        Returns:
            Whether all is written. What is not waits on disk for the next `catch_up`; see
            `waiting`.
        """
        if self._is_closed:
            return True
        assert self._writer is not None
        try:
            for trial_id in sorted(self._open):
                self._close(trial_id, Status.INTERRUPTED, reason, time.time())
        finally:
            self._open.clear()
            self._is_closed = True
            is_written = self._writer.close(patience)
        return is_written

    def analyze(self) -> None:
        """Give a SQLite store the statistics without which it reads histories 30 times slower."""
        self._store.analyze(always=True)

    def _writing(self) -> Writer:
        if self._is_closed:
            try:
                journal = Journal.begin(self._journals, self._store.name)
            except OSError as error:
                raise SeedbedError(
                    f"folder {self._journals}: cannot be written ({error.strerror}). What happens "
                    "in trials is kept there until the tracking store has it."
                ) from error
            self._writer = Writer(journal, self._store)
            self._is_closed = False
        assert self._writer is not None
        return self._writer

    def _start(self, trial: Trial, event: Started) -> None:
        params = {**trial_params(trial), **event.facts}
        self._writing().put(
            Opening(
                trial.id,
                self._experiments[contract.experiment_name(trial.study, trial.task)],
                trial.name,
                milliseconds(event.time),
                as_text(params),
                {
                    contract.TAG_TRIAL_ID: trial.id,
                    contract.TAG_STUDY: trial.study,
                    contract.TAG_SCHEMA_VERSION: str(contract.SCHEMA_VERSION),
                    contract.TAG_STATUS: Status.RUNNING.value,
                    "mlflow.note.content": describe_trial(trial),
                    **event.machine,
                },
                taken_up=event.step > 0 or trial.id in self._open,
            )
        )
        self._open.add(trial.id)

    def _end(self, trial: Trial, event: Ended) -> None:
        if trial.id not in self._open:
            # It failed before it began, such as with a worker that died loading the model.
            self._start(trial, Started({}, {}, time=event.time))
        if event.model is not None:
            folder = self._writing().take_model(trial.id, event.model.folder)
            self._writing().put(KeptModel(trial.id, str(folder), event.model.step))
        self._close(trial.id, event.status, event.error, event.time, event.seconds)
        self._open.discard(trial.id)

    def _close(
        self,
        trial_id: str,
        status: Status,
        error: str | None,
        moment: float,
        seconds: float | None = None,
    ) -> None:
        tags = {contract.TAG_STATUS: status.value}
        if seconds is not None:
            tags[contract.TAG_SECONDS] = f"{seconds:.3f}"
        if error is not None:
            tags[contract.TAG_ERROR] = error[:1000]
        entry = Closing(trial_id, milliseconds(moment), MLFLOW_STATUS[status], tags)
        self._writing().put(entry)

    def _left_over(self, writer: Writer) -> str:
        left = writer.waiting
        assert left is not None
        return (
            f"tracking store {self.store}: {left.trouble or 'does not answer'}; {left.entries:,} "
            f"entries wait for it in {left.folder}. The next `finetune run` with this store "
            "writes them first."
        )

    # ── Drivers ──────────────────────────────────────────────────────────────────────────────────
    @property
    def work_folder(self) -> Path:
        """Where the states of trials are kept unless somebody says otherwise."""
        return self._store.work_folder

    def notes_of(self, study: str, key: str) -> dict[tuple[str, str], str]:
        """Return what is noted in the experiments of a study under the keys that begin so.

        Returns:
            The text of each note, by the experiment's name and the key.

        Raises:
            SeedbedError: where the store cannot be read.
        """
        return {
            (experiment.name, name): text
            for experiment in self._experiments_of(study)
            for name, text in experiment.tags.items()
            if name.startswith(key)
        }

    def note(self, experiment: str, key: str, text: str | None) -> None:
        """Note something in an experiment, if there is one of the name; None removes the note.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        with self._store.faults():
            found = self._store.client.get_experiment_by_name(experiment)
            if found is None:
                return
            if text is not None:
                self._store.client.set_experiment_tag(found.experiment_id, key, text)
            elif key in found.tags:
                self._store.client.delete_experiment_tag(found.experiment_id, key)

    def running(self, study: str) -> list[TrackedTrial]:
        """Return every run of a study that the store holds as running."""
        return [
            tracked
            for experiment in self._experiments_of(study)
            for tracked in map(TrackedTrial.of, self._runs(experiment.experiment_id))
            if tracked.status is Status.RUNNING
        ]

    def abandon(self, run: TrackedTrial, reason: str) -> None:
        """Note of a run whose driver has died that it was interrupted, and when it last was heard.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        heard = [moment for _, _, moment in self.history(run.run_id, contract.METRIC_TRAIN_LOSS)]
        client = self._store.client
        with self._store.faults():
            client.set_tag(run.run_id, contract.TAG_ERROR, reason)
            client.set_tag(run.run_id, contract.TAG_STATUS, Status.INTERRUPTED.value)
            end = milliseconds(max(heard, default=run.started))
            client.set_terminated(run.run_id, MLFLOW_STATUS[Status.INTERRUPTED], end)

    def history(self, run_id: str, metric: str) -> list[tuple[int, float, float]]:
        """Return the values of a run's metric: step, value and time of each, by step and time.

        Raises:
            SeedbedError: where the store cannot be read.
        """
        with self._store.faults():
            values = self._store.client.get_metric_history(run_id, metric)
        return sorted((value.step, value.value, value.timestamp / 1000) for value in values)

    # ── Models ───────────────────────────────────────────────────────────────────────────────────
    def fetch_model(self, run_id: str, folder: Path) -> None:
        """Copy the model kept of a run into a folder.

        Raises:
            SeedbedError: where it cannot be read.
        """
        client = self._store.client
        with self._store.faults(), tempfile.TemporaryDirectory() as scratch:
            found = Path(client.download_artifacts(run_id, MODEL, scratch))
            shutil.copytree(found, folder, dirs_exist_ok=True)

    def add_to_model(self, run_id: str, file: Path) -> None:
        """Put a file beside the model kept of a run.

        Raises:
            SeedbedError: where the store cannot be written.
        """
        with self._store.faults():
            self._store.client.log_artifact(run_id, str(file), MODEL)

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
                tracked = TrackedTrial.of(run)
                known = found.get(tracked.trial_id)
                if known is None or tracked.rank > known.rank:
                    found[tracked.trial_id] = tracked
        return found

    def _experiments_of(self, study: str | None) -> "list[Experiment]":
        self.settle()
        if self._store.is_missing:
            return []
        found = []
        token = None
        with self._store.faults():
            while True:
                page = self._store.client.search_experiments(page_token=token)
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
        with self._store.faults():
            while True:
                page = self._store.client.search_runs(
                    [experiment_id], max_results=1000, page_token=token
                )
                yield from (run for run in page if contract.TAG_TRIAL_ID in run.data.tags)
                token = page.token
                if not token:
                    return
