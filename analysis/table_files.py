"""The Parquet files of a warehouse's tables: written a row group, and read a trial at a time.

The same rows give the same bytes, however they come in: a file is sorted, cut into row groups of
one size, and holds no time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import arrow_schema, columns_with_statistics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

ROWS_PER_GROUP: Final = 65_536
"""Rows of a Parquet row group: the Hub's advice of 50,000 to 100,000, for readers of a part."""


def file_of(table: str, task: str) -> Path:
    """Return the path within a warehouse of a table's file, or of its file of one task.

    Args:
        table: one of `finetune.contract.WAREHOUSE_TABLES`.
        task: the name of the task; `trials` is one file for all.
    """
    if table == "trials":
        return Path("trials.parquet")
    return Path(table) / f"task={quote(task, safe='')}" / f"{table}.parquet"


class TableWriter:
    """Writes the rows of one file as they come, sorted already; makes no file where none come.

    Args:
        path: where to.
        table: whose rows.
    """

    def __init__(self, path: Path, table: str) -> None:
        self.rows = 0
        self._path = path
        self._schema = arrow_schema(table)
        self._waiting: list[pa.Table] = []
        self._rows_waiting = 0
        self._file: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Take the next rows, in the table's schema."""
        self.rows += rows.num_rows
        self._waiting.append(rows)
        self._rows_waiting += rows.num_rows
        if self._rows_waiting < ROWS_PER_GROUP:
            return
        together = pa.concat_tables(self._waiting)
        whole = len(together) - len(together) % ROWS_PER_GROUP
        for start in range(0, whole, ROWS_PER_GROUP):
            self._write(together.slice(start, ROWS_PER_GROUP))
        self._waiting = [together.slice(whole)]
        self._rows_waiting -= whole

    def close(self) -> None:
        """Write what is left, and the file's end."""
        if rest := [rows for rows in self._waiting if len(rows)]:
            self._write(pa.concat_tables(rest))
        if self._file is not None:
            self._file.close()

    def _write(self, group: pa.Table) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pq.ParquetWriter(
                self._path,
                self._schema,
                compression="zstd",
                write_page_index=True,
                write_statistics=columns_with_statistics(self._schema),
            )
        # In one piece: where the pieces end would else show in the file's pages.
        self._file.write_table(group.combine_chunks(), row_group_size=ROWS_PER_GROUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        elif self._file is not None:
            self._file.close()


class TrialReader:
    """Reads a file once, from its beginning, one trial after another.

    Args:
        path: a file that `TableWriter` wrote; where there is none, no trial has rows.
        table: whose rows.
    """

    def __init__(self, path: Path, table: str) -> None:
        self._empty = arrow_schema(table).empty_table()
        self._parts = _parts(path) if path.exists() else iter(())
        self._next = next(self._parts, None)

    def take(self, study: str, trial_id: str) -> pa.Table:
        """Return the rows of a trial that comes after those asked for before."""
        wanted = (study, trial_id)
        found = [self._empty]
        while self._next is not None and self._next[0] <= wanted:
            if self._next[0] == wanted:
                found.append(self._next[1])
            self._next = next(self._parts, None)
        return pa.concat_tables(found)


def _parts(path: Path) -> Iterator[tuple[tuple[str, str], pa.Table]]:
    """Yield a file's rows in pieces of one trial each, with its study and trial id."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS_PER_GROUP):
            rows = pa.Table.from_batches([batch])
            codes = batch["trial_id"].dictionary_encode().indices.to_numpy()
            starts = np.flatnonzero(np.diff(codes, prepend=-1))
            for start, end in zip(starts, [*starts[1:], len(codes)], strict=True):
                of = (batch["study"][start].as_py(), batch["trial_id"][start].as_py())
                yield of, rows.slice(start, end - start)
