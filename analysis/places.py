"""Where a warehouse can stand: in a folder, as an export or as a release, or on `s3://` or `hf://`.

A place knows the files of each table, opens a connection of DuckDB's that can reach them, and locks
it so that it reaches nothing else.
"""

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import duckdb
import pyarrow.parquet as pq

from analysis.schema import arrow_schema
from analysis.table_files import file_of
from finetune.contract import WAREHOUSE_TABLES
from finetune.errors import SeedbedError

_DATA: Final = "data"
"""The folder within a release that holds its tables."""

_SCHEME: Final = "warehouse"
"""What the names of files begin with that only a connection of DuckDB's knows."""


class Place(Protocol):
    """Where a warehouse stands.

    Attributes:
        folder: the folder, or the address of one.
    """

    folder: Path

    def moment(self) -> object:
        """Return something that is another once an export has replaced what stands there."""
        ...

    def text(self, name: str) -> str | None:
        """Return the text of a file beside the tables; None where there is no such file."""
        ...

    def files(self, table: str) -> list[str]:
        """Return the files of a table, as DuckDB takes them, sorted by task."""
        ...

    def columns(self, table: str) -> Sequence[str]:
        """Return the columns that the files of a table have."""
        ...

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a connection that can read the files."""
        ...

    def lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take from a connection all that it does not need to read the files."""
        ...

    def read_only(self) -> "Place":
        """Return the same place, whose connections cannot write the files either, if they could."""
        ...


def place(folder: Path | str) -> Place:
    """Return the place of a folder, or of an address such as `hf://datasets/owner/name`."""
    # A path has no two slashes in a row.
    scheme, mark, rest = str(folder).partition(":/")
    if mark and scheme in ("s3", "hf"):
        return Remote(f"{scheme}://{rest.strip('/')}")
    return Local(Path(folder))


class Local:
    """A folder on this machine; see `Place`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def moment(self) -> object:
        """Return what tells one manifest from the next."""
        try:
            found = (self.folder / "manifest.json").stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def text(self, name: str) -> str | None:
        """Return the text of a file beside the tables; None where there is no such file."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def files(self, table: str) -> list[str]:
        """Return the files of a table, escaped, since DuckDB takes names for patterns."""
        return [glob.escape(str(path.absolute())) for path in self._paths(table)]

    def columns(self, table: str) -> Sequence[str]:
        """Return the columns of a table's first file; the contract's where there is none."""
        paths = self._paths(table)
        return list(pq.read_schema(paths[0]).names) if paths else arrow_schema(table).names

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a connection that can read all files."""
        return _connect()

    def lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let nothing be read but the tables, and nothing be set."""
        paths = [path.absolute() for table in WAREHOUSE_TABLES for path in self._paths(table)]
        # DuckDB asks for both: for the pattern that stands for a name, and for the name.
        names = {name for path in paths for name in (str(path), glob.escape(str(path)))}
        _lock(connection, sorted(names))

    def read_only(self) -> Place:
        """Return the same folder, of which connections see nothing but the tables, to be read."""
        return _ReadOnly(self.folder)

    def _paths(self, table: str) -> list[Path]:
        root = self.folder
        if (root / _DATA / table).is_dir():  # a release
            return sorted((root / _DATA / table).rglob("*.parquet"))
        if table == "trials":
            return [path for path in [root / file_of("trials", "")] if path.exists()]
        return sorted((root / table).glob(f"task=*/{table}.parquet"))


class _ReadOnly(Local):
    """A folder whose tables DuckDB reads by way of Python, which does not write; see `Place`."""

    def files(self, table: str) -> list[str]:
        """Return the files of a table, by names that only its connections know."""
        return [f"{_SCHEME}://{name}" for name in self._named(table)]

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a connection that has the tables as a file system of their own."""
        from analysis.table_filesystem import TableFilesystem

        connection = _connect()
        named = {
            name: path for table in WAREHOUSE_TABLES for name, path in self._named(table).items()
        }
        connection.register_filesystem(TableFilesystem(_SCHEME, named))
        return connection

    def lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let nothing be read but the tables, and nothing be set."""
        _lock(connection, [file for table in WAREHOUSE_TABLES for file in self.files(table)])

    def _named(self, table: str) -> Mapping[str, Path]:
        paths = self._paths(table)
        return {f"{table}/{number}.parquet": path.absolute() for number, path in enumerate(paths)}


