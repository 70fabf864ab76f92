"""The warehouse: a folder of Parquet tables, and DuckDB's views over it.

    warehouse/
        manifest.json
        views.sql
        trials.parquet
        evaluations/task=<task>/evaluations.parquet
        train_steps/task=<task>/train_steps.parquet
        unmapped/task=<task>/unmapped.parquet

The task stands in the path so that a reader can leave the other tasks' files alone, and in the file
so that each file says all about itself. Any tool that reads Parquet reads a warehouse; in its
folder, `duckdb -init views.sql` has all the names that `finetune query` has.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.places import Place, place
from analysis.schema import SORT_KEYS, arrow_schema
from analysis.table_files import TableWriter, file_of
from analysis.views import definitions, names
from finetune.contract import SCHEMA_VERSION, TABLES, WAREHOUSE_TABLES
from finetune.errors import SeedbedError
from finetune.files import replacing_folder

MANIFEST: Final = "manifest.json"
VIEWS: Final = "views.sql"

_Answer = TypeVar("_Answer")
_NOT_OPEN: Final = object()
"""The moment of a warehouse that has not been opened."""


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────
def write(folder: Path, tables: Mapping[str, pa.Table], manifest: Mapping[str, Any]) -> None:
    """Write a warehouse whole, in place of the one that may stand there.

    The same tables give the same bytes: rows are sorted, and no time is written.

    Args:
        folder: where it will stand. When writing fails, what stood there is untouched.
        tables: the tables of the contract, each in its schema, rows in any order; `unmapped` may
            be left out.
        manifest: what `manifest.json` says besides the schema version and the numbers of rows.

    Raises:
        SeedbedError: where `folder` is something else than a warehouse.
        ValueError: where a table is missing or not in the contract's schema.
    """
    _check_tables(tables)
    check_replaceable(folder)

    with replacing_folder(folder) as beside:
        for name in tables:
            table = tables[name].sort_by([(key, "ascending") for key in SORT_KEYS[name]])
            for path, part in _parts(name, table):
                with TableWriter(beside / path, name) as file:
                    file.add(part)
        finish(beside, {name: tables[name].num_rows for name in tables}, manifest)


def finish(folder: Path, rows: Mapping[str, int], manifest: Mapping[str, Any]) -> None:
    """Write what stands in a warehouse beside the tables: its manifest and its views.

    Args:
        folder: where the tables are.
        rows: how many rows each table has.
        manifest: what `manifest.json` says besides the schema version and the numbers of rows.
    """
    facts = {"schema_version": SCHEMA_VERSION, "rows": dict(rows)}
    text = json.dumps(facts | dict(manifest), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")

    sources = {}
    for name in WAREHOUSE_TABLES:
        pattern = file_of(name, "*").as_posix().replace("%2A", "*")
        has_files = any(folder.glob(pattern))
        sources[name] = ([pattern] if has_files else [], arrow_schema(name).names)
    do_seeds: list[int] = []
    # Without a trial there is no file.
    if sources["trials"][0]:
        with pq.ParquetFile(folder / file_of("trials", "")) as file:
            do_seeds = sorted(file.read(["do_seed"])["do_seed"].unique().to_pylist())
    views = definitions(sources, do_seeds)
    text = "".join(f"create or replace view {name} as\n{sql};\n\n" for name, sql in views.items())
    (folder / VIEWS).write_text(_VIEWS_PREFACE + text, encoding="utf-8")


_VIEWS_PREFACE: Final = """\
-- The names that `finetune query` has, for DuckDB's own shell in this folder:
--     duckdb -init views.sql
set timezone = 'UTC';

