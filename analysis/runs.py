"""Reading the runs of trials out of an MLflow tracking store, as plain records.

A reader yields what MLflow holds and knows nothing of tables; `analysis.export` makes tables of it
and knows nothing of MLflow.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np

from finetune.contract import TAG_TRIAL_ID
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run
    from mlflow.exceptions import MlflowException
    from mlflow.store.entities import PagedList
    from numpy.typing import ArrayLike, NDArray

_Item = TypeVar("_Item")

_MLFLOW_INFINITY: Final = np.finfo(np.float64).max
"""What MLflow's SQL stores hold in place of infinity, with its sign: the largest of all numbers."""

_PAGE: Final = 1_000
_SECONDS_TO_ANSWER: Final = 10.0

_SECONDS_TO_SETTLE: Final = 3_600.0
"""How long after the latest that a store tells of a run more is awaited that it may not tell of."""


@dataclass(frozen=True)
class RunRecord:
    """A run as MLflow holds it, without the histories of its metrics.

    Attributes:
        id: MLflow's id of the run.
        name: its name.
        experiment: the name of its experiment.
        status: how it stands, in MLflow's words: `RUNNING`, `FINISHED`, `FAILED`, `KILLED`.
        started_at: milliseconds since the epoch.
        ended_at: the same, or None while it has not ended.
        params: all its params.
        tags: all its tags.
        metrics: the keys of its metrics, each with the highest step that it was logged at.
        values: how many metric values the store counts; None where it cannot be asked for that.
        mark: a text that is another once anything else was logged, as far as the store can tell;
            None where more is to be awaited that the store would not tell of.
    """

    id: str
    name: str
    experiment: str
    status: str
    started_at: int
    ended_at: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, int]
    values: int | None
    mark: str | None


@dataclass(frozen=True, eq=False)
class History:
    """Every value that was logged of one metric of one run, by step, then time, then value.

    NaN counts as the greatest value, so that every reader gives the same order.

    Attributes:
        steps: int64[n].
        timestamps: int64[n], milliseconds since the epoch.
        values: float64[n]; NaN and infinities are what they were when they were logged.
    """

    steps: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def from_logged(cls, steps: ArrayLike, timestamps: ArrayLike, values: ArrayLike) -> Self:
        """Sort what was logged.

        Args:
            steps: n steps in any order.
            timestamps: n times in milliseconds since the epoch.
            values: n values, infinities as MLflow's SQL stores hold them.
        """
        step = np.asarray(steps, np.int64)
        timestamp = np.asarray(timestamps, np.int64)
        value = np.array(values, np.float64)
        is_infinite = np.abs(value) == _MLFLOW_INFINITY
        value[is_infinite] = np.copysign(np.inf, value[is_infinite])
        if np.all(step[1:] > step[:-1]):
            return cls(step, timestamp, value)
        order = np.lexsort((value, timestamp, step))
        return cls(step[order], timestamp[order], value[order])

    def last_of_each_step(self) -> Self:
        """Return each step once, with the value that was written last.

        That is the one of the latest time; of equal times, which no reader can tell apart, the
        greatest value.
        """
        is_last = np.ones(len(self), np.bool_)
        is_last[:-1] = self.steps[1:] != self.steps[:-1]
        return self if is_last.all() else self._only(is_last)

    def up_to(self, step: int) -> Self:
        """Return what was logged at a step and before."""
        return self._only(self.steps <= step)

    def _only(self, chosen: NDArray[np.bool_]) -> Self:
        return type(self)(self.steps[chosen], self.timestamps[chosen], self.values[chosen])


@dataclass(frozen=True)
class Unread:
    """What stands in place of a run's histories where they could not be read.

    Attributes:
        reason: why, in words for the user.
    """

    reason: str


@dataclass(frozen=True)
class Counted:
    """What an earlier reading of a SQLite store found its metrics to be.

    SQLite numbers the rows of a table ever upwards, and MLflow never changes one: as long as the
    row that was last is still there and the same, all that is new comes after it.

    Attributes:
        last: the number of the last row.
        row: what stood in it.
        values: per run how many metric values it had.
    """

    last: int
    row: str
    values: Mapping[str, int]


class RunReader(Protocol):
    """Where runs are read from.

    Attributes:
        counted: what was counted, once `runs` was called; None where it spares the next nothing.
    """

    counted: Counted | None

    def runs(self, others: Callable[[str], bool]) -> list[RunRecord]:
        """Return every run, deleted ones left out, of the experiments that are wanted.

        Those are all that have trials, and any other whose name `others` accepts.
        """
        ...

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History] | Unread]]:
        """Yield each of the runs, in their order, with the whole history of each of its metrics.

        What is logged after `runs` was called is not among it. A run that cannot be read, where
        others can, comes with the reason.
        """
        ...


