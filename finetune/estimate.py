"""What a study will take: optimiser steps, time and disk, known before any trial is run.

The time is measured: on this machine, as many workers as the study would have each train some steps
of a trial of each task and evaluate it, all at once, so that they are as much in each other's way
as in the study.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from statistics import fmean
from typing import TYPE_CHECKING

from finetune.events import Step
from finetune.executors.base import Supplies
from finetune.study import Trial

if TYPE_CHECKING:
    import torch

_STEPS = 3, 30
"""Steps timed, at least and at most, after one to warm up."""

_SECONDS = 2.0
"""Seconds of steps timed, if they are not too many."""

_EXAMPLES = 500
"""Validation examples evaluated at most; the time is scaled up to all."""

ROW_BYTES = 270
"""Bytes of a metric in MLflow's SQLite store with its indexes: 1.33 GB for 4.97 million."""


@dataclass(frozen=True)
class Measured:
    """What one worker found of trials of a task.

    Attributes:
        steps: optimiser steps of a trial.
        evaluations: of a trial.
        step_seconds: of an optimiser step.
        evaluation_seconds: of an evaluation on the whole validation set.
        load_seconds: once per worker: of the model, the data and its tokens.
        model_bytes: of a model that is kept.
        state_bytes: of the state of a trial under way.
    """

    steps: int
    evaluations: int
    step_seconds: float
    evaluation_seconds: float
    load_seconds: float
    model_bytes: int
    state_bytes: int

    @property
    def trial_seconds(self) -> float:
        """Seconds of a whole trial."""
        return self.steps * self.step_seconds + self.evaluations * self.evaluation_seconds


@dataclass(frozen=True)
class TaskEstimate:
    """What the trials of a task will take.

    Attributes:
        task: its name.
        planned: trials of the plan.
        left: those of them that are not done.
        measured: of one of them, over all workers on average.
    """

    task: str
    planned: int
    left: int
    measured: Measured

    @property
    def seconds(self) -> float:
        """Seconds of one worker for all that are left."""
        return self.left * self.measured.trial_seconds


@dataclass(frozen=True)
class Estimate:
    """What a study will take.

    Attributes:
        tasks: task by task.
        workers: how many at once.
        keep_best: of how many trials of each task the model is kept.
    """

    tasks: tuple[TaskEstimate, ...]
    workers: int
    keep_best: int

    @property
    def trials(self) -> int:
        """Trials left."""
        return sum(task.left for task in self.tasks)

    @property
    def steps(self) -> int:
        """Optimiser steps left."""
        return sum(task.left * task.measured.steps for task in self.tasks)

    @property
    def seconds(self) -> float:
        """From the start to the end, loading included.

        No less than the longest trial, however many workers there are.
        """
        longest = max((t.measured.trial_seconds for t in self.tasks if t.left), default=0.0)
        shared = sum(task.seconds for task in self.tasks) / self.workers
        loading = sum(task.measured.load_seconds for task in self.tasks if task.left)
        return loading + max(shared, longest) if self.trials else 0.0

    @property
    def model_bytes(self) -> int:
        """Of the models kept at the end."""
        return sum(
            min(self.keep_best, task.planned) * task.measured.model_bytes for task in self.tasks
        )

    @property
    def state_bytes(self) -> int:
        """Of the states of trials under way, at most."""
        most = max((task.measured.state_bytes for task in self.tasks if task.left), default=0)
        return min(self.workers, self.trials) * most

    @property
    def metrics(self) -> int:
        """Metrics that will be tracked: one a step, and at each evaluation five or more."""
        return self.steps + sum(t.left * t.measured.evaluations * 5 for t in self.tasks)

    @property
    def metrics_bytes(self) -> int:
        """Of the metrics in the tracking store."""
        return self.metrics * ROW_BYTES


