"""A task: a labelled data set with its metric."""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from finetune.seeds import subset

Texts = tuple[str, ...]
"""The one or two texts of an example."""


@dataclass(frozen=True)
class Split:
    """The examples of one split.

    Attributes:
        texts: one entry per example, each of one or two texts.
        labels: per example its class, int64 in [0, classes), or its value, float64.
    """

    texts: tuple[Texts, ...]
    labels: NDArray[np.int64] | NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.texts)

    def limited(self, size: int | None) -> "Split":
        """Return `size` of the examples, the same ones always; all where that is None or more."""
        if size is None or size >= len(self):
            return self
        chosen = subset(len(self), size)
        return Split(tuple(self.texts[i] for i in chosen), self.labels[chosen])


@dataclass(frozen=True)
class TaskData:
    """What a task's source yields: the split trained on and the split validated on."""

    train: Split
    validation: Split

    def limited(self, train: int | None, validation: int | None) -> "TaskData":
        """Return at most so many examples of each split; see `Split.limited`."""
        return TaskData(self.train.limited(train), self.validation.limited(validation))


class Source(Protocol):
    """Where the examples of a task come from."""

    def fingerprint(self) -> str:
        """Return what tells this data from any other, cheaply: a hash or a Hub revision.

        Raises:
            SeedbedError: where the data is not there.
        """
        ...

    def read(self) -> TaskData:
        """Read and check the examples.

        Raises:
            SeedbedError: where the data is not there or is not what the task needs; it names the
                file, the line, what was found and what is allowed.
        """
        ...


@dataclass(frozen=True)
class Task:
    """A labelled data set with its metric.

    Attributes:
        name: as study files and commands call it, `[a-z0-9_]+`.
        title: as tables and figures call it.
        description: one sentence.
        kind: what is predicted.
        labels: the names of the classes in the order of their numbers; empty for regression.
        metric: the task's own metric, one of `finetune.contract.TASK_METRICS`: its score.
        source: where the examples come from.
    """

    name: str
    title: str
    description: str
    kind: Literal["classification", "regression"]
    labels: tuple[str, ...]
    metric: str
    source: Source

    @property
    def outputs(self) -> int:
        """How many outputs the head has: one per class, or one."""
        return len(self.labels) or 1
