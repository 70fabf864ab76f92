"""What an executor is, and what one worker does."""

import math
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from finetune import __version__, contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Event, SavedModel, Started
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Task

if TYPE_CHECKING:
    from finetune.model import EncodedSplit, Model


@dataclass(frozen=True)
class Report:
    """An event, and the trial in which it happened."""

    trial: Trial
    event: Event


@dataclass(frozen=True)
class Assignment:
    """A trial to run, and what is wanted of it besides its events.

    Attributes:
        trial: the trial.
        model: the folder to write the trial's best model to; None where none is wanted.
        worth: the score from which on the model is wanted.
    """

    trial: Trial
    model: Path | None = None
    worth: float = -math.inf


class Executor(Protocol):
    """Runs trials somewhere, and hands back what happens in them.

    Executors track nothing: the process that drives them does.
    """

    def run(self, assignments: Iterable[Assignment]) -> Iterator[Report]:
        """Run trials and yield their reports, those of one trial in order.

        An assignment is taken from the iterable only when there is a worker free for it, so that
        what is asked for can depend on how the trials before it ended. Every trial that is started
        ends with an `Ended` event, unless the caller stops listening. A trial that fails by itself
        is reported as failed, and the others go on.

        Raises:
            SeedbedError: where no trial could be run, such as for a model that cannot be loaded.
        """
        ...


@dataclass(frozen=True)
class Supplies:
    """What a worker needs besides trials, in a form that travels.

    Attributes:
        pretrained: the encoder of all trials.
        tasks: the tasks by name.
        device: such as `cpu` or `cuda:0`.
    """

    pretrained: Pretrained
    tasks: Mapping[str, Task]
    device: str


class Worker:
    """Runs one trial after another; loads the model and each task's data once.

    A trial depends on nothing that ran before it in the same worker.
    """

    def __init__(self, supplies: Supplies) -> None:
        import torch

        # A CPU worker computes with one thread: two processes of one thread do more trials than one
        # of two, and the numbers of a trial do not depend on how many run beside it.
        torch.set_num_threads(1)
        self._supplies = supplies
        self._device = torch.device(supplies.device)
        self._models: dict[int, Model] = {}
        self._data: dict[tuple[object, ...], tuple[EncodedSplit, EncodedSplit, Started]] = {}

    def run(self, assignment: Assignment) -> Iterator[Event]:
        """Run a trial from its start to its end and yield its events.

        Raises:
            SeedbedError: where the model or the data cannot be loaded.
        """
        from finetune.training import begin, save_best, train

        trial = assignment.trial
        task = self._supplies.tasks[trial.task]
        model = self._model(task.outputs)
        training, validation, started = self._load(trial, task, model)
        yield Started(started.facts, started.machine)
        keep = assignment.model is not None
        data = training, validation
        try:
            state = begin(trial, model, *data)
            status = yield from train(trial, model, state, *data, task.metric, keep_best=keep)
            saved = None
            if assignment.model and state.best and state.best.score >= assignment.worth:
                steps_per_epoch = trial.recipe.steps_per_epoch(len(training))
                saved = SavedModel(assignment.model, state.best.step, state.best.score)
                save_best(saved.folder, trial, model, state.best, task.labels, steps_per_epoch)
        except Exception as error:  # noqa: BLE001 — whatever it is, it is this trial's alone
            yield Ended(Status.FAILED, _one_line(error))
        else:
            yield Ended(status, model=saved)

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


def available_cores() -> int:
    """Return how many cores this process may use, which a container may limit."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def find_device(name: str = "auto") -> str:
    """Return the device to compute on: the one named, or the best there is.

    Raises:
        SeedbedError: where there is no such device.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SeedbedError(
            f"device {name}: cannot be used ({_one_line(error)}). `finetune doctor` shows what "
            "this machine has; leave --device out to take the best."
        ) from error
    return str(device)


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
