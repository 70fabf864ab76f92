"""The names that SQL over a warehouse has: its tables, and a view for each usual join.

A view is a file `<name>.sql` beside this module. The tables' definitions are made from where their
files stand.
"""

from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template

from analysis.schema import arrow_schema
from finetune.contract import WAREHOUSE_TABLES, ColumnType

_TYPES: dict[ColumnType, str] = {
    "string": "varchar",
    "int64": "bigint",
    "float64": "double",
    "bool": "boolean",
    "timestamp": "timestamptz",
}


def names() -> list[str]:
    """Return the names of all tables and views."""
    return [*WAREHOUSE_TABLES, *_views()]


def definitions(
    sources: Mapping[str, tuple[Sequence[str], Sequence[str]]], do_seeds: Sequence[int]
) -> dict[str, str]:
    """Return the query that each table and view stands for, in an order that they can be made in.

    Args:
        sources: per table its files, as DuckDB's `read_parquet` takes them, and the columns that
            they have; the contract's others are null.
        do_seeds: the data-order seeds, which are columns of `seed_grid`.
    """
    tables = {name: _table(name, *sources[name]) for name in WAREHOUSE_TABLES}
    columns = ", ".join(f"'do_{seed}'" for seed in do_seeds) or "'do_none'"
    views = {name: Template(sql).substitute(columns=columns) for name, sql in _views().items()}
    return tables | views


def _views() -> dict[str, str]:
    files = resources.files("analysis").joinpath("views").iterdir()
    return {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8").rstrip()
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    }


def _table(name: str, files: Sequence[str], present: Sequence[str]) -> str:
    if files and set(present) >= set(arrow_schema(name).names):
        return f"from {_reader(files)}"
    columns = ", ".join(
        column.name if files and column.name in present
        else f"null::{_TYPES[column.type]} as {column.name}"
        for column in WAREHOUSE_TABLES[name]
    )  # fmt: skip
    return f"select {columns} " + (f"from {_reader(files)}" if files else "where false")


def _reader(files: Sequence[str]) -> str:
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"
