"""Shards: a study divided among several commands that know nothing of one another."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, TypeVar

from finetune.errors import SeedbedError

_Trial = TypeVar("_Trial")


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a plan.

    Attributes:
        number: which, from 1.
        count: of how many.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `3/16`.

        Raises:
            SeedbedError: where it is nothing of the kind.
        """
        match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise SeedbedError(
                f"--shard {text}: write it as 3/16, the third of sixteen parts; the first is 1/16."
            )
        return cls(int(match[1]), int(match[2]))

    def of(self, planned: Iterable[_Trial]) -> list[_Trial]:
        """Return the part of a plan, which must be whole: what is done belongs to it too.

        Every trial is in exactly one part. Trials are dealt like cards, so that each part has its
        share of every task.
        """
        return [trial for place, trial in enumerate(planned) if place % self.count == self._place]

    @property
    def _place(self) -> int:
        return self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
