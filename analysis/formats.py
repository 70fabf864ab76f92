"""The answer to a query as text: to read on a terminal, or to read into something else.

`table` and `markdown` are for eyes: floats are rounded. `csv` and `json` are for programs: every
digit is there, and what is read back is what was written, but for NaN and infinities in JSON, which
knows none; they become null there, as pandas writes them.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, count
from typing import Any, Final, Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import columns_with_statistics

Format = Literal["table", "csv", "json", "markdown"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_MOST_ROWS: Final = 60
"""A longer answer shows its first and last rows only, on a terminal."""


def format_table(table: pa.Table, format: Format) -> str:  # noqa: A002  (the option's name)
    """Return a table as text, without a line break at its end.

    Args:
        table: the answer to a query.
        format: `table`, aligned for a terminal, long ones cut in the middle; `csv`, with a header,
            nulls empty, NaN as `NaN`, infinities as `inf`; `json`, a list of one object a row;
            `markdown`, a table of GitHub's flavour.
    """
    return _FORMATTERS[format](table)


def encode(table: pa.Table, format: Format | Literal["parquet"]) -> bytes:  # noqa: A002
    """Return a table as the content of a file.

    Args:
        table: the answer to a query.
        format: as for `format_table`, or `parquet`, where columns of one name get a number.
    """
    if format != "parquet":
        return (format_table(table, format) + "\n").encode()
    sink = pa.BufferOutputStream()
    named = table.rename_columns(list(_distinct(table.column_names)))
    pq.write_table(named, sink, write_statistics=columns_with_statistics(named.schema))
    return bytes(sink.getvalue())


# ── For eyes ─────────────────────────────────────────────────────────────────────────────────────
def _format_terminal(table: pa.Table) -> str:
    rows = table.num_rows
    is_cut = rows > _MOST_ROWS
    if is_cut:
        half = _MOST_ROWS // 2
        table = pa.concat_tables([table.slice(0, half), table.slice(rows - half)])

    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = [name, *_texts(column)]
        width = max(map(len, cells))
        align = str.rjust if _is_number(column.type) else str.ljust
        padded = [align(cell, width) for cell in cells]
        padded.insert(1, "─" * width)
        if is_cut:
            padded.insert(2 + half, align("…", width))
        columns.append(padded)

    lines = ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]
    if is_cut:
        lines.append(f"({rows:,} rows, {_MOST_ROWS} shown: csv, json and markdown have all)")
    elif rows != 1:
        lines.append(f"({rows or 'no'} rows)")
    return "\n".join(lines)


def _format_markdown(table: pa.Table) -> str:
    rules = ["---:" if _is_number(column.type) else "---" for column in table.columns]
    rows = zip(*map(_texts, table.columns), strict=True)
    cells = chain([table.column_names, rules], rows)
    return "\n".join(f"| {' | '.join(map(_escape_markdown, row))} |" for row in cells)


def _escape_markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _is_number(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    )


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Return the cells of a column as text on one line each, floats all to the same digits."""
    values = [_plain(_to_the_second(value)) for value in column.to_pylist()]
    write_float = _rounding([abs(value) for value in values if isinstance(value, float)])
    texts = ["null" if value is None else _text(value, write_float) for value in values]
    return [" ".join(text.splitlines()) for text in texts]


def _to_the_second(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return value


def _rounding(magnitudes: Sequence[float]) -> Callable[[float], str]:
    """Return how to write the floats of a column: four decimals, where they do them justice.

    Zeros that all of them end on are left off; very large or small ones get four digits instead.
    """
    finite = [value for value in magnitudes if math.isfinite(value) and value != 0]
    if any(value < 1e-3 or value >= 1e7 for value in finite):
        return lambda value: f"{value:.4g}"
    decimals = max(
        (len(f"{value:.4f}".rstrip("0").partition(".")[2]) for value in finite), default=0
    )
    return lambda value: f"{value:.{max(decimals, 1)}f}"


# ── For programs ─────────────────────────────────────────────────────────────────────────────────
def _format_csv(table: pa.Table) -> str:
    columns = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    rows = chain([table.column_names], zip(*columns, strict=True))
    return "\n".join(",".join(map(_csv_cell, row)) for row in rows)


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else repr(value)
    text = _text(value, repr)
    # An empty string is quoted, to be told from null.
    if not text or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _format_json(table: pa.Table) -> str:
    names = list(_distinct(table.column_names))
    columns = [map(_without_nan, map(_plain, column.to_pylist())) for column in table.columns]
    objects = [
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False)
        for row in zip(*columns, strict=True)
    ]
    return "[\n" + ",\n".join(objects) + "\n]" if objects else "[]"


def _distinct(names: Sequence[str]) -> Iterator[str]:
    """Yield names that an object can have side by side: a repeated one gets a number."""
    taken = set(names)
    seen: set[str] = set()
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        free = next(new for new in numbered if new not in taken) if name in seen else name
        taken.add(free)
        seen.add(free)
        yield free


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    return value


# ── Values ───────────────────────────────────────────────────────────────────────────────────────
def _plain(value: Any) -> Any:
    """Return a value of Arrow as None, bool, int, float, str, or lists and dicts of these."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        # DuckDB's sums of whole numbers are decimals of scale 0.
        return float(value) if value.as_tuple().exponent else int(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value)


def _text(value: Any, write_float: Callable[[float], str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return write_float(value) if math.isfinite(value) else _SPECIAL[str(value)]
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


_SPECIAL: Final = {"nan": "NaN", "inf": "inf", "-inf": "-inf"}

_FORMATTERS: Final[dict[Format, Callable[[pa.Table], str]]] = {
    "table": _format_terminal,
    "csv": _format_csv,
    "json": _format_json,
    "markdown": _format_markdown,
}
