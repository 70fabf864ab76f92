"""How a task's files write its labels: classes by name or number, or values."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from finetune.tasks.faults import listed


class Labels(Protocol):
    """What the labels of a task may be, and what they mean."""

    @property
    def allowed(self) -> str:
        """What a label may be, for the user to read."""
        ...

    @property
    def meaning(self) -> tuple[object, ...]:
        """What the numbers of the labels mean: data read otherwise has another fingerprint."""
        ...

    def read(self, written: object) -> float | None:
        """Return the number of the class or the value that is written, or None if none is."""
        ...

    def array(self, labels: Sequence[float]) -> NDArray[np.int64] | NDArray[np.float64]:
        """Return labels that were read in the type of this kind of task."""
        ...


@dataclass(frozen=True)
class Classes:
    """The labels of a classification task.

    Attributes:
        written: what stands for each class, in the order of their numbers.
        by_number: whether a class may be written as its number too.
    """

    written: tuple[str, ...]
    by_number: bool = False

    @classmethod
    def named(cls, names: Iterable[object]) -> "Classes":
        """Return the classes of these names, which may be written as numbers if no name is one."""
        written = tuple(label_name(name) for name in names)
        return cls(written, by_number=not any(_is_integer(name) for name in written))

    @property
    def allowed(self) -> str:
        """The names of the classes, and their numbers where those will do."""
        numbers = f", or 0 to {len(self.written) - 1}" if self.by_number else ""
        return f"{listed(self.written)}{numbers}"

    @property
    def meaning(self) -> tuple[object, ...]:
        """The names of the classes."""
        return self.written

    def read(self, written: object) -> int | None:
        """Return the number of the class that is written, or None if it is none of these."""
        name = label_name(written)
        if name in self.written:
            return self.written.index(name)
        if self.by_number and _is_integer(name) and 0 <= int(name) < len(self.written):
            return int(name)
        return None

    def array(self, labels: Sequence[float]) -> NDArray[np.int64]:
        """Return the numbers of classes as int64[n]."""
        return np.asarray(labels, dtype=np.int64)


@dataclass(frozen=True)
class Values:
    """The labels of a regression task: finite numbers in [low, high]."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def allowed(self) -> str:
        """The range."""
        if math.isinf(self.low) and math.isinf(self.high):
            return "finite numbers"
        return f"numbers from {self.low:g} to {self.high:g}"

    @property
    def meaning(self) -> tuple[object, ...]:
        """Nothing: a value is its own meaning."""
        return ()

    def read(self, written: object) -> float | None:
        """Return the value that is written, or None if it is no number or out of range."""
        if isinstance(written, bool) or not isinstance(written, str | int | float):
            return None
        try:
            value = float(written)
        except (ValueError, OverflowError):
            return None
        return value if math.isfinite(value) and self.low <= value <= self.high else None

    def array(self, labels: Sequence[float]) -> NDArray[np.float64]:
        """Return values as float64[n]."""
        return np.asarray(labels, dtype=np.float64)


def label_name(written: object) -> str:
    """Return the name of the class that a cell, a JSON value or a study file writes.

    Blanks around it are left out; 1 and 1.0 are '1', and true is 'true'.
    """
    if isinstance(written, bool):
        return str(written).lower()
    if isinstance(written, float) and written.is_integer():
        return str(int(written))
    return str(written).strip()


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct names in the order of their classes: by number if all are, else by text.

    So the integers 0 to k−1 are the numbers of their own classes.
    """
    distinct = set(names)
    if all(_is_integer(name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def _is_integer(name: str) -> bool:
    return name.isascii() and name.removeprefix("-").isdigit()
