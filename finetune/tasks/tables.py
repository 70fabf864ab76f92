"""Reading a file of examples as rows under named columns.

The form is told by the suffix:

- `.csv`: commas, a header, fields quoted by RFC 4180; a quoted field may go over several lines.
- `.tsv`: tabs, a header, no quoting at all: a quotation mark is a character, as in GLUE's files.
- `.jsonl`: an object a line.

All are UTF-8, with or without a byte-order mark, and their lines end in LF or CRLF. Whatever does
not fit is noted as a fault with its line; no row is dropped in silence.
"""

import csv
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from finetune.errors import SeedbedError
from finetune.tasks.faults import Faults, listed

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""The forms of file that can be read."""

_log = logging.getLogger(__name__)

MISSING = object()
"""Stands where a row has no value for a column."""


class Row(NamedTuple):
    """A row and where it stands.

    Attributes:
        number: its line in the file, from 1, or its index in the data set.
        values: one per column of its table: text, or what JSON or the data set holds.
    """

    number: int
    values: Sequence[object]


@dataclass(frozen=True)
class Table:
    """The rows of one split under the names of their columns."""

    columns: tuple[str, ...]
    rows: Sequence[Row]

    def select(self, names: Sequence[str], faults: Faults) -> Iterator[tuple[int, list[object]]]:
        """Yield each row's number and its values in the columns of these names.

        A name that no column has, or two have, is noted as a fault, and then nothing is yielded;
        nothing either where the table is empty, which its reader has noted.
        """
        positions = []
        for name in names if self.columns else ():
            if self.columns.count(name) == 1:
                positions.append(self.columns.index(name))
            elif name in self.columns:
                faults.add(f"two columns are called '{name}'")
            else:
                there = listed(self.columns)
                faults.add(f"there is no column '{name}'; the columns are {there}")
        if len(positions) == len(names):
            for row in self.rows:
                yield row.number, [row.values[position] for position in positions]


def read_table(path: Path, faults: Faults) -> Table:
    """Read a file in the form that its suffix tells.

    What is wrong inside it is added to `faults`.

    Raises:
        SeedbedError: where there is no such file, or its suffix is none of `SUFFIXES`.
    """
    match path.suffix.lower():
        case ".csv":
            return _comma_separated(_read_text(path, faults), faults)
        case ".tsv":
            return read_tsv(path, faults)
        case ".jsonl":
            return _json_lines(_read_text(path, faults), faults)
        case suffix:
            raise SeedbedError(
                f"{path}: files of examples are {', '.join(SUFFIXES)}, not '{suffix}'."
            )


def read_tsv(
    path: Path, faults: Faults, *, columns: Sequence[str] | None = None, short_lines: int = 0
) -> Table:
    """Read a tab-separated file without quoting.

    Args:
        path: the file.
        faults: takes what is wrong inside it.
        columns: the names of the columns where the file has no header.
        short_lines: how many lines may have too few columns; they are left out, and the log says
            which. The last line may not: the file would be cut off.

    Raises:
        SeedbedError: where there is no such file.
    """
    text = _read_text(path, faults)
    rows = [Row(number, line.split("\t")) for number, line in _lines(text) if line]
    table = _headed(rows) if columns is None else Table(tuple(columns), rows)
    short = [row for row in table.rows[:-1] if len(row.values) < len(table.columns)]
    if 0 < len(short) <= short_lines:
        _log.warning("%s: left out as malformed: lines %s.", path, [row.number for row in short])
        left_out = {row.number for row in short}
        table = Table(table.columns, [row for row in table.rows if row.number not in left_out])
    return _whole_rows(table, faults, ends_well=text.endswith("\n"))


def _comma_separated(text: str, faults: Faults) -> Table:
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for values in reader:
            if values:
                rows.append(Row(start, values))
            start = reader.line_num + 1
    except csv.Error as error:
        faults.add(f"is not CSV from here on ({error}); is a quotation mark open?", number=start)
    return _whole_rows(_headed(rows), faults, ends_well=text.endswith(("\n", "\r")))


def _headed(rows: Sequence[Row]) -> Table:
    """Take the first row as the names of the columns."""
    header = rows[0].values if rows else ()
    return Table(tuple(str(name).strip() for name in header), rows[1:])


def _whole_rows(table: Table, faults: Faults, *, ends_well: bool) -> Table:
    """Return the rows that have a value for each column; the others are faults."""
    columns, rows = table.columns, table.rows
    if not rows and not len(faults):
        faults.add("holds no examples" + (", only a header" if columns else ": it is empty"))
    whole = []
    for row in rows:
        has = len(row.values)
        if has == len(columns):
            whole.append(row)
            continue
        counted = "1 column" if has == 1 else f"{has} columns"
        cut_off = row is rows[-1] and not ends_well and has < len(columns)
        faults.add(
            f"{counted} instead of {len(columns)}" + "; the file seems cut off" * cut_off,
            number=row.number,
        )
    return Table(columns, whole)


def _json_lines(text: str, faults: Faults) -> Table:
    objects: list[tuple[int, dict[str, object]]] = []
    for number, line in _lines(text):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            faults.add(f"is not JSON ({error.msg} at character {error.pos + 1})", number=number)
            continue
        if isinstance(value, dict):
            objects.append((number, value))
        else:
            faults.add(f"is not a JSON object but {line[:40]}", number=number)
    if not objects and not len(faults):
        faults.add("holds no examples: it is empty")
    columns = tuple(dict.fromkeys(name for _, value in objects for name in value))
    rows = [
        Row(number, [value.get(name, MISSING) for name in columns]) for number, value in objects
    ]
    return Table(columns, rows)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line and its number; only LF and CRLF end a line, unlike in `str.splitlines`."""
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.removesuffix("\r")


def _read_text(path: Path, faults: Faults) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SeedbedError(f"There is no file {path}; check its name and folder.") from None
    except OSError as error:
        raise SeedbedError(f"Cannot read {path}: {error.strerror or error}.") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SeedbedError(f"{path} is UTF-16; save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        for number, line in enumerate(content.split(b"\n"), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1}"
                faults.add(f"is not UTF-8 ({byte}); save the file as UTF-8", number=number)
        return content.decode("utf-8-sig", errors="replace")
