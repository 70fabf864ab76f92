"""Which trials of each grid of seeds a release holds, and which it lacks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.warehouse import Warehouse
from finetune.contract import Status
from release.counts import Recorded


@dataclass(frozen=True)
class Coverage:
    """The trials of one study's task against the grid that its seeds span.

    Attributes:
        study: its name.
        task: its name.
        wi_seeds: how many WI seeds occur.
        do_seeds: how many DO seeds occur.
        statuses: per status that occurs how many trials have it, in the contract's order.
        holes: the pairs (WI seed, DO seed) for which no trial is done: none was run, or it failed,
            or is still running. Sorted.
    """

    study: str
    task: str
    wi_seeds: int
    do_seeds: int
    statuses: dict[str, int]
    holes: tuple[tuple[int, int], ...]

    @property
    def trials(self) -> int:
        """How many trials there are, whatever their status."""
        return sum(self.statuses.values())

    @property
    def grid(self) -> int:
        """How many pairs of a WI and a DO seed there are."""
        return self.wi_seeds * self.do_seeds

    @property
    def title(self) -> str:
        """The study and task, as a sentence names them."""
        return f"{self.study}, {self.task}"

    def shortfalls(self) -> list[str]:
        """Return, a sentence each, what a user of the data must know is missing or unlike."""
        sentences = []
        if self.holes:
            pairs = ", ".join(f"({wi}, {do})" for wi, do in self.holes[:_PAIRS_NAMED])
            more = len(self.holes) - _PAIRS_NAMED
            sentences.append(
                f"{self.title}: of the {self.grid} pairs of WI and DO seed, {len(self.holes)} "
                f"{'has' if len(self.holes) == 1 else 'have'} no trial that is done: "
                f"{pairs}{f' and {more} more' if more > 0 else ''}."
            )
        sentences += [
            f"{self.title}: {count} {'trial' if count == 1 else 'trials'} {what}."
            for status, what in _UNLIKE.items()
            if (count := self.statuses.get(status, 0))
        ]
        return sentences


_PAIRS_NAMED = 12
"""Enough to see a pattern; `trials` has them all."""

_UNLIKE = {
    Status.DIVERGED: "diverged; losses may be NaN or infinite",
    Status.STOPPED_EARLY: "stopped early on purpose; curves end there",
    Status.FAILED: "failed; curves end there",
    Status.INTERRUPTED: "interrupted; curves end there",
    Status.RUNNING: "still running when exported; curves end there",
}
"""What tells trials of each status from finished ones."""


TRIALS_OF_GRIDS = "select study, task, wi_seed, do_seed, status from trials order by all"
"""Asks for what `coverage_of` takes."""


def coverage(warehouse: Warehouse, recorded: Sequence[Recorded] = ()) -> tuple[Coverage, ...]:
    """Return the coverage of every study's task in a warehouse, by study and task.

    Args:
        warehouse: the trials.
        recorded: what was planned, where that is known: a seed of which no trial was begun is then
            a hole too.
    """
    planned = {(each.study, task): seeds for each in recorded for task, seeds in each.grids.items()}
    return coverage_of(warehouse.query(TRIALS_OF_GRIDS).to_pylist(), planned)


def coverage_of(
    rows: Iterable[Mapping[str, Any]],
    planned: Mapping[tuple[str, str], tuple[tuple[int, ...], tuple[int, ...]]] | None = None,
) -> tuple[Coverage, ...]:
    """Return the coverage of every study's task.

    Args:
        rows: of `trials`, those columns that `TRIALS_OF_GRIDS` asks for, sorted by all of them.
        planned: per study and task the WI and the DO seeds of its grid, besides those that occur.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["study"], row["task"]), []).append(row)
    return tuple(
        _coverage(study, task, rows, (planned or {}).get((study, task), ((), ())))
        for (study, task), rows in groups.items()
    )


def _coverage(
    study: str,
    task: str,
    rows: list[Mapping[str, Any]],
    planned: tuple[tuple[int, ...], tuple[int, ...]],
) -> Coverage:
    wi_seeds = sorted({row["wi_seed"] for row in rows}.union(planned[0]))
    do_seeds = sorted({row["do_seed"] for row in rows}.union(planned[1]))
    done = {(row["wi_seed"], row["do_seed"]) for row in rows if Status(row["status"]).is_done}
    counts = Counter(row["status"] for row in rows)
    return Coverage(
        study=study,
        task=task,
        wi_seeds=len(wi_seeds),
        do_seeds=len(do_seeds),
        statuses={status: counts[status] for status in Status if counts[status]},
        holes=tuple((wi, do) for wi in wi_seeds for do in do_seeds if (wi, do) not in done),
    )
