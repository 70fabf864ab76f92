"""What one worker does: take up a trial, train it, and leave it so that another can go on."""

import errno
import platform
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune import __version__, contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Event, Paused, SavedModel, SavedState, Started
from finetune.executors.base import Assignment, Supplies
from finetune.study import Trial
from finetune.tasks import Task

if TYPE_CHECKING:
    from finetune.model import EncodedSplit, Model
    from finetune.training import TrialState

_TRAINED_PER_SAVED = 20
"""A trial trains at least so many times as long as it takes to save its state: 5 % at most."""


class Worker:
    """Runs one trial after another; loads the model and each task's data once.

    A trial depends on nothing that ran before it in the same worker.
    """

    def __init__(self, supplies: Supplies, device: str = "cpu") -> None:
        """Prepare; nothing is loaded before the first trial.

        Args:
            supplies: what the trials need.
            device: such as `cpu` or `cuda:0`.
        """
        import torch

        # A CPU worker computes with one thread: two processes of one thread do more trials than one
        # of two, and the numbers of a trial do not depend on how many run beside it.
        torch.set_num_threads(1)
        self._supplies = supplies
        self._device = torch.device(device)
        self._models: dict[int, Model] = {}
        self._data: dict[tuple[object, ...], tuple[EncodedSplit, EncodedSplit, Started]] = {}

    def run(
        self, assignment: Assignment, is_stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Event]:
        """Run a trial as far as it is meant to go and yield its events.

        Args:
            assignment: the trial, how far, and what is wanted of it.
            is_stopped: asked after each event; the trial pauses when it says so.

        Raises:
            SeedbedError: where the model or the data cannot be loaded, or the disk is full.
        """
        trial = assignment.trial
        task = self._supplies.tasks[trial.task]
        model = self._model(task.outputs)
        training, validation, started = self._load(trial, task, model)
        sitting = _Sitting(assignment, model, task, training, validation)
        try:
            state = sitting.take_up()
            yield Started(started.facts, started.machine, state.step)
            yield from tuple(state.course)
            status = yield from sitting.train(state, is_stopped)
            if status is None:
                yield from sitting.pause(state)
            else:
                yield Ended(status, model=sitting.save_model(state), seconds=state.seconds)
        except SeedbedError:
            raise
        except Exception as error:
            if _is_full_disk(error):
                raise SeedbedError(
                    f"trial {trial.name}: {one_line(error)}. Make room on the disk, and the same "
                    "command goes on from here."
                ) from error
            # Whatever else it is, it is this trial's alone.
            yield Ended(Status.FAILED, one_line(error))

    def _model(self, outputs: int) -> "Model":
        from finetune.model import Model

        if outputs not in self._models:
            self._models[outputs] = Model(self._supplies.pretrained, outputs, self._device)
        return self._models[outputs]

    def _load(
        self, trial: Trial, task: Task, model: "Model"
    ) -> tuple["EncodedSplit", "EncodedSplit", Started]:
        from finetune.tasks.metrics import majority_baseline

        length = trial.recipe.max_length
        key = (trial.task, trial.train_limit, trial.validation_limit, trial.recipe)
        if key not in self._data:
            data = task.source.read().limited(trial.train_limit, trial.validation_limit)
            steps = trial.recipe.steps_per_epoch(len(data.train))
            facts: dict[str, int | float | str | None] = {
                "metric": task.metric,
                "labels": task.outputs,
                "train_examples": len(data.train),
                "validation_examples": len(data.validation),
                "steps_per_epoch": steps,
                "total_steps": steps * trial.recipe.epochs,
                "majority_baseline": majority_baseline(
                    task.metric, data.train.labels, data.validation.labels
                ),
            }
            self._data[key] = (
                model.encode(data.train, length),
                model.encode(data.validation, length),
                Started(facts, self._machine()),
            )
        return self._data[key]

    def _machine(self) -> dict[str, str]:
        import torch
        import transformers

        on_gpu = self._device.type == "cuda"
        device = torch.cuda.get_device_name(self._device) if on_gpu else self._device.type
        return {
            contract.TAG_DEVICE: device,
            contract.TAG_THREADS: str(torch.get_num_threads()),
            contract.TAG_SEEDBED_VERSION: __version__,
            contract.TAG_TORCH_VERSION: torch.__version__,
            contract.TAG_TRANSFORMERS_VERSION: transformers.__version__,
            contract.TAG_PYTHON_VERSION: platform.python_version(),
        }


