"""What happens during a trial, in the order in which it happens.

The training loop yields these; executors carry them; tracking writes them. They are plain data, so
that they cross process and machine borders.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finetune.contract import Status


@dataclass(frozen=True)
class Started:
    """A worker has begun a trial, or taken it up where it stood.

    What had happened by then in a trial that is taken up is told again, as it was and with the
    times that it had; so whoever listens from here on has heard all of the trial.

    Attributes:
        facts: what is known of a trial only where it runs, under the names of the contract's
            params: sizes of the data, number of steps, majority baseline.
        machine: device, threads and versions, under the names of the contract's tags.
        step: how many optimiser steps had been made: 0 for a trial that begins.
        time: seconds since the epoch, as for all events: when it happened, not when it was written.
    """

    facts: Mapping[str, int | float | str | None]
    machine: Mapping[str, str]
    step: int = 0
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Step:
    """An optimiser step was made.

    Attributes:
        step: its number, from 1.
        loss: the mean loss of its batch, before the step.
    """

    step: int
    loss: float
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Evaluation:
    """The model was evaluated on the validation set.

    Attributes:
        step: how many optimiser steps had been made.
        epoch: how many epochs of the training data had been seen, a fraction.
        loss: mean loss over the validation set.
        metrics: the task's metrics, each in its own range.
        score: the one among them that is the task's own.
        best_score: the highest score so far, this evaluation included.
        constant: whether one class was predicted for every example.
    """

    step: int
    epoch: float
    loss: float
    metrics: Mapping[str, float]
    score: float
    best_score: float
    constant: bool
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class SavedState:
    """The state of a trial was saved, so that it can be taken up from there.

    Attributes:
        step: how many optimiser steps had been made.
        error: why it could not be saved, in one line, the state saved before being kept; else None.
    """

    step: int
    error: str | None = None
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Paused:
    """The trial stands still, where it was meant to or because all are to stop.

    Attributes:
        step: how many optimiser steps had been made.
    """

    step: int
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class Lost:
    """The worker of a trial has died; another takes the trial up from the state last saved.

    Attributes:
        reason: how it died, in one line.
    """

    reason: str
    time: float = field(default_factory=time.time)


@dataclass(frozen=True)
class SavedModel:
    """The model of a trial at its best evaluation, written as transformers reads it.

    Attributes:
        folder: where it is.
        step: how many optimiser steps it had made.
        score: of that evaluation.
    """

    folder: Path
    step: int
    score: float


@dataclass(frozen=True)
class Ended:
    """The trial is over.

    Attributes:
        status: how it ended.
        error: for a failed trial, why, in one line; else None.
        model: the trial's best model; None where none was wanted, or the trial is not good enough.
        seconds: how long it was trained and evaluated, without pauses; None where that is lost.
    """

    status: Status
    error: str | None = None
    model: SavedModel | None = None
    seconds: float | None = None
    time: float = field(default_factory=time.time)


Event = Started | Step | Evaluation | SavedState | Paused | Lost | Ended
