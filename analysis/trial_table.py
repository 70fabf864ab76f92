"""A table of trials as anybody may have it: which column is what, and what its rows say.

A row is a trial, or an evaluation of one where the table says at which step it was made. Which
column is what is found by name (`wi_seed`, `params.wi_seed`, `config/wi_seed`, as MLflow and W&B
write them) or told; what no column holds can be told as a value for all rows, or read from the
names of the runs.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from analysis.run_names import RunNames, is_panel, name_column, unfolded, with_names_told
from finetune.contract import EVALUATIONS, TASK_METRICS, TRIALS, Column, Status
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.run_names import Lines

OF_EVALUATION: Final = {
    column.name: column
    for column in EVALUATIONS
    if column.name in ("step", "epoch", "score", "loss")
}
OF_TRIAL: Final = {
    column.name: column
    for column in TRIALS
    if column.source.partition(":")[0] in ("param", "tag") and column.name != "study"
} | {column.name: column for column in TRIALS if column.name == "seconds"}

FIELDS: Final[dict[str, Column]] = OF_TRIAL | OF_EVALUATION
"""What a column of a table can be, by name: what a trial is, and what an evaluation is."""

REQUIRED: Final = ("task", "wi_seed", "do_seed", "score")

_PREFIX: Final = re.compile(r"^(?:params|metrics|tags|config|summary|param|metric|tag)[./]")
"""What MLflow and W&B write before the names of columns."""

_SYNONYMS: Final = {"_step": "step", "global_step": "step", "state": "status", "run_id": "trial_id"}
"""What MLflow, W&B and the Trainer of transformers call what a trial or an evaluation has."""

_STATUSES: Final = {status.value: status for status in Status} | {
    "completed": Status.FINISHED,
    "crashed": Status.FAILED,
    "killed": Status.INTERRUPTED,
    "scheduled": Status.RUNNING,
}

_MISSING: Final = frozenset(("", "null", "none", "na", "n/a"))
_NAN: Final = "nan"
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}
_MOST_FAULTS: Final = 12

Row = dict[str, Any]
"""What a row of the table says, by field; None where it says nothing."""


@dataclass(frozen=True)
class TrialTable:
    """What a table says.

    Attributes:
        path: the file.
        rows: where each stands, and what it says; those without a score, of trials that should
            have one, are left out.
        columns: by field the column that it was read from.
        unused: the columns that nothing was read from.
        has_steps: whether rows are evaluations, not trials.
        without_score: how many rows were left out.
    """

    path: Path
    rows: Sequence[tuple[str, Row]]
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    has_steps: bool
    without_score: int


def read(
    path: Path,
    *,
    columns: Mapping[str, str],
    values: Mapping[str, str],
    percent: bool,
    names: str | None = None,
) -> TrialTable:
    """Read a table of trials or of their evaluations.

    Args:
        path: a file of Parquet if its name ends on `.parquet`, else of CSV, or TSV if on `.tsv`.
        columns: by field (`FIELDS`) the column that holds it, where its name does not tell.
        values: by field a value for all rows; it goes before a column.
        percent: whether scores are in percent; what is returned has them from 0 to 1.
        names: how the runs are named, with fields in braces (`analysis.run_names.RunNames`), where
            their names tell what no column does.

    Raises:
        SeedbedError: where the file cannot be read, a field that a trial needs has no column, or
            rows say what cannot be; the message has all faults with their lines.
    """
    header, lines = _read(path)
    if twice := _twice(header):
        faults = [f"it has two columns {name!r}" for name in sorted(twice)]
        raise cannot_be_imported(path, faults)
    if is_panel(header):
        header, lines = unfolded(header, lines)
    if names is not None:
        header, lines, faults = with_names_told(header, lines, RunNames(names, FIELDS))
        if faults:
            raise cannot_be_imported(path, faults)
    found = _columns(path, header, dict(columns), values)
    rows, without_score = _rows(path, lines, found, values, percent)
    return TrialTable(
        path=path,
        rows=rows,
        columns=found,
        unused=tuple(name for name in header if name not in found.values()),
        has_steps="step" in found or "step" in values,
        without_score=without_score,
    )


def cannot_be_imported(path: Path, faults: Sequence[str]) -> SeedbedError:
    """Return the error that lists the faults of a table, the first of them if they are many."""
    more = len(faults) - _MOST_FAULTS
    lines = [f"  {fault}" for fault in faults[:_MOST_FAULTS]]
    if more > 0:
        lines.append(f"  and {more:,} more like these")
    return SeedbedError("\n".join([f"{path} cannot be imported:", *lines]))


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────
def _read(path: Path) -> tuple[list[str], Lines]:
    if not path.is_file():
        raise SeedbedError(f"There is no file {path} to import.")
    try:
        return _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise SeedbedError(
            f"{path} cannot be read as {'Parquet' if path.suffix == '.parquet' else 'CSV'}: "
            f"{reason}. Give a CSV file in UTF-8 with a header, or a Parquet file."
        ) from error


def _read_csv(path: Path) -> tuple[list[str], Lines]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
        header = next(reader, [])
        lines = []
        for cells in reader:
            if cells and len(cells) != len(header):
                raise SeedbedError(
                    f"{path}, line {reader.line_num}: it has {len(cells)} cells, and the header "
                    f"names {len(header)} columns."
                )
            if cells:
                row = dict(zip(header, cells, strict=True))
                lines.append((f"line {reader.line_num}", row))
    return header, lines


def _read_parquet(path: Path) -> tuple[list[str], Lines]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    rows = (
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in table.to_pylist()
    )
    return table.column_names, [(f"row {number}", row) for number, row in enumerate(rows, 1)]


def _columns(
    path: Path, header: Sequence[str], columns: dict[str, str], values: Mapping[str, str]
) -> dict[str, str]:
    """Return which column each field is read from.

    Raises:
        SeedbedError: where a field or a column is not there, or a field has neither column nor
            value that needs one; it names all of them.
    """
    faults = [
        f"there is no field {field!r} to map{_meant(field, FIELDS)}"
        for field in (*columns, *values)
        if field not in FIELDS
    ]
    faults += [
        f"it has no column {column!r} to read {field} from{_meant(column, header)}"
        for field, column in columns.items()
        if column not in header
    ]

    by_field: dict[str, list[str]] = defaultdict(list)
    for name in header:
        by_field[field_of(name)].append(name)
    for field in FIELDS:
        if field in columns or field in values:
            continue
        if field in by_field[field]:
            columns[field] = field
        elif len(by_field[field]) > 1:
            faults.append(
                f"both {' and '.join(map(repr, by_field[field]))} may be {field}: say which"
            )
        elif by_field[field]:
            columns[field] = by_field[field][0]
    # A score is never in the name.
    in_names = {*REQUIRED} - {"score"} if name_column(header) else set()
    faults += [
        f"no column is named as its {field}: say which is (as --column {field}=NAME), or what it "
        f"is in all rows (as --value {field}=…)"
        + (
            f", or where the runs' names have it (as --names '…{{{field}}}…')"
            if field in in_names
            else ""
        )
        for field in REQUIRED
        if field not in columns and field not in values
    ]
    if faults:
        raise cannot_be_imported(path, faults)
    # A value goes before a column.
    return {field: column for field, column in columns.items() if field not in values}


def field_of(column: str) -> str:
    """Return the field that the name of a column tells; the name itself where it is none."""
    name = _PREFIX.sub("", column.strip()).lower()
    return _SYNONYMS.get(name, name)


# ── What rows say ────────────────────────────────────────────────────────────────────────────────
def _rows(
    path: Path, lines: Lines, columns: Mapping[str, str], values: Mapping[str, str], percent: bool
) -> tuple[list[tuple[str, Row]], int]:
    """Return what each row says, and how many say no score."""
    faults: list[str] = []
    rows: list[tuple[str, Row]] = []
    without_score = 0
    for where, cells in lines:
        row: Row = {}
        for field, column in FIELDS.items():
            text = values.get(field, cells[columns[field]] if field in columns else "")
            try:
                row[field] = _parsed(column, text)
            except ValueError as fault:
                faults.append(f"{where}: {field} {fault}")
                row[field] = None
                continue
            if field in ("task", "wi_seed", "do_seed") and row[field] is None:
                faults.append(f"{where}: {field} is empty")
        faults += [f"{where}: {fault}" for fault in _impossible(row, percent)]
        if row["score"] is None and row["status"] in (None, Status.FINISHED, Status.DIVERGED):
            without_score += 1
        else:
            rows.append((where, row))
    if faults:
        raise cannot_be_imported(path, faults)
    if not rows:
        raise SeedbedError(f"{path} has no row with a score: there is nothing to import.")
    return rows, without_score


def _parsed(column: Column, text: str) -> Any:
    """Return a cell as a value of the field's type; None where it is empty.

    Raises:
        ValueError: where it is not of that type.
    """
    text = text.strip()
    if text.lower() in _MISSING:
        return None
    if column.name == "status":
        if text.lower() not in _STATUSES:
            raise ValueError(f"is {text!r}, none of {', '.join(_STATUSES)}")
        return _STATUSES[text.lower()]
    # Tables of numbers have NaN where there is nothing; a score may be one.
    if text.lower() == _NAN and column.name not in ("score", "loss"):
        return None
    kinds = {"int64": "whole number", "float64": "number", "bool": "true or false"}
    try:
        return _PARSERS[column.type](text)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"is {text!r}, which is no {kinds[column.type]}") from None


def _whole(text: str) -> int:
    # Many tools write whole numbers as 1.0 where a column has gaps.
    number = float(text) if re.fullmatch(r"[+-]?\d+\.0*", text) else int(text)
    return int(np.int64(int(number)))


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "string": str,
    "int64": _whole,
    "float64": float,
    "bool": lambda text: _BOOLEANS[text.lower()],
}


def _impossible(row: Row, percent: bool) -> Iterator[str]:
    """Yield what cannot be in a row; put its score into 0 to 1 where it is in percent."""
    if row["score"] is not None and percent:
        row["score"] /= 100
    if row["metric"] in TASK_METRICS and row["score"] is not None and abs(row["score"]) > 1:
        hint = "" if percent else "; if scores are in percent, say so with --percent"
        yield f"score is {row['score']:g}, and {row['metric']} is at most 1{hint}"
    if row["step"] is not None and row["step"] < 0:
        yield f"step is {row['step']}, below 0"
    if row["steps_per_epoch"] is not None and row["steps_per_epoch"] < 1:
        yield f"steps_per_epoch is {row['steps_per_epoch']}, below 1"


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}