class ClientReader:
    """Reads through MLflow's public client, and so from any store that MLflow can reach.

    Nothing is created, migrated or written: a store that is not there, or that MLflow would have to
    change before reading it, is refused. A server that is busy or away for a moment is asked again,
    ever more slowly, by MLflow's client. Where a history then still does not come, the store is
    asked for something else: one that answers goes on being read without that run, one that does
    not ends the reading.

    Args:
        store: a tracking URI: `sqlite:///…`, another database's, or `http(s)://…`.
        requests: how many requests are under way at the same time.

    Raises:
        SeedbedError: where there is no such store, or it does not answer.
    """

    def __init__(self, store: str, requests: int = 8) -> None:
        self._uri = store
        self._store = shown(store)
        self._requests = requests
        self._away: SeedbedError | None = None
        self.counted: Counted | None = None
        _silence_telemetry()
        _check_store(store)
        from mlflow import MlflowClient

        with self._complaints():
            self._client: MlflowClient = MlflowClient(tracking_uri=store)

    def runs(self, others: Callable[[str], bool] = lambda _: False) -> list[RunRecord]:
        """Return every run of the experiments that are wanted; see `RunReader`."""
        with self._complaints():
            return [
                _record(run, experiment.name)
                for experiment in self._experiments(others)
                for run in self._runs(experiment.experiment_id)
            ]

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History] | Unread]]:
        """Yield each of the runs with the whole history of each of its metrics; see `RunReader`.

        Raises:
            SeedbedError: where the store does not answer any more.
        """
        with ThreadPoolExecutor(self._requests) as pool:
            waiting: deque[tuple[RunRecord, Mapping[str, Future[History]]]] = deque()
            try:
                for run in runs:
                    waiting.append(
                        (run, {key: pool.submit(self._history, run, key) for key in run.metrics})
                    )
                    # Far enough ahead to keep the server busy, and no further.
                    if len(waiting) > self._requests:
                        yield _awaited(*waiting.popleft())
                while waiting:
                    yield _awaited(*waiting.popleft())
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Give back what the reader holds: nothing."""

    def _history(self, run: RunRecord, key: str) -> History:
        from mlflow.exceptions import MlflowException

        if self._away is not None:
            raise self._away  # it need not be found out again, which takes minutes
        try:
            logged = self._client.get_metric_history(run.id, key)
        except MlflowException as error:
            self._check_answers()
            raise _UnreadError(f"its {key} could not be read ({self._reason(error)})") from error
        history = History.from_logged(
            [metric.step for metric in logged],
            [metric.timestamp for metric in logged],
            [metric.value for metric in logged],
        )
        # The run may have gone on since it was listed, and not all of its metrics as far.
        return history.up_to(run.metrics[key])

    def _check_answers(self) -> None:
        """Check that the store still answers.

        Raises:
            SeedbedError: where it does not.
        """
        try:
            _check_store(self._uri)
            with self._complaints():
                self._client.search_experiments(max_results=1)
        except SeedbedError as away:
            self._away = away
            raise

    def _experiments(self, others: Callable[[str], bool]) -> Iterator[Experiment]:
        for experiment in _all_pages(
            lambda token: self._client.search_experiments(max_results=_PAGE, page_token=token)
        ):
            if others(experiment.name) or self._client.search_runs(
                [experiment.experiment_id], _HAS_TRIAL, max_results=1
            ):
                yield experiment

    def _runs(self, experiment_id: str) -> Iterator[Run]:
        # Oldest first, so that a run that starts meanwhile comes after the page being read.
        return _all_pages(
            lambda token: self._client.search_runs(
                [experiment_id],
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        )

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        """Turn what MLflow complains of into words for the user."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise SeedbedError(
                f"MLflow could not read {self._store}: {self._reason(error)}. "
                "Check that this is the store of your runs, and that you may read it."
            ) from error

    def _reason(self, error: MlflowException) -> str:
        """Return what MLflow complains of: the cause where it names one, and never a password."""
        text = str(error).splitlines()[0].replace(self._uri.rstrip("/"), self._store.rstrip("/"))
        cause = _CAUSE.search(text)
        return (cause[1] if cause else text).rstrip(".")


class _UnreadError(Exception):
    """A history could not be read."""


