"""The driving process: takes a plan, runs what is left of it, and has it tracked."""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from finetune.contract import Status
from finetune.events import Ended, SavedModel
from finetune.executors import Assignment, Executor, Report
from finetune.grid import Plan
from finetune.study import Trial
from finetune.tracking import TrackedTrial, Tracker


def trials_left(plan: Plan, tracker: Tracker, *, retry_failed: bool = False) -> list[Trial]:
    """Return the trials of a plan that the store does not hold as done.

    Args:
        plan: the study.
        tracker: the store.
        retry_failed: whether trials that failed by themselves are run again; those that were
            interrupted always are.

    Raises:
        SeedbedError: where the store cannot be read.
    """
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
    plan: Plan, trials: Sequence[Trial], executor: Executor, tracker: Tracker
) -> Iterator[Report]:
    """Run trials, write what happens to the store, and yield it as it happens.

    However the caller or an error ends this, all that happened is written, and trials that did not
    end are noted as interrupted.

    Raises:
        SeedbedError: where the data of a task has faults, the store cannot be written, or no trial
            could be run.
    """
    for name in {trial.task for trial in trials}:
        # Workers read the data too; a fault in it is better known now than after hours.
        plan.tasks[name].source.read()
    best = BestModels.of(plan, tracker)
    prepared = False
    try:
        with TemporaryDirectory(prefix="seedbed-models-") as folder:
            assignments = (best.assignment(trial, Path(folder)) for trial in trials)
            for report in executor.run(assignments):
                if not prepared:
                    # Only now that a worker has begun, so that a model that cannot be loaded
                    # leaves nothing in the store.
                    for grid in plan.grids:
                        tracker.prepare(grid)
                    prepared = True
                tracker.record(report.trial, report.event)
                if isinstance(report.event, Ended) and report.event.model is not None:
                    best.add(report.trial, report.event.model)
                    shutil.rmtree(report.event.model.folder)
                yield report
    finally:
        tracker.close()
    if prepared:
        tracker.analyze()


class BestModels:
    """Which models of a study are kept: of each task those of its best trials.

    Of trials with the same score the one that comes first in the plan is the better, so that which
    models are kept does not depend on which trial ended first.
    """

    def __init__(self, plan: Plan, tracker: Tracker, kept: Mapping[str, float]) -> None:
        """Begin with what is kept already.

        Args:
            plan: the study.
            tracker: the store.
            kept: the score of each trial whose model is kept, by trial id.
        """
        self._count = plan.keep_best
        self._tracker = tracker
        self._place = {trial.id: place for place, trial in enumerate(plan.trials())}
        self._kept: dict[str, dict[str, float]] = {task: {} for task in plan.tasks}
        for trial in plan.trials():
            if trial.id in kept:
                self._kept[trial.task][trial.id] = kept[trial.id]

    @classmethod
    def of(cls, plan: Plan, tracker: Tracker) -> Self:
        """Begin with what the store holds."""
        kept = {
            trial.trial_id: trial.score
            for study in {grid.study for grid in plan.grids}
            for trial in tracker.trials(study).values()
            if trial.model_step is not None and trial.score is not None
        }
        return cls(plan, tracker, kept)

    def assignment(self, trial: Trial, folder: Path) -> Assignment:
        """Return what to ask of a worker: the trial, and its model where that would be kept.

        Args:
            trial: the trial.
            folder: where models are put on their way to the store.
        """
        if not self._count:
            return Assignment(trial)
        scores = sorted(self._kept[trial.task].values(), reverse=True)
        worth = scores[self._count - 1] if len(scores) >= self._count else -math.inf
        return Assignment(trial, folder / trial.id, worth)

    def add(self, trial: Trial, model: SavedModel) -> None:
        """Count a model that the store has been given, and drop those that it displaces."""
        kept = self._kept[trial.task]
        kept[trial.id] = model.score
        ranked = sorted(kept, key=lambda id_: (-kept[id_], self._place[id_]))
        tracked = self._tracker.trials(trial.study)
        for displaced in ranked[self._count :]:
            del kept[displaced]
            self._tracker.drop_model(tracked[displaced].run_id)
