"""Random choices made from the raw bits of a keyed generator.

NumPy promises the raw bits of PCG64 and the mixing of `SeedSequence` for ever, but lets the methods
of `Generator` change between versions. Text that has to be the same everywhere is therefore drawn
from the bits alone.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from numpy.random import PCG64, SeedSequence

Item = TypeVar("Item")

_BLOCK = 4096
"""Raw draws fetched at once; a call of its own for each costs more than the draw."""


class Dice:
    """A stream of choices, the same for the same key on every machine and version.

    Args:
        key: words and numbers that name the stream; streams of different keys are independent.
    """

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256(repr(key).encode()).digest()
        self._bits = PCG64(SeedSequence(int.from_bytes(digest, "big")))
        self._raw: list[int] = []

    def below(self, bound: int) -> int:
        """Return an integer from 0 to `bound` − 1, each equally likely (to one part in 2⁶⁴/bound).

        Args:
            bound: at least 1.
        """
        if not self._raw:
            self._raw = self._bits.random_raw(_BLOCK).tolist()
        return (self._raw.pop() * bound) >> 64

    def chance(self, wins: int, of: int) -> bool:
        """Return true with probability `wins / of`."""
        return self.below(of) < wins

    def choice(self, items: Sequence[Item]) -> Item:
        """Return one of `items`, each equally likely."""
        return items[self.below(len(items))]

    def permutation(self, size: int) -> list[int]:
        """Return the integers from 0 to `size` − 1 in random order (Fisher and Yates)."""
        order = list(range(size))
        for last in range(size - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