def estimate(
    planned: Iterable[Trial],
    left: Iterable[Trial],
    supplies: Supplies,
    devices: Sequence[str],
    keep_best: int,
) -> Estimate:
    """Measure what the trials of a plan that are left will take; nothing of it is kept.

    Args:
        planned: the trials of the plan.
        left: those that are to be run.
        supplies: what workers need.
        devices: that of each worker.
        keep_best: of how many trials of each task the model is kept.

    Raises:
        SeedbedError: where the model or the data of a task cannot be loaded.
    """
    counts = _by_task(planned)
    to_run = _by_task(left)
    with ProcessPoolExecutor(len(devices), mp_context=get_context("spawn")) as pool:
        tasks = []
        for task, trials in counts.items():
            trial = (to_run.get(task) or trials)[0]
            found = [
                pool.submit(measure, trial, supplies, device, keep_best=keep_best > 0)
                for device in devices
            ]
            measured = _mean([each.result() for each in found])
            tasks.append(TaskEstimate(task, len(trials), len(to_run.get(task, ())), measured))
    return Estimate(tuple(tasks), len(devices), keep_best)


def measure(trial: Trial, supplies: Supplies, device: str, *, keep_best: bool) -> Measured:
    """Train some steps of a trial and evaluate it, as a worker does, and time it.

    Args:
        trial: the trial.
        supplies: with its model and task.
        device: such as `cpu` or `cuda:0`.
        keep_best: whether a worker would keep the best model.

    Raises:
        SeedbedError: where the model or the data cannot be loaded.
    """
    import torch

    from finetune.model import Model
    from finetune.training import begin, evaluate, train

    torch.set_num_threads(1)
    began = time.perf_counter()
    task, recipe = supplies.tasks[trial.task], trial.recipe
    model = Model(supplies.pretrained, task.outputs, torch.device(device))
    model_bytes = _bytes(model.module.state_dict().values())
    data = task.source.read().limited(trial.train_limit, trial.validation_limit)
    training, validation = (
        model.encode(split, recipe.max_length) for split in (data.train, data.validation)
    )
    sample = model.encode(data.validation.limited(_EXAMPLES), recipe.max_length)
    state = begin(trial, model, training, validation)
    loaded = time.perf_counter()

    step_seconds = _time_steps(train(trial, model, state, training, sample, task.metric))
    # The second evaluation: the trial's first has warmed up.
    begin_evaluation = time.perf_counter()
    evaluate(model, sample, task.metric, recipe, state.step, 0.0)
    evaluated = time.perf_counter() - begin_evaluation

    steps_per_epoch = recipe.steps_per_epoch(len(training))
    weights = _bytes(model.module.state_dict().values())
    moments = 2 * _bytes(p for p in model.module.parameters() if p.requires_grad)
    return Measured(
        steps=steps_per_epoch * recipe.epochs,
        evaluations=len(recipe.evaluation_steps(steps_per_epoch)),
        step_seconds=step_seconds,
        evaluation_seconds=evaluated * len(validation) / len(sample),
        load_seconds=loaded - began,
        model_bytes=model_bytes,
        state_bytes=weights * (2 if keep_best else 1) + moments,
    )


def _time_steps(events: Iterable[object]) -> float:
    """Return the seconds of an optimiser step; between two of them there may be an evaluation."""
    seconds: list[float] = []
    last = None
    for event in events:
        now = time.perf_counter()
        if isinstance(event, Step) and last is not None:
            seconds.append(now - last)
        if len(seconds) > _STEPS[1] or (len(seconds) > _STEPS[0] and sum(seconds) >= _SECONDS):
            break
        last = time.perf_counter()
    # The first has warmed up; where the trial has but one step, it is all there is.
    return fmean(seconds[1:] or seconds)


def _bytes(tensors: "Iterable[torch.Tensor]") -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _by_task(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.task, []).append(trial)
    return found


def _mean(found: Sequence[Measured]) -> Measured:
    return replace(
        found[0],
        step_seconds=fmean(each.step_seconds for each in found),
        evaluation_seconds=fmean(each.evaluation_seconds for each in found),
        load_seconds=fmean(each.load_seconds for each in found),
    )
