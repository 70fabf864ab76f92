"""Reading the runs straight from the database that MLflow keeps them in, SQLite or PostgreSQL.

The public client makes an object of every value and a request of every history. Here a run's
metrics come as Arrow record batches by ADBC, some fifty times as fast, all within one read
transaction: what comes out is the store as it was at one moment, whatever is written meanwhile.

A reader of SQLite holds nobody up where the store has write-ahead logging, which tracking sets. In
a store without it a reader blocks the writer, which gives up after 20 s; there the transaction is
begun anew every second, and what was logged since the first one is left out.

ADBC brings a SQLite of its own, and two of them in one process do not see each other's locks: read
a store here in another process than the one that is writing to it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pyarrow as pa

from analysis.runs import Counted, History, RunRecord, check_file, shown
from finetune.contract import TAG_TRIAL_ID
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from adbc_driver_manager import AdbcDatabase

SECONDS_TO_BLOCK: Final = 1.0
"""How long a writer waits at most for a reader of a store without write-ahead logging."""

_ROWS_A_BATCH: Final = 65_536
_SECONDS_FOR_WRITER: Final = 20
"""How long a writer may keep this reader waiting: as long as MLflow has its own readers wait."""


class DatabaseReader:
    """Reads from MLflow's own tables, in one read transaction, and changes nothing.

    Args:
        store: a tracking URI: `sqlite:///…` or `postgresql://…`.
        counted: what an earlier reading counted; spares it counting again what was there then.

    Raises:
        SeedbedError: where there is no such store.
    """

    def __init__(self, store: str, counted: Counted | None = None) -> None:
        self._store = shown(store)
        self._earlier = counted
        self._is_sqlite = _scheme(store) == "sqlite"
        with self._complaints():
            self._transaction = _sqlite(store) if self._is_sqlite else _postgresql(store)
        try:
            self._check_tables()
            self._blocks_writers = self._is_sqlite and self._value("pragma journal_mode") != "wal"
        except BaseException:
            self._transaction.close()
            raise
        self._begun = time.monotonic()
        self.counted: Counted | None = None
        """What this reading counted, once `runs` was called; None where counting is no help."""

    def close(self) -> None:
        """End the transaction and the connection."""
        self._transaction.close()

    def runs(self, others: Callable[[str], bool] = lambda _: False) -> list[RunRecord]:
        """Return every run of the experiments that are wanted; see `RunReader`."""
        with self._complaints():
            experiments = self._experiments(others)
            if not experiments:
                return []
            params = self._texts("params", experiments)
            tags = self._texts("tags", experiments)
            metrics: dict[str, dict[str, int]] = defaultdict(dict)
            for run, key, step in self._rows(
                "select m.run_uuid, m.key, m.step from latest_metrics m "  # noqa: S608
                f"{_of_experiments('m', experiments)}"
            ):
                metrics[run][key] = step
            values = self._counts()
            found = [
                RunRecord(
                    id=run,
                    name=name or tags[run].get("mlflow.runName") or run,
                    experiment=experiments[experiment],
                    status=status,
                    started_at=started_at,
                    ended_at=ended_at or None,
                    params=params[run],
                    tags=tags[run],
                    metrics=metrics[run],
                    values=values.get(run, 0),
                    mark=str(values.get(run, 0)),
                )
                for run, experiment, name, status, started_at, ended_at in self._rows(
                    "select r.run_uuid, r.experiment_id, coalesce(r.name, ''), "  # noqa: S608
                    "coalesce(r.status, ''), coalesce(r.start_time, 0), coalesce(r.end_time, 0) "
                    f"from runs r where {_ACTIVE} and {_in(experiments)}"
                )
            ]
            self._let_writers_in()
            return found

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        """Yield each of the runs with the whole history of each of its metrics."""
        for run in runs:
            with self._complaints():
                histories = self._histories(run)
            yield run, histories

    def _histories(self, run: RunRecord) -> dict[str, History]:
        logged = self._table(
            "select key, step, timestamp, value, is_nan from metrics "  # noqa: S608
            f"where run_uuid = {_literal(run.id)}"
        )
        self._let_writers_in()
        value = logged["value"].to_numpy()
        is_nan = logged["is_nan"].to_numpy().astype(bool)
        if is_nan.any():
            value = value.copy()
            value[is_nan] = float("nan")
        keys = logged["key"].combine_chunks().dictionary_encode()
        codes = keys.indices.to_numpy()
        histories = {}
        for code, key in enumerate(keys.dictionary.to_pylist()):
            rows = codes == code
            histories[key] = History.from_logged(
                logged["step"].to_numpy()[rows], logged["timestamp"].to_numpy()[rows], value[rows]
            )
        if self._blocks_writers:
            return {key: histories[key].up_to(step) for key, step in run.metrics.items()}
        return histories

    def _let_writers_in(self) -> None:
        """End the transaction where it may keep a writer waiting; the next query begins another."""
        if self._blocks_writers and time.monotonic() - self._begun > SECONDS_TO_BLOCK:
            self._transaction.renew()
            self._begun = time.monotonic()

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────────
    def _experiments(self, others: Callable[[str], bool]) -> dict[int, str]:
        """Return the names of the experiments that are wanted, by id."""
        named = self._rows(
            "select experiment_id, name from experiments where lifecycle_stage = 'active'"
        )
        with_trials = {
            experiment
            for (experiment,) in self._rows(
                "select distinct r.experiment_id from runs r join tags t using (run_uuid) "  # noqa: S608
                f"where {_ACTIVE} and t.key = {_literal(TAG_TRIAL_ID)}"
            )
        }
        return {id_: name for id_, name in named if id_ in with_trials or others(name)}

    def _texts(self, table: str, experiments: Iterable[int]) -> dict[str, dict[str, str]]:
        """Return the params or the tags of all runs, by run and key."""
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        rows = self._table(
            f"select t.run_uuid, t.key, coalesce(t.value, '') as value from {table} t "  # noqa: S608
            f"{_of_experiments('t', experiments)}"
        )
        columns = (rows[name].to_pylist() for name in ("run_uuid", "key", "value"))
        for run, key, value in zip(*columns, strict=True):
            texts[run][key] = value
        return texts

    def _counts(self) -> Mapping[str, int]:
        """Return how many metric values each run has."""
        if not self._is_sqlite:
            return self._count()
        earlier = self._earlier
        last = self._value("select coalesce(max(rowid), 0) from metrics")
        if earlier is not None and self._row(earlier.last) == earlier.row:
            new = self._count_after(earlier.last)
            values = {
                run: earlier.values.get(run, 0) + new.get(run, 0) for run in {*earlier.values, *new}
            }
        else:
            values = self._count()
        self.counted = Counted(last, self._row(last), values)
        return values

    def _count(self) -> dict[str, int]:
        return dict(self._rows("select run_uuid, count(*) from metrics group by run_uuid"))

    def _count_after(self, number: int) -> dict[str, int]:
        # The plus keeps SQLite from going over the whole index of runs for the sake of its order.
        rows = self._rows(
            f"select run_uuid, count(*) from metrics where rowid > {number} group by +run_uuid"  # noqa: S608
        )
        return dict(rows)

    def _row(self, number: int) -> str:
        """Return what stands in a row of the metrics; empty where there is none of that number."""
        rows = self._rows(
            f"select run_uuid, key, step, timestamp, value from metrics where rowid = {number}"  # noqa: S608
        )
        return repr(rows[0]) if rows else ""

    # ── Asking ───────────────────────────────────────────────────────────────────────────────────
    def _table(self, sql: str) -> pa.Table:
        return self._transaction.table(sql)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        columns = [column.to_pylist() for column in self._table(sql).columns]
        return list(zip(*columns, strict=True))

    def _value(self, sql: str) -> Any:
        return self._rows(sql)[0][0]

    def _check_tables(self) -> None:
        try:
            self._rows("select 1 from runs, tags, params, latest_metrics, metrics where 1 = 0")
        except _database_errors() as error:
            reason = _reason(error)
            if "not a database" in reason or "unable to open" in reason:
                raise SeedbedError(f"{self._store} cannot be read: {reason}.") from error
            raise SeedbedError(
                f"{self._store} is a database, but no MLflow store: name the one that the trials "
                "were tracked in."
            ) from error

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        """Turn what the database complains of into words for the user."""
        try:
            yield
        except _database_errors() as error:
            raise SeedbedError(
                f"{self._store} could not be read: {_reason(error)}. "
                "Check that this is the store of your runs, and that you may read it."
            ) from error


def _database_errors() -> tuple[type[Exception], ...]:
    """Return what may be raised by a query, and by reading its batches."""
    from adbc_driver_manager import Error

    return Error, pa.ArrowException, OSError


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


_ACTIVE: Final = "r.lifecycle_stage = 'active'"


def _in(experiments: Iterable[int]) -> str:
    return f"r.experiment_id in ({', '.join(map(str, experiments))})"


def _of_experiments(table: str, experiments: Iterable[int]) -> str:
    """Return the SQL that keeps a table's rows of runs that are not deleted."""
    return f"join runs r on r.run_uuid = {table}.run_uuid where {_ACTIVE} and {_in(experiments)}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# ── Connecting ───────────────────────────────────────────────────────────────────────────────────
