"""What a run is, where only its name tells: `rte-wi3-do4` is of task rte, WI seed 3, DO seed 4.

Two places have no more than names. Many trainers write the seeds into the name of a run and nowhere
else; and the CSV file of a panel of W&B is a column for each run, headed `rte-wi3-do4 -
eval/accuracy`, with two more for the extremes of what was averaged, `…__MIN` and `…__MAX`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from string import Formatter
from typing import Final

from finetune.errors import SeedbedError

Lines = Sequence[tuple[str, Mapping[str, str]]]
"""Where each row stands, for messages, and its cells by column."""

NAME: Final = "Name"
"""The column that has the names of runs in W&B's table of runs."""

_NAMES: Final = ("name", "run_name", "run name", "tags.mlflow.runname")
"""What W&B and MLflow call that column, in small letters."""

_BETWEEN: Final = " - "
"""What W&B writes between a run and its metric at the head of a column."""

_OWN_STEP: Final = "_step"
"""W&B's count of steps; a panel over another one has it among its metrics."""


# ── A panel of W&B ───────────────────────────────────────────────────────────────────────────────
def is_panel(header: Sequence[str]) -> bool:
    """Whether these are the columns of a panel: its x-axis, then a run and metric each."""
    return len(header) > 1 and all(_BETWEEN in name for name in header[1:])


def unfolded(header: Sequence[str], lines: Lines) -> tuple[list[str], Lines]:
    """Return a panel as a table with a row for each run at each point of the x-axis.

    Its columns are the x-axis, `Name` and the metrics. Where a run has nothing there is no row; the
    extremes that W&B averaged between, `__MIN` and `__MAX`, are left.
    """
    axis, *others = header
    of_runs: dict[str, dict[str, str]] = {}  # by run its columns by metric
    for column in others:
        run, _, metric = column.rpartition(_BETWEEN)
        if not metric.endswith(("__MIN", "__MAX")) and (metric, axis) != (_OWN_STEP, "Step"):
            of_runs.setdefault(run, {})[metric] = column
    metrics = list(dict.fromkeys(metric for columns in of_runs.values() for metric in columns))
    rows = []
    for where, cells in lines:
        for run, columns in of_runs.items():
            values = {metric: cells[columns[metric]] for metric in columns}
            if any(values.values()):
                row = {axis: cells[axis], NAME: run} | dict.fromkeys(metrics, "") | values
                rows.append((f"{where}, {run}", row))
    return [axis, NAME, *metrics], rows


# ── Names ────────────────────────────────────────────────────────────────────────────────────────
def name_column(header: Sequence[str]) -> str | None:
    """Return the column that has the names of runs; None where there is none."""
    return next((column for column in header if column.strip().lower() in _NAMES), None)


class RunNames:
    """How runs are named.

    Args:
        pattern: a name with fields in braces in place of what differs, such as
            `{task}-wi{wi_seed}-do{do_seed}`. What stands in for one reaches as far as it must and
            no further; `{_}` is for what tells nothing.
        known: the fields there are.

    Attributes:
        fields: those that the names tell.

    Raises:
        SeedbedError: where it has no field, one twice, one that is not known, or braces that do
            not pair.
    """

    def __init__(self, pattern: str, known: Collection[str]) -> None:
        self.pattern = pattern
        try:
            parts = list(Formatter().parse(pattern))
        except ValueError as error:
            raise SeedbedError(f"--names {pattern}: {error}. {_EXAMPLE}") from None
        fields = [field for _, field, _, _ in parts if field is not None]
        self.fields = tuple(field for field in fields if field != _ANYTHING)
        if wrong := [field for field in self.fields if field not in known]:
            raise SeedbedError(f"--names {pattern}: there is no field {wrong[0]!r}. {_EXAMPLE}")
        if not self.fields or len(set(self.fields)) < len(self.fields):
            fault = "it has one field twice" if self.fields else "it has no field in braces"
            raise SeedbedError(f"--names {pattern}: {fault}. {_EXAMPLE}")
        self._names = re.compile(
            "".join(
                re.escape(text) + ("" if field is None else _stands_in(field))
                for text, field, _, _ in parts
            )
        )

    def told(self, name: str) -> dict[str, str] | None:
        """Return what a name tells, by field; None where it is not of this pattern."""
        match = self._names.fullmatch(name.strip())
        return None if match is None else {field: match[field] for field in self.fields}


def _stands_in(field: str) -> str:
    return ".*?" if field == _ANYTHING else f"(?P<{field}>.+?)"


_ANYTHING: Final = "_"
"""In place of a field: what is of no interest."""

_EXAMPLE: Final = "Write it as names are, with fields in braces: '{task}-wi{wi_seed}-do{do_seed}'."


def with_names_told(
    header: Sequence[str], lines: Lines, names: RunNames
) -> tuple[list[str], Lines, list[str]]:
    """Return a table with a column more for each field that the names of its runs tell.

    Returns:
        The header, without the column of the names; the rows; and what is wrong, a sentence for
        each name that is of another pattern.
    """
    column = name_column(header)
    if column is None:
        return list(header), lines, ["it has no column Name or run_name for --names to read"]
    rows = []
    unlike: dict[str, str] = {}
    for where, cells in lines:
        told = names.told(cells[column])
        if told is None:
            unlike.setdefault(cells[column], where)
        rows.append((where, {**cells, **(told or dict.fromkeys(names.fields, ""))}))
    faults = [f"{where}: the run {name!r} is not {names.pattern}" for name, where in unlike.items()]
    kept = [name for name in header if name != column and name not in names.fields]
    return [*kept, *names.fields], rows, faults