"""


def _parts(name: str, table: pa.Table) -> Iterator[tuple[Path, pa.Table]]:
    """Yield the files that a table is stored as, and their rows."""
    if name == "trials":
        yield file_of(name, ""), table
        return
    for task in sorted(table["task"].unique().to_pylist()):
        yield file_of(name, task), table.filter(pc.field("task") == task)


def _check_tables(tables: Mapping[str, pa.Table]) -> None:
    if not set(TABLES) <= set(tables) <= set(WAREHOUSE_TABLES):
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
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    # A release has a manifest too, and must not be swapped away for a warehouse.
    manifest = _manifest(text)
    return manifest is not None and "release" not in manifest


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
    """An exported folder, or a release, open for questions in SQL.

    Nothing is read before it is asked for, nothing is ever written, and nothing but the tables can
    be read. An export that replaces the folder is noticed: each question is answered from one
    export, the one that stands there.

    Attributes:
        folder: where it stands: a folder, or the address of one on `s3://` or `hf://`.
        manifest: what `manifest.json` says.

    Raises:
        SeedbedError: where the folder is no warehouse, or one of another schema version, or where
            DuckDB lacks what it needs to read an address.
    """

    def __init__(self, folder: Path | str) -> None:
        self._place: Place = place(folder)
        self.folder = self._place.folder
        self._moment: object = _NOT_OPEN
        self._of_one_export(lambda: None)

    def _open(self) -> None:
        self._moment = self._place.moment()
        self.manifest = _read_manifest(self._place)
        # Of the statements that it is given, `query` looks at each.
        self._connection = self._connect(self._place)

    @staticmethod
    def _connect(to: Place) -> duckdb.DuckDBPyConnection:
        connection = to.connect()
        _define_views(connection, to)
        return connection

    def connection(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of DuckDB's with all tables and views, for whoever wants to go on.

        It is of the export that stands there now. It can make tables of its own, in memory. It
        opens no file but the tables', those only to read, and no setting of it can be changed.
        On `s3://` it can do to the tables' files what the keys in the environment allow.
        """
        return self._of_one_export(lambda: self._connect(self._place.read_only()))

    def query(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """Put a question to the tables and views.

        Args:
            sql: one statement in DuckDB's SQL that reads: SELECT, WITH, FROM, VALUES, PIVOT,
                DESCRIBE, SUMMARIZE or SHOW.
            parameters: values for `?` in order, or for `$name` by name.

        Returns:
            The answer. Times are in UTC, in microseconds.

        Raises:
            SeedbedError: where DuckDB does not understand the statement, where it names a table or
                a column that is not there, or where it would do more than read these.
        """

        def answer() -> pa.Table:
            self._check_reads(sql)
            return self._connection.sql(sql, params=parameters or None).to_arrow_table()

        return self._of_one_export(answer)

    def ask(self, name: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> pa.Table:
        """Put the ready-made query of that name; see `ready_made`."""
        return self.query(ready_made()[name], parameters)

    def table(self, name: str) -> pa.Table:
        """Return a table whole, in the contract's schema, sorted by its keys.

        The columns that a release leaves out are null there.
        """
        schema = arrow_schema(name)
        kept = self._place.columns(name)
        fields = [field if field.name in kept else field.with_nullable(True) for field in schema]
        keys = ", ".join(SORT_KEYS[name])
        rows = self.query(f"from {name} order by {keys}")
        return rows.cast(pa.schema(fields, metadata=schema.metadata))

    def studies(self) -> list[str]:
        """Return the names of the studies that have trials here, sorted."""
        answer = self.query("select distinct study from trials order by study")
        return list(answer["study"].to_pylist())

    def tasks(self, study: str) -> list[str]:
        """Return the names of the tasks that have trials of a study here, sorted."""
        sql = "select distinct task from trials where study = ? order by task"
        return list(self.query(sql, [study])["task"].to_pylist())

    def _of_one_export(self, ask: Callable[[], _Answer]) -> _Answer:
        """Return an answer that no export came between, asking again where one did."""
        while True:
            try:
                if self._place.moment() != self._moment:
                    self._open()
                answer = ask()
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                if self._place.moment() == self._moment:
                    raise SeedbedError(self._explain(error)) from error
            else:
                if self._place.moment() == self._moment:
                    return answer

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
    def _explain(error: Exception) -> str:
        """Return what DuckDB says at first, and what there is in place of what is not."""
        lines = [line for line in str(error).splitlines() if line.strip()]
        text = "\n".join(lines[:_LINES_OF_DUCKDB])
        if isinstance(error, duckdb.CatalogException) and "Table with name" in text:
            text += f"\nThe tables are {', '.join(names())}."
        elif isinstance(error, duckdb.BinderException) and "column" in text:
            text += "\nThe query `describe trials` shows the columns of a table."
        return text


_LINES_OF_DUCKDB: Final = 4
"""The message, a hint, and the line of the statement with its mark; candidates may be many more."""

_PIVOT_THAT_READS: Final = re.compile(
    r"(\s|--[^\n]*\n|/\*.*?\*/)*\(*(pivot|unpivot|select|with|from)\b", re.IGNORECASE | re.DOTALL
)


def _define_views(connection: duckdb.DuckDBPyConnection, of: Place) -> None:
    """Define all tables and views of a warehouse, and let nothing else be read from then on."""
    sources = {name: (of.files(name), of.columns(name)) for name in WAREHOUSE_TABLES}
    defined = definitions(sources, [])
    connection.execute(f"create view trials as {defined['trials']}")
    seeds = connection.execute("select distinct do_seed from trials order by 1").fetchall()
    for name, sql in definitions(sources, [seed for (seed,) in seeds]).items():
        connection.execute(f"create or replace view {name} as {sql}")
    of.lock(connection)


def _read_manifest(of: Place) -> dict[str, Any]:
    text = of.text(MANIFEST)
    manifest = _manifest(text) if text is not None else None
    if manifest is None:
        raise SeedbedError(
            f"There is no warehouse at {of.folder}: run `finetune export` first, or name its "
            "folder."
        )
    found = manifest["schema_version"]
    if found != SCHEMA_VERSION:
        raise SeedbedError(
            f"The warehouse at {of.folder} has schema version {found}, and this Seedbed reads "
            f"version {SCHEMA_VERSION}: run `finetune export` again."
        )
    return manifest


def _manifest(text: str) -> dict[str, Any] | None:
    """Return what a manifest says; None where it is none of a warehouse or a release."""
    try:
        manifest = json.loads(text)
    except ValueError:
        return None
    if not isinstance(manifest, dict):
        return None
    release = manifest.get("release")
    if isinstance(release, dict) and "schema_version" in release:
        return {**manifest, "schema_version": release["schema_version"]}
    return manifest if "schema_version" in manifest else None