class Remote:
    """A folder on S3 or on the Hugging Face Hub, which DuckDB reads by its extension; see `Place`.

    Args:
        address: `s3://bucket/folder` or `hf://datasets/owner/name`, of an export or of a release.

    Raises:
        SeedbedError: where the extension is not there.
    """

    def __init__(self, address: str) -> None:
        self.folder = Path(address)  # for messages
        self._address = address
        self._files: dict[str, list[str]] = {}
        self._reader = self.connect()

    def moment(self) -> object:
        """Return always the same: a remote folder is taken to stand still."""
        return self._address

    def text(self, name: str) -> str | None:
        """Return the text of a file beside the tables; None where there is no such file."""
        try:
            found = self._reader.execute(
                "select content from read_text(?)", [f"{self._address}/{name}"]
            ).fetchone()
        except duckdb.HTTPException as error:
            raise SeedbedError(f"{self._address} cannot be read: {error}.") from error
        except duckdb.IOException:
            return None
        return None if found is None else str(found[0])

    def files(self, table: str) -> list[str]:
        """Return the files of a table, sorted by name."""
        if table not in self._files:
            root = f"{self._address}/{_DATA}/{table}"
            depths = ("*.parquet", "*/*.parquet")
            patterns = [f"{root}/{depth}" for depth in depths]
            patterns.append(f"{self._address}/{file_of(table, '*').as_posix().replace('%2A', '*')}")
            found = [self._glob(pattern) for pattern in patterns]
            self._files[table] = next((files for files in found if files), [])
        return self._files[table]

    def columns(self, table: str) -> Sequence[str]:
        """Return the columns of a table's first file; the contract's where there is none."""
        if not (files := self.files(table)):
            return list(arrow_schema(table).names)
        described = self._reader.execute(
            "select column_name from (describe from read_parquet(?, hive_partitioning = false))",
            [files[0]],
        )
        return [name for (name,) in described.fetchall()]

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Return a connection with the extension, and with the keys that the environment names."""
        connection = _connect()
        try:
            connection.execute("load httpfs")
        except duckdb.Error as error:
            raise SeedbedError(
                f"To read {self._address}, DuckDB needs its extension httpfs, which is not here: "
                "install it with `python -c \"import duckdb; duckdb.sql('install httpfs')\"`, or "
                "copy the folder to this machine and name the copy."
            ) from error
        if self._address.startswith("s3:"):
            for name, variable in _S3_SETTINGS.items():
                if value := os.environ.get(variable):
                    connection.execute(f"set {name} = {_literal(value)}")
        elif token := _hub_token():
            connection.execute(f"create secret (type huggingface, token {_literal(token)})")
        return connection

    def lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let nothing be read but the tables, and nothing be set."""
        files = [file for table in WAREHOUSE_TABLES for file in self.files(table)]
        _lock(connection, files)

    def read_only(self) -> Place:
        """Return the same: what its connections can write, the keys say that they are given."""
        return self

    def _glob(self, pattern: str) -> list[str]:
        try:
            rows = self._reader.execute("select file from glob(?) order by 1", [pattern]).fetchall()
        except duckdb.Error:
            return []
        return [file for (file,) in rows]


_S3_SETTINGS: Final[Mapping[str, str]] = {
    "s3_access_key_id": "AWS_ACCESS_KEY_ID",
    "s3_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "s3_session_token": "AWS_SESSION_TOKEN",
    "s3_region": "AWS_REGION",
}
"""DuckDB's settings for S3, and the variables of the environment that hold them."""


def _hub_token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


# ── Connections ──────────────────────────────────────────────────────────────────────────────────
_SETTINGS: Final[dict[str, str | int | float | list[str]]] = {
    # Nothing is fetched from the network because a query names an extension's function.
    "autoinstall_known_extensions": False,
    # A name in a query is a table's, never a variable's of the program that asks.
    "python_enable_replacements": False,
    # What does not fit into memory is refused, not written to the working directory.
    "temp_directory": "",
}


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config=_SETTINGS)
    connection.execute("set timezone = 'UTC'")
    return connection


def _lock(connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> None:
    """Let a connection read these files and no others, and keep its settings as they are."""
    listed = ", ".join(map(_literal, files))
    connection.execute(f"set allowed_paths = [{listed}]")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
