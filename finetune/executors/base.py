"""What an executor is: where trials run, whoever drives them."""

import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from finetune.events import Event
from finetune.pretrained import Pretrained
from finetune.study import Trial
from finetune.tasks import Task


@dataclass(frozen=True)
class Report:
    """An event, and the trial in which it happened."""

    trial: Trial
    event: Event


@dataclass(frozen=True)
class Assignment:
    """A trial to run, how far, and what is wanted of it besides its events.

    Attributes:
        trial: the trial.
        model: the folder to write the trial's best model to; None where none is wanted.
        worth: the score from which on the model is wanted.
        state: the file that keeps the trial's state: taken up from it where it is there, saved to
            it from time to time and when it pauses; None where the trial need not survive.
        save_every: seconds between two savings, at least.
        until: the optimiser step to stop at; None for the end.
        is_last: whether the trial is over at `until`, as stopped early, rather than paused.
    """

    trial: Trial
    model: Path | None = None
    worth: float = -math.inf
    state: Path | None = None
    save_every: float = 60.0
    until: int | None = None
    is_last: bool = False


class Executor(Protocol):
    """Runs trials somewhere, and hands back what happens in them.

    Executors track nothing: the process that drives them does.
    """

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        """Run trials and yield their reports, those of one trial in order.

        An assignment is taken from the iterable only when there is a worker free for it, so that
        what is asked for can depend on how the trials before it ended. None in its place says that
        there is nothing to do until another trial has paused or ended; then it is asked again.

        Every trial that is started ends with an `Ended` or a `Paused` event, unless the caller
        stops listening. A trial that fails by itself is reported as failed, and the others go on.
        Where a worker dies, its trial is taken up by another, a few times.

        Raises:
            SeedbedError: where no trial could be run, such as for a model that cannot be loaded or
                a disk that is full.
        """
        ...

    def stop(self) -> None:
        """Pause all trials, their states saved, and end `run`; may be called from anywhere."""
        ...


@dataclass(frozen=True)
class Supplies:
    """What every worker needs besides trials, in a form that travels.

    Attributes:
        pretrained: the encoder of all trials.
        tasks: the tasks by name.
    """

    pretrained: Pretrained
    tasks: Mapping[str, Task]