@dataclass
class _Sitting:
    """A worker at a trial, from where it is taken up to where it is left."""

    assignment: Assignment
    model: "Model"
    task: Task
    training: "EncodedSplit"
    validation: "EncodedSplit"
    saved_step: int = 0

    def take_up(self) -> "TrialState":
        """Bring the model to where the trial was left, or to its start."""
        from finetune.training import begin, load_state

        path, trial = self.assignment.state, self.assignment.trial
        data = self.model, self.training, self.validation
        if path is not None and path.exists():
            try:
                state = load_state(path, trial, *data)
            except SeedbedError:
                # A state that cannot be read costs time, and changes no number.
                return begin(trial, *data)
            if self._has_what_is_wanted(state):
                self.saved_step = state.step
                return state
        return begin(trial, *data)

    def _has_what_is_wanted(self, state: "TrialState") -> bool:
        """Whether a state has kept the best model, where that is wanted now."""
        if self.assignment.model is None or state.evaluation is None:
            return True
        return state.best is not None and state.best.score == state.evaluation.best_score

    def train(
        self, state: "TrialState", is_stopped: Callable[[], bool]
    ) -> Generator[Event, None, Status | None]:
        """Train as far as is meant, saving the state now and then; return how the trial ended."""
        from finetune.training import train

        assignment = self.assignment
        events = train(
            assignment.trial,
            self.model,
            state,
            self.training,
            self.validation,
            self.task.metric,
            keep_best=assignment.model is not None,
            until=assignment.until,
        )
        due = time.monotonic() + assignment.save_every
        while not is_stopped():
            began = time.monotonic()
            try:
                event = next(events)
            except StopIteration as end:
                status: Status | None = end.value
                return Status.STOPPED_EARLY if status is None and assignment.is_last else status
            finally:
                state.seconds += time.monotonic() - began
            yield event
            began = time.monotonic()
            if assignment.state is not None and began >= due:
                yield self._save_if_there_is_room(state)
                ended = time.monotonic()
                due = ended + max(assignment.save_every, _TRAINED_PER_SAVED * (ended - began))
        return None

    def pause(self, state: "TrialState") -> Iterator[Event]:
        """Leave the trial where it stands."""
        if self.assignment.state is not None and state.step > self.saved_step:
            yield self._save(state)
        yield Paused(state.step)

    def save_model(self, state: "TrialState") -> SavedModel | None:
        """Write the best model of a trial that is over, where it is wanted."""
        from finetune.training import save_best

        folder, best, trial = self.assignment.model, state.best, self.assignment.trial
        if folder is None or best is None or best.score < self.assignment.worth:
            return None
        steps_per_epoch = trial.recipe.steps_per_epoch(len(self.training))
        save_best(folder, trial, self.model, best, self.task.labels, steps_per_epoch)
        return SavedModel(folder, best.step, best.score)

    def _save_if_there_is_room(self, state: "TrialState") -> SavedState:
        try:
            return self._save(state)
        except Exception as error:
            if not _is_full_disk(error):
                raise
            return SavedState(state.step, one_line(error))

    def _save(self, state: "TrialState") -> SavedState:
        from finetune.training import save_state

        assert self.assignment.state is not None
        save_state(self.assignment.state, self.assignment.trial, self.model, state)
        self.saved_step = state.step
        return SavedState(state.step)


def _is_full_disk(error: Exception) -> bool:
    """Whether something could not be written for want of room; safetensors says so in words."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return type(error).__name__ == "SafetensorError" and f"os error {errno.ENOSPC}" in str(error)


def one_line(error: BaseException) -> str:
    """Return an error's type and the first line of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
