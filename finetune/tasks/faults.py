"""All that is wrong with one file or definition, told at once."""

from finetune.errors import SeedbedError

SHOWN = 10
"""How many faults are spelt out; of the rest, only the number."""


class Faults:
    """Collects what is wrong with one thing, to raise it as one error.

    Attributes:
        where: what is faulty, as the user knows it: a file's path, a split of a data set.
        unit: what a fault's number counts there: `line` or `row`.
    """

    def __init__(self, where: str, *, unit: str = "line") -> None:
        self.where = where
        self.unit = unit
        self._found: list[tuple[int, str]] = []

    def add(self, what: str, *, number: int | None = None) -> None:
        """Note that `what` is wrong, at that line or row, or with the whole."""
        place = "" if number is None else f"{self.unit} {number}: "
        self._found.append((-1 if number is None else number, f"{place}{what}"))

    def __len__(self) -> int:
        return len(self._found)

    def check(self) -> None:
        """Go on if nothing is wrong.

        Raises:
            SeedbedError: naming the faults in the order of their lines, the first `SHOWN` in full.
        """
        if not self._found:
            return
        told = [what for _, what in sorted(self._found, key=lambda fault: fault[0])]
        if len(told) == 1:
            raise SeedbedError(f"{self.where}: {told[0]}.")
        rest = [f"… and {len(told) - SHOWN:,} more"] if len(told) > SHOWN else []
        lines = "\n".join(f"  {line}" for line in [*told[:SHOWN], *rest])
        raise SeedbedError(f"{self.where} has {len(told):,} faults:\n{lines}")


def listed(names: list[str] | tuple[str, ...], *, most: int = 12) -> str:
    """Return names as a user reads them: quoted, and cut short where they are many."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