def reads(store: str) -> bool:
    """Return whether a tracking URI names a database that can be read here."""
    return _scheme(store) in ("sqlite", "postgresql")


def _scheme(store: str) -> str:
    """Return the scheme of a URI, without the driver that SQLAlchemy may be told there."""
    scheme = urlsplit(store).scheme.partition("+")[0]
    return "postgresql" if scheme == "postgres" else scheme


class _Transaction:
    """A connection to a database, in a transaction that only reads.

    Args:
        database: where to.
        before: statements before the transaction.
        first: its first statements.
        options: of each query.
    """

    def __init__(
        self,
        database: AdbcDatabase,
        before: Sequence[str] = (),
        first: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
    ) -> None:
        from adbc_driver_manager import AdbcConnection

        self._options = dict(options or {})
        self._database = database
        self._connection = AdbcConnection(database)
        try:
            for sql in before:
                self.table(sql)
            self._connection.set_autocommit(False)
            for sql in first:
                self.table(sql)
        except BaseException:
            self.close()
            raise

    def table(self, sql: str) -> pa.Table:
        """Return what a query finds."""
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            statement.set_options(**self._options)
            statement.set_sql_query(sql)
            batches, _ = statement.execute_query()
            with pa.RecordBatchReader.from_stream(batches) as reader:
                return reader.read_all()

    def renew(self) -> None:
        """End the transaction; the next query begins another."""
        self._connection.commit()

    def close(self) -> None:
        """End the transaction and the connection."""
        self._connection.close()
        self._database.close()


def _sqlite(store: str) -> _Transaction:
    from adbc_driver_sqlite import connect

    file = Path(store.partition(":///")[2].partition("?")[0])
    check_file(file)
    return _Transaction(
        connect(f"{file.absolute().as_uri()}?mode=ro"),
        before=[f"pragma busy_timeout = {1000 * _SECONDS_FOR_WRITER}"],
        options={"adbc.sqlite.query.batch_rows": str(_ROWS_A_BATCH)},
    )


def _postgresql(store: str) -> _Transaction:
    from adbc_driver_postgresql import connect

    # The driver that SQLAlchemy is told of after a plus is none of libpq's.
    return _Transaction(
        connect("postgresql:" + store.partition(":")[2]),
        first=["set transaction isolation level repeatable read, read only"],
    )
