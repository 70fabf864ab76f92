"""What the tables of the warehouse look like: the contract's columns as Arrow schemas and as prose.

Arrow rather than pandas, because a column that may be null stays what it is: `best_step` of a
trial without evaluations is a null among integers, not a float.
"""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from finetune.contract import SCHEMA_VERSION, TABLES, WAREHOUSE_TABLES, Column, ColumnType

VERSION_KEY: Final = "seedbed.schema_version"
"""The key of a schema's metadata, and so of a Parquet file's, that holds the schema version."""

ARROW_TYPES: Final[dict[ColumnType, pa.DataType]] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("ms", tz="UTC"),
}

SORT_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "trials": ("task", "study", "trial_id"),
    "evaluations": ("task", "study", "trial_id", "step"),
    "train_steps": ("task", "study", "trial_id", "step"),
    "unmapped": ("task", "study", "trial_id", "kind", "key", "step", "logged_at", "value"),
}
"""Per table what its rows are sorted by. Of the first three, `trial_id`, with `step` where there is
one, is the key."""


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table: all of its columns, in the contract's order.

    Args:
        table: one of `finetune.contract.WAREHOUSE_TABLES`.

    Returns:
        A schema whose fields are nullable where the contract says so, and whose metadata holds the
        schema version.
    """
    return _schema(WAREHOUSE_TABLES[table])


def released_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table as it is published: without what is not for others.

    Args:
        table: one of `finetune.contract.TABLES`.
    """
    return _schema(column for column in TABLES[table] if column.released)


def _schema(columns: Iterable[Column]) -> pa.Schema:
    fields = [
        pa.field(column.name, ARROW_TYPES[column.type], nullable=column.nullable)
        for column in columns
    ]
    return pa.schema(fields, metadata={VERSION_KEY: str(SCHEMA_VERSION)})


def columns_with_statistics(schema: pa.Schema) -> list[str]:
    """Return the columns whose least and largest values may stand in a file: all but floats.

    Parquet leaves NaN out of them, and DuckDB 2.0 takes that for a promise that there is none: it
    would answer `isnan(loss)` with no row, and `not isnan(score)` with every one.
    """
    return [field.name for field in schema if not pa.types.is_floating(field.type)]


_MEANINGS: Final[dict[str, str]] = {
    "trials": "A row a trial.",
    "evaluations": "A row an evaluation of a trial on the validation set.",
    "train_steps": "A row an optimiser step of a trial.",
    "unmapped": "A row a param, a tag or a logged value that has no column in the other tables.",
}

_PREFACE: Final = f"""\
# Tables of the warehouse

`finetune export` fills these tables from the runs of MLflow, and `finetune query` puts SQL to them.
This page is generated from the contract (`finetune/contract.py`), schema version {SCHEMA_VERSION}.

A trial has one row in `trials`; `trial_id` joins the others to it, and with `step` it is the key of
`evaluations` and `train_steps`. What has no column in these three stands in `unmapped`, which is
never released. Times are in UTC. A column marked *may be null* is null where a trial has no such
thing; NaN and infinities are values, and stand as they were logged. *Released* says whether
`finetune release` publishes the column.

Where a column comes from: a `param`, a `tag` or a `metric` of the trial's run in MLflow, under that
key; `run`, a field of the run itself; or `derived`, computed by the export.
"""


def tables_markdown() -> str:
    """Return the page that describes every column of every table (`docs/tables.md`)."""
    return "\n".join([_PREFACE, *map(_table_markdown, WAREHOUSE_TABLES)])


def _table_markdown(table: str) -> str:
    header = (
        f"## `{table}`\n\n"
        f"{_MEANINGS[table]} Sorted by {', '.join(f'`{key}`' for key in SORT_KEYS[table])}.\n\n"
        "| column | type | unit | meaning | comes from | released |\n"
        "|---|---|---|---|---|---|\n"
    )
    return header + "".join(_column_markdown(column) for column in WAREHOUSE_TABLES[table])


def _column_markdown(column: Column) -> str:
    kind, _, key = column.source.partition(":")
    cells = (
        f"`{column.name}`",
        column.type + (", may be null" if column.nullable else ""),
        column.unit,
        column.meaning,
        f"{kind} `{key}`" if key else kind,
        "yes" if column.released else "no",
    )
    return f"| {' | '.join(cells)} |\n"