_CAUSE: Final = re.compile(r"""\(Caused by \w+\(["'](.+)["']\)\)$""")
"""What is wrong, at the end of what urllib3 says when it has asked often enough."""

_HAS_TRIAL: Final = f"tags.`{TAG_TRIAL_ID}` LIKE '%'"
"""A filter of MLflow's: runs that have the tag."""


def _all_pages(page: Callable[[str | None], PagedList[_Item]]) -> Iterator[_Item]:
    """Yield the items of all pages, each fetched with the token that came with the one before."""
    items = page(None)
    yield from items
    while items.token:
        items = page(items.token)
        yield from items


def _record(run: Run, experiment: str) -> RunRecord:
    latest = sorted((m.key, m.step, m.timestamp, m.value) for m in run.data.to_proto().metrics)
    times = [run.info.start_time, run.info.end_time or 0, *(at for _, _, at, _ in latest)]
    is_settled = max(times) / 1000 < time.time() - _SECONDS_TO_SETTLE
    return RunRecord(
        id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        experiment=experiment,
        status=run.info.status,
        started_at=run.info.start_time,
        ended_at=run.info.end_time or None,
        params=run.data.params,
        tags=run.data.tags,
        metrics={key: step for key, step, *_ in latest},
        values=None,
        mark=hashlib.sha256(repr(latest).encode()).hexdigest() if is_settled else None,
    )


def _awaited(
    run: RunRecord, histories: Mapping[str, Future[History]]
) -> tuple[RunRecord, Mapping[str, History] | Unread]:
    try:
        return run, {key: history.result() for key, history in histories.items()}
    except _UnreadError as fault:
        return run, Unread(str(fault))


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────
def shown(store: str) -> str:
    """Return a tracking URI as it may be shown: without the password."""
    parts = urlsplit(store)
    if parts.password is None:
        return store
    return store.replace(f":{parts.password}@", ":***@", 1)


def _check_store(store: str) -> None:
    """Refuse a store that is not there, before MLflow makes one or waits minutes for it."""
    scheme = urlsplit(store).scheme
    if scheme in ("http", "https"):
        _check_server(store)
    elif scheme.partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql"):
        _check_database(store)
    else:
        raise SeedbedError(
            f"{shown(store)!r} is not a tracking store that can be exported: give a database, such "
            "as sqlite:///mlflow.db, or a server, such as http://localhost:5000."
        )


def _check_server(store: str) -> None:
    parts = urlsplit(store)
    host = parts.netloc.rpartition("@")[2]
    try:
        with urlopen(  # noqa: S310  (the scheme is HTTP or HTTPS)
            f"{parts.scheme}://{host}{parts.path.rstrip('/')}/health", timeout=_SECONDS_TO_ANSWER
        ):
            pass
    except HTTPError:
        pass  # it answers; whether it is MLflow, its client will tell
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return  # MLflow has settings of its own for certificates
        raise SeedbedError(
            f"The tracking server {shown(store)} does not answer ({reason}): "
            "check its address, and that it is running."
        ) from error


def _check_database(store: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = sqlalchemy.make_url(store)
        if url.get_backend_name() == "sqlite":
            check_file(Path(url.database or ""))
        engine = sqlalchemy.create_engine(url)
        try:
            tables = set(sqlalchemy.inspect(engine).get_table_names())
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise SeedbedError(f"{shown(store)} cannot be read as a database: {reason}.") from error

    if not {"experiments", "runs", "metrics", "params", "tags"} <= tables:
        raise SeedbedError(
            f"{shown(store)} is a database, but no MLflow store: name the one that the trials were "
            "tracked in."
        )
    if missing := _tables_of_mlflow() - tables:
        raise SeedbedError(
            f"{shown(store)} was made by another version of MLflow and lacks its table "
            f"{min(missing)}: make a copy of it, then run `mlflow db upgrade {shown(store)}`."
        )


def check_file(path: Path) -> None:
    """Refuse a SQLite store that is not there, before it is made by opening it."""
    if not path.is_file():
        raise SeedbedError(
            f"There is no tracking store at {path}: run a study first, or name the store with "
            "MLFLOW_TRACKING_URI."
        )


def _tables_of_mlflow() -> set[str]:
    """Return the tables that the installed MLflow would create in a database that lacks them."""
    import mlflow.store.db.utils  # noqa: F401  (registers the models of all tables)
    from mlflow.store.db.base_sql_model import Base

    return set(Base.metadata.tables)


def _silence_telemetry() -> None:
    """Keep MLflow from reporting its use over the network, unless the user has decided on it."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
