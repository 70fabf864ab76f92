"""Tracking stores: a SQLite file or a server, opened, kept fit, their faults put into words."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SAMPLED = 1000
"""Rows of each value that the planner's statistics are made of; milliseconds at any size, and the
plans are those of full statistics."""


def sqlite_file(store: str) -> Path | None:
    """Return the file of a SQLite store; None for any other store."""
    prefix = "sqlite:///"
    return Path(store.removeprefix(prefix)) if store.startswith(prefix) else None


class Store:
    """One tracking store.

    Attributes:
        uri: as MLflow takes it.
        file: of a SQLite store; None for any other.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        # As named here and now: MLflow would take a relative one anew, or from its cache, wherever
        # the process has gone to since.
        file = sqlite_file(uri)
        self.file = None if file is None else file.absolute()

    @property
    def name(self) -> str:
        """What tells it from other stores, whatever directory it is named in; no password."""
        if self.file is not None:
            return str(self.file.resolve())
        parts = urlsplit(self.uri)
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=host).geturl().rstrip("/")

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that is not there."""
        return self.file is not None and not self.file.exists()

    @property
    def work_folder(self) -> Path:
        """Where Seedbed keeps files of its own: beside a SQLite file, else where it is run."""
        return (Path.cwd() if self.file is None else self.file.parent) / ".seedbed"

    @property
    def artifacts(self) -> str | None:
        """Where the artefacts of its runs lie: beside a SQLite file; None: the server knows."""
        return None if self.file is None else (self.file.parent / "mlruns").as_uri()

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's client; opened quietly. A SQLite file is created where there is none.

        Raises:
            SeedbedError: where it cannot be opened.
        """
        import logging

        # MLflow's migrations tell each of their steps when a store is created; and what goes wrong
        # in the database is told by whoever waits for it.
        for name in ("alembic", "alembic.runtime.migration"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        if self.file is None:
            # MLflow would make each request up to eight times, whatever it is: a run would be
            # created twice where an answer was lost. The writer knows what can be made again.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with self.faults():
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            from mlflow import MlflowClient

            where = self.uri if self.file is None else f"sqlite:///{self.file}"
            client = MlflowClient(tracking_uri=where)
            client.search_experiments(max_results=1)
        return client

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn what MLflow and its database raise into a sentence for the user."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            advice = (
                "Check MLFLOW_TRACKING_URI, or --store, and that the server is up."
                if self.file is None
                else "Check that it is an MLflow store, that the disk has room and that you may "
                "write there."
            )
            raise SeedbedError(f"tracking store {self.uri}: {self.reason(error)}. {advice}") from (
                error
            )

    def reason(self, error: BaseException) -> str:
        """Return in a few words what an error means."""
        text = str(error)
        if self.file is None and ("Max retries" in text or "timed out" in text):
            return "the server does not answer"
        # A database's own words, from among SQLAlchemy's: "… (sqlite3.OperationalError) …".
        if found := re.search(r"\((?:\w+\.)+\w*Error\) (.+)", text):
            return found[1].strip().rstrip(".")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[0].rstrip(".") if lines else type(error).__name__

    def may_pass(self, error: BaseException) -> bool:
        """Return whether an error may be gone when the same is tried again later.

        Such as a server that is away or not to be entered for now, a database that another has
        locked, a full disk; not a run that was deleted.
        """
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import OperationalError

        if isinstance(error, MlflowException):
            status: int = error.get_http_status_code()  # type: ignore[no-untyped-call]
            return status >= 500 or status in (401, 403, 408, 429)
        return isinstance(error, (OSError, sqlite3.OperationalError, OperationalError))

    # ── SQLite ───────────────────────────────────────────────────────────────────────────────────
    def let_readers_be(self) -> None:
        """Set a SQLite file to write-ahead logging, with which readers never hold up the writer.

        MLflow does not; it is set once and stays in the file.
        """
        if self.file is not None:
            with closing(sqlite3.connect(self.file, timeout=20)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")

    def analyze(self, *, always: bool = False) -> None:
        """Give a SQLite file the planner's statistics, without which MLflow reads 30 times slower.

        Done where there are none, and where the file has doubled since; MLflow never does it. Where
        another has the file locked it is left for the next time.

        Args:
            always: also where it has grown by less.
        """
        if self.file is None:
            return
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(self.file, timeout=1)) as connection,
        ):
            if always or _has_doubled(connection):
                connection.execute(f"PRAGMA analysis_limit={_SAMPLED}")
                connection.execute("ANALYZE")
                connection.commit()


def _has_doubled(connection: sqlite3.Connection) -> bool:
    """Return whether there are twice the metrics there were when statistics were last made."""
    rows = connection.execute("SELECT max(rowid) FROM metrics").fetchone()[0] or 0
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'").fetchone()
    counted = (
        connection.execute("SELECT max(stat + 0) FROM sqlite_stat1 WHERE tbl = 'metrics'")
        if known
        else None
    )
    return bool(rows >= 2 * ((counted.fetchone()[0] if counted else 0) or 1))
