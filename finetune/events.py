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
    """A trial is about to make its first evaluation.

    Attributes:
        facts: what is known of a trial only where it runs, under the names of the contract's
            params: sizes of the data, number of steps, majority baseline.
        machine: device, threads and versions, under the names of the contract's tags.
        time: seconds since the epoch, as for all events: when it happened, not when it was written.
    """

    facts: Mapping[str, int | float | str | None]
    machine: Mapping[str, str]
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
    """

    status: Status
    error: str | None = None
    model: SavedModel | None = None
    time: float = field(default_factory=time.time)


Event = Started | Step | Evaluation | Ended
