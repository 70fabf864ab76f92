"""The warehouse: a folder of Parquet tables, and DuckDB's views over it.

    warehouse/
        manifest.json
        trials.parquet
        evaluations/task=<task>/evaluations.parquet
        train_steps/task=<task>/train_steps.parquet

The task stands in the path so that a reader can leave the other tasks' files alone, and in the file
so that each file says all about itself. Any tool that reads Parquet reads a warehouse.
"""

import glob
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.schema import SORT_KEYS, arrow_schema
from finetune.contract import SCHEMA_VERSION, TABLES
from finetune.errors import SeedbedError
from finetune.files import replacing_folder

MANIFEST: Final = "manifest.json"

_ROWS_PER_GROUP: Final = 65_536
"""Rows of a Parquet row group: the Hub's advice of 50,000 to 100,000, for readers of a part."""


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────
def write(folder: Path, tables: Mapping[str, pa.Table], manifest: Mapping[str, Any]) -> None:
    """Write a warehouse whole, in place of the one that may stand there.

    The same tables give the same bytes: rows are sorted, and no time is written.

    Args:
        folder: where it will stand. When writing fails, what stood there is untouched.
        tables: all three tables of the contract, each in its schema, rows in any order.
        manifest: what `manifest.json` says besides the schema version and the numbers of rows.

    Raises:
        SeedbedError: where `folder` is something else than a warehouse.
        ValueError: where a table is missing or not in the contract's schema.
    """
    _check_tables(tables)
    check_replaceable(folder)

    with replacing_folder(folder) as beside:
        for name in TABLES:
            table = tables[name].sort_by([(key, "ascending") for key in SORT_KEYS[name]])
            for path, part in _parts(name, table):
                (beside / path).parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(
                    part,
                    beside / path,
                    compression="zstd",
                    row_group_size=_ROWS_PER_GROUP,
                    write_page_index=True,
                )
        facts = {
            "schema_version": SCHEMA_VERSION,
            "rows": {name: tables[name].num_rows for name in TABLES},
        }
        text = json.dumps(facts | dict(manifest), indent=2, ensure_ascii=False)
        (beside / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _parts(name: str, table: pa.Table) -> Iterator[tuple[Path, pa.Table]]:
    """Yield the files that a table is stored as, and their rows."""
    if name == "trials":
        yield Path("trials.parquet"), table
        return
    for task in sorted(table["task"].unique().to_pylist()):
        path = Path(name) / f"task={quote(task, safe='')}" / f"{name}.parquet"
        yield path, table.filter(pc.field("task") == task)


def _check_tables(tables: Mapping[str, pa.Table]) -> None:
    if set(tables) != set(TABLES):
        raise ValueError(f"a warehouse has the tables {list(TABLES)}, not {list(tables)}")
    for name, table in tables.items():
        schema = arrow_schema(name)
        if not table.schema.equals(schema, check_metadata=True):
            raise ValueError(
                f"the table {name} is not in the contract's schema:\n"
                f"{table.schema}\ninstead of\n{schema}"
            )
        for field in schema:
            if not field.nullable and table[field.name].null_count:
                raise ValueError(f"the table {name} has nulls in {field.name}, which has none")


def check_replaceable(folder: Path) -> None:
    """Refuse to swap away a folder of something else: the user may have mistyped its name.

    Raises:
        SeedbedError: where `folder` is there, is not empty, and is no warehouse.
    """
    is_file = folder.exists() and not folder.is_dir()
    if is_file or (folder.is_dir() and any(folder.iterdir()) and not _is_warehouse(folder)):
        raise SeedbedError(
            f"{folder} is there already and is not a warehouse, so it is not overwritten: "
            "name another folder."
        )


def _is_warehouse(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "schema_version" in manifest


# ── Ready-made queries ───────────────────────────────────────────────────────────────────────────
def ready_made() -> dict[str, str]:
    """Return the SQL of each ready-made query, `analysis/queries/<name>.sql`, by name."""
    files = resources.files("analysis").joinpath("queries").iterdir()
    return {
        file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".sql")
    }


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────
class Warehouse:
    """An exported folder, open for questions in SQL.

    Nothing is read before it is asked for, and nothing is ever written.

    Attributes:
        folder: where it stands.
        manifest: what `manifest.json` says.

    Raises:
        SeedbedError: where the folder is no warehouse, or one of another schema version.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)
        self._connection = _connect()
        for name in TABLES:
            self._create_view(name)

    def query(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """Put a question to the tables `trials`, `evaluations` and `train_steps`.

        Args:
            sql: one statement in DuckDB's SQL that reads: SELECT, WITH, FROM, VALUES, PIVOT,
                DESCRIBE, SUMMARIZE or SHOW. It may also read other local files.
            parameters: values for `?` in order, or for `$name` by name.

        Returns:
            The answer. Times are in UTC, in microseconds.

        Raises:
            SeedbedError: where DuckDB does not understand the statement, where it names a table or
                a column that is not there, or where it would do more than read.
        """
        try:
            self._check_reads(sql)
            answer = self._connection.sql(sql, params=parameters or None)
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise SeedbedError(self._explain(error)) from error

    def ask(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """Put the ready-made query of that name; see `ready_made`."""
        return self.query(ready_made()[name], parameters)

    def table(self, name: str) -> pa.Table:
        """Return a table whole, in the contract's schema, sorted by its keys."""
        schema = arrow_schema(name)
        parts = [pq.ParquetFile(path).read() for path in self._files(name)]
        return pa.concat_tables([schema.empty_table(), *parts]).replace_schema_metadata(
            schema.metadata
        )

    def studies(self) -> list[str]:
        """Return the names of the studies that have trials here, sorted."""
        answer = self.query("select distinct study from trials order by study")
        return list(answer["study"].to_pylist())

    def tasks(self, study: str) -> list[str]:
        """Return the names of the tasks that have trials of a study here, sorted."""
        sql = "select distinct task from trials where study = ? order by task"
        return list(self.query(sql, [study])["task"].to_pylist())

    def _files(self, name: str) -> list[Path]:
        if name == "trials":
            return [self.folder / "trials.parquet"]
        # Sorted by the task itself: quoted as in the path, tasks might sort otherwise.
        return sorted((self.folder / name).glob(f"task=*/{name}.parquet"))

    def _create_view(self, name: str) -> None:
        # A list of files, not a pattern: a table without rows has no files, and DuckDB would
        # refuse a pattern that nothing matches. Each name is escaped, so that it is none itself.
        files = [_literal(glob.escape(str(path.absolute()))) for path in self._files(name)]
        if files:
            source = f"read_parquet([{', '.join(files)}], hive_partitioning = false)"
        else:
            source = f"empty_{name}"
            self._connection.register(source, arrow_schema(name).empty_table())
        self._connection.execute(f"create view {name} as from {source}")

    def _check_reads(self, sql: str) -> None:
        statements = self._connection.extract_statements(sql)
        if len(statements) != 1:
            raise SeedbedError(
                f"A query is one statement, and this has {len(statements)}: {sql.strip()!r}."
            )
        kind = statements[0].type
        # DuckDB rewrites a statement with a PIVOT in it to several, of whatever kind it is.
        pivots = kind == duckdb.StatementType.MULTI and _PIVOT_THAT_READS.match(sql)
        if kind != duckdb.StatementType.SELECT and not pivots:
            raise SeedbedError(
                "A query reads, and this would do more: it must be a SELECT, WITH, FROM, VALUES, "
                "PIVOT, DESCRIBE, SUMMARIZE or SHOW statement."
            )

    @staticmethod
    def _explain(error: duckdb.Error) -> str:
        """Return what DuckDB says at first, and what there is in place of what is not."""
        lines = [line for line in str(error).splitlines() if line.strip()]
        text = "\n".join(lines[:_LINES_OF_DUCKDB])
        if isinstance(error, duckdb.CatalogException) and "Table with name" in text:
            text += f"\nThe tables are {', '.join(TABLES)}."
        elif isinstance(error, duckdb.BinderException) and "column" in text:
            text += "\nThe query `describe trials` shows the columns of a table."
        return text


_LINES_OF_DUCKDB: Final = 4
"""The message, a hint, and the line of the statement with its mark; candidates may be many more."""

_PIVOT_THAT_READS: Final = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/)*\(*(pivot|unpivot|select|with|from)\b", re.IGNORECASE | re.DOTALL
)


def _connect() -> duckdb.DuckDBPyConnection:
    # Nothing is fetched from the network because a query names an extension's function.
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    connection.execute("set timezone = 'UTC'")
    return connection


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not _is_warehouse(folder):
        raise SeedbedError(
            f"There is no warehouse at {folder}: run `finetune export` first, or name its folder."
        )
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    version = manifest["schema_version"]
    if version != SCHEMA_VERSION:
        raise SeedbedError(
            f"The warehouse at {folder} has schema version {version}, and this Seedbed reads "
            f"version {SCHEMA_VERSION}: run `finetune export` again."
        )
    return manifest
