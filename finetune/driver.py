"""The driving process: takes a plan, runs what is left of it, and has it tracked."""

from collections.abc import Iterator, Sequence

from finetune.contract import Status
from finetune.executors import Executor, Report
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
    prepared = False
    try:
        for report in executor.run(trials):
            if not prepared:
                # Only now that a worker has begun, so that a model that cannot be loaded leaves
                # nothing in the store.
                for grid in plan.grids:
                    tracker.prepare(grid)
                prepared = True
            tracker.record(report.trial, report.event)
            yield report
    finally:
        tracker.close()
    if prepared:
        tracker.analyze()
