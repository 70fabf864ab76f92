"""How a study stands, from what the store says: of each task what was planned and what came of it.

The plan is that of the last `run`; what the store holds besides, from other seeds, recipes or data
under the same name, is told apart.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from finetune.contract import Status
from finetune.grid import Grid
from finetune.tracking import TrackedTrial


@dataclass(frozen=True)
class Standing:
    """How the trials of one task of a study stand.

    Attributes:
        grid: the trials planned.
        here: those of them that the store knows.
        beside: trials of the task that are not of the plan.
        abandoned: those of `here` that are noted as running though nobody runs them.
    """

    grid: Grid
    here: tuple[TrackedTrial, ...]
    beside: tuple[TrackedTrial, ...]
    abandoned: tuple[TrackedTrial, ...] = ()

    @property
    def planned(self) -> int:
        """Trials of the plan."""
        return len(self.grid.trials())

    @property
    def counts(self) -> Counter[Status]:
        """How many trials of the plan stand how; abandoned ones as interrupted."""
        counts = Counter(trial.status for trial in self.here)
        counts[Status.RUNNING] -= len(self.abandoned)
        counts[Status.INTERRUPTED] += len(self.abandoned)
        return counts

    @property
    def done(self) -> list[TrackedTrial]:
        """The trials of the plan that ran as far as they were meant to."""
        return [trial for trial in self.here if trial.status.is_done]

    @property
    def left(self) -> int:
        """Trials of the plan that are still to be run, interrupted ones among them."""
        counts = self.counts
        return self.planned - len(self.done) - counts[Status.FAILED] - counts[Status.RUNNING]

    @property
    def best(self) -> TrackedTrial | None:
        """The trial of the plan with the best score, among those that are done."""
        scored = [trial for trial in self.done if trial.score is not None]
        return max(scored, key=lambda trial: trial.score or 0.0, default=None)


def standings(
    grids: Sequence[Grid],
    tracked: Mapping[str, TrackedTrial],
    alive: Collection[str] | None = None,
) -> list[Standing]:
    """Return how the trials of each task stand.

    Args:
        grids: what was planned, one grid per task.
        tracked: what the store knows of the study, by trial id.
        alive: the ids of the trials whose drivers live; None where that is not asked.
    """
    found = []
    for grid in grids:
        planned = {trial.id for trial in grid.trials()}
        here = [trial for trial_id, trial in tracked.items() if trial_id in planned]
        beside = [t for t in tracked.values() if t.task == grid.task and t.trial_id not in planned]
        abandoned = [
            trial
            for trial in here
            if trial.status is Status.RUNNING and alive is not None and trial.trial_id not in alive
        ]
        found.append(Standing(grid, tuple(here), tuple(beside), tuple(abandoned)))
    return found


def seconds_left(study: Sequence[Standing]) -> float | None:
    """Estimate how long a study still takes, by the trials that are done; None without any.

    Each task by the mean of its own trials, or of all where it has none, shared among as many
    workers as are at work now; where none are, among as many as were on average while there were
    any. Pauses between two runs of the study count for nothing. Of a trial that runs half is taken
    to be left.
    """
    took = {each.grid.task: [t.seconds for t in each.done if t.seconds] for each in study}
    everything = [seconds for task in took.values() for seconds in task]
    if not everything:
        return None
    work = sum(
        (each.left + each.counts[Status.RUNNING] / 2) * fmean(took[each.grid.task] or everything)
        for each in study
    )
    running = sum(each.counts[Status.RUNNING] for each in study)
    spans = [(t.started, t.started + t.seconds) for s in study for t in s.done if t.seconds]
    return work / (running or sum(everything) / _covered(spans))


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return how many seconds at least one of some spans of time covers."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(end - max(start, until), 0.0)
        until = max(until, end)
    return covered
