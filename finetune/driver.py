"""The driving process: takes a plan, runs what is left of it, and has it tracked."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Protocol

from finetune import contract
from finetune.claims import Claims
from finetune.contract import Status
from finetune.early_stopping import EarlyStopping, Stretch
from finetune.errors import SeedbedError
from finetune.events import Ended, SavedModel
from finetune.executors import Assignment, Executor, Report
from finetune.grid import Plan
from finetune.study import Trial
from finetune.tracking import TrackedTrial, Tracker
from finetune.work_folder import WorkFolder


def trials_left(
    plan: Plan, tracker: Tracker, *, retry_failed: bool = False, catch_up: bool = True
) -> list[Trial]:
    """Return the trials of a plan that the store does not hold as done.

    Args:
        plan: the study.
        tracker: the store.
        retry_failed: whether trials that failed by themselves are run again; those that were
            interrupted always are.
        catch_up: whether the store is first given what dead drivers could not write any more.

    Raises:
        SeedbedError: where the store cannot be read.
    """
    if catch_up:
        tracker.catch_up()
    known: dict[str, TrackedTrial] = {}
    for study in {grid.study for grid in plan.grids}:
        known |= tracker.trials(study)
    settled = {
        trial_id
        for trial_id, trial in known.items()
        if trial.status.is_done or (trial.status is Status.FAILED and not retry_failed)
    }
    return plan.trials(without=settled)


def run(
    plan: Plan,
    trials: Sequence[Trial],
    executor: Executor,
    tracker: Tracker,
    *,
    stopping: EarlyStopping | None = None,
    work_folder: Path | None = None,
    save_every: float = 60.0,
    is_plan: bool = True,
) -> Iterator[Report]:
    """Run trials, write what happens to the store, and yield it as it happens.

    However the caller, an error or `executor.stop` ends this, all that happened is written, and
    trials that did not end are noted as interrupted. Those whose state was saved go on from there
    when they are run again.

    Args:
        plan: the study.
        trials: those of it to run.
        executor: where they run.
        tracker: the store.
        stopping: which of them are stopped early; None where all run to their end.
        work_folder: where their states are; None for the store's.
        save_every: seconds between two savings of a trial's state, at least.
        is_plan: whether the plan is what the study is to consist of, rather than trials beside it.

    Raises:
        SeedbedError: where the data of a task has faults, another driver runs one of the trials,
            the store cannot be written, or no trial could be run.
    """
    _read_data(plan, trials)
    claims = Claims(plan, trials, tracker)
    claims.check()
    agenda: Agenda = stopping or ToTheEnd(trials)
    best = BestModels(plan, tracker)
    work = WorkFolder(work_folder or tracker.work_folder)

    def assignments() -> Iterator[Assignment | None]:
        for stretch in agenda:
            yield None if stretch is None else best.assignment(stretch, work, save_every)

    has_begun = False
    # Left in the opposite order: the trials stop, all is written, and then they are free.
    with ExitStack() as claimed, ExitStack() as held:
        held.callback(tracker.close)
        for report in held.enter_context(closing(executor.run(assignments()))):
            if not has_begun:
                # Only now that a worker has begun, so that a model that cannot be loaded leaves
                # nothing in the store.
                _prepare(plan, tracker, stopping, is_plan=is_plan)
                claimed.enter_context(claims.made())
                has_begun = True
            trial, event = report.trial, report.event
            tracker.record(trial, event)
            agenda.add(report)
            if isinstance(event, Ended):
                if event.model is not None:
                    best.add(trial, event.model)
                work.forget(trial)
            yield report
        if has_begun:
            best.heed_others()
    if has_begun:
        tracker.analyze()


def _read_data(plan: Plan, trials: Sequence[Trial]) -> None:
    """Read the data, as the workers will: a fault is better known now than after hours."""
    for name in {trial.task for trial in trials}:
        plan.tasks[name].source.read()


def _prepare(
    plan: Plan, tracker: Tracker, stopping: EarlyStopping | None, *, is_plan: bool
) -> None:
    """See that the experiments are there, and say what is planned."""
    for grid in plan.grids:
        tracker.prepare(grid, is_plan=is_plan)
        if stopping is not None:
            experiment = contract.experiment_name(grid.study, grid.task)
            tracker.note(experiment, contract.TAG_STOPPING, stopping.rule(grid.task).to_json())


class Agenda(Protocol):
    """What is to be trained next, given what has come of what was trained before."""

    def __iter__(self) -> Iterator[Stretch | None]:
        """Yield what to train; None while that depends on what is being trained."""
        raise NotImplementedError

    def add(self, report: Report) -> None:
        """Take in what has happened."""


class ToTheEnd:
    """Every trial from its start to its end, in order."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = trials

    def __iter__(self) -> Iterator[Stretch | None]:
        return (Stretch(trial) for trial in self._trials)

    def add(self, report: Report) -> None:
        """Nothing depends on it."""


class BestModels:
    """Which models of a study are kept: of each task those of its best trials.

    Of trials with the same score the one that comes first in the plan is the better, so that which
    models are kept does not depend on which trial ended first.
    """

    def __init__(self, plan: Plan, tracker: Tracker) -> None:
        """Begin with what the store holds.

        Args:
            plan: the study.
            tracker: the store.

        Raises:
            SeedbedError: where the store cannot be read.
        """
        self._plan = plan
        self._count = plan.keep_best
        self._tracker = tracker
        self._place = {trial.id: place for place, trial in enumerate(plan.trials())}
        self._kept = self._stored()

    def _stored(self) -> dict[str, dict[str, float]]:
        """Return the score of each trial of the plan whose model the store has, by task and id."""
        kept: dict[str, dict[str, float]] = {task: {} for task in self._plan.tasks}
        for study in {grid.study for grid in self._plan.grids}:
            for trial in self._tracker.trials(study).values():
                if trial.model_step is None or trial.score is None:
                    continue
                if trial.trial_id in self._place:
                    kept[trial.task][trial.trial_id] = trial.score
        return kept

    def assignment(self, stretch: Stretch, work: WorkFolder, save_every: float) -> Assignment:
        """Return what to ask of a worker: a stretch of a trial, and what to keep of it.

        Args:
            stretch: the trial, and how far.
            work: where states are, and models on their way to the store.
            save_every: seconds between two savings of the state.
        """
        trial = stretch.trial
        scores = sorted(self._kept[trial.task].values(), reverse=True)
        is_full = 0 < self._count <= len(scores)
        return Assignment(
            trial,
            model=work.model(trial) if self._count else None,
            worth=scores[self._count - 1] if is_full else -math.inf,
            state=work.state(trial),
            save_every=save_every,
            until=stretch.until,
            is_last=stretch.is_last,
        )

    def add(self, trial: Trial, model: SavedModel) -> None:
        """Count a model that the store has been given, and drop those that it displaces."""
        self._kept[trial.task][trial.id] = model.score
        self._drop_displaced(trial.task)

    def heed_others(self) -> None:
        """Drop what is displaced by models of trials that other drivers have run meanwhile.

        Where the store is away it is left to the next driver.
        """
        if self._count:
            with suppress(SeedbedError):
                self._kept = self._stored()
                for task in self._kept:
                    self._drop_displaced(task)

    def _drop_displaced(self, task: str) -> None:
        kept = self._kept[task]
        ranked = sorted(kept, key=lambda id_: (-kept[id_], self._place[id_]))
        for displaced in ranked[self._count :]:
            del kept[displaced]
            self._tracker.drop_model(displaced)
