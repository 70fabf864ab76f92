"""Reading the runs of trials out of an MLflow tracking store, as plain records.

A reader yields what MLflow holds and knows nothing of tables; `analysis.export` makes tables of it
and knows nothing of MLflow.
"""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np

from finetune.contract import METRIC_EPOCH, METRIC_TRAIN_LOSS, TAG_TRIAL_ID
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run
    from mlflow.store.entities import PagedList
    from numpy.typing import NDArray

_Item = TypeVar("_Item")

_MLFLOW_INFINITY: Final = 1.797e308
"""MLflow's SQL stores hold ±inf as ±1.7976931348623157e308; no loss or score comes near."""

_PAGE: Final = 1_000
_SECONDS_TO_ANSWER: Final = 10.0


@dataclass(frozen=True)
class RunRecord:
    """A run as MLflow holds it, without its metrics.

    Attributes:
        id: MLflow's id of the run.
        name: its name.
        started_at: milliseconds since the epoch.
        ended_at: the same, or None while it has not ended.
        params: all its params.
        tags: all its tags.
        metrics: the keys of its metrics.
    """

    id: str
    name: str
    started_at: int
    ended_at: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: frozenset[str]


@dataclass(frozen=True, eq=False)
class History:
    """Every value of one metric of one run, a row a step, ascending.

    Attributes:
        steps: int64[n], each step once.
        timestamps: int64[n], milliseconds since the epoch.
        values: float64[n]; NaN and infinities are what they were when they were logged.
        logged: how many values were logged, steps that were logged twice included.
    """

    steps: NDArray[np.int64]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    logged: int

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def from_logged(
        cls, steps: Iterable[int], timestamps: Iterable[int], values: Iterable[float]
    ) -> Self:
        """Sort what was logged by step, and of a step logged more than once keep the last.

        Args:
            steps: n steps in any order.
            timestamps: n times in milliseconds since the epoch.
            values: n values, infinities as MLflow's SQL stores hold them.
        """
        step = np.fromiter(steps, np.int64)
        timestamp = np.fromiter(timestamps, np.int64)
        value = np.fromiter(values, np.float64)

        order = np.lexsort((timestamp, step))
        is_last = np.ones(len(step), np.bool_)
        is_last[:-1] = np.diff(step[order]) != 0
        kept = order[is_last]

        value = value[kept]
        is_infinite = np.abs(value) >= _MLFLOW_INFINITY
        value[is_infinite] = np.copysign(np.inf, value[is_infinite])
        return cls(step[kept], timestamp[kept], value, logged=len(step))


class RunReader(Protocol):
    """Where runs are read from."""

    def runs(self) -> list[RunRecord]:
        """Return every run, deleted ones left out, of every experiment that has trials."""
        ...

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        """Yield each of the runs with the whole history of each metric of the contract."""
        ...


class ClientReader:
    """Reads through MLflow's public client, and so from any store that MLflow can reach.

    Nothing is created, migrated or written: a store that is not there, or that MLflow would have to
    change before reading it, is refused.

    Args:
        store: a tracking URI: `sqlite:///…`, another database's, or `http(s)://…`.

    Raises:
        SeedbedError: where there is no such store, or it does not answer.
    """

    def __init__(self, store: str) -> None:
        self._store = shown(store)
        _silence_telemetry()
        _check_store(store)
        from mlflow import MlflowClient

        with self._complaints():
            self._client: MlflowClient = MlflowClient(tracking_uri=store)

    def runs(self) -> list[RunRecord]:
        """Return every run, deleted ones left out, of every experiment that has trials."""
        with self._complaints():
            experiments = [
                experiment.experiment_id for experiment in self._experiments_with_trials()
            ]
            return [_record(run) for id_ in experiments for run in self._runs(id_)]

    def histories(
        self, runs: Iterable[RunRecord]
    ) -> Iterator[tuple[RunRecord, Mapping[str, History]]]:
        """Yield each of the runs with the whole history of each metric of the contract."""
        for run in runs:
            with self._complaints():
                histories = {
                    key: _history(self._client.get_metric_history(run.id, key))
                    for key in sorted(run.metrics)
                    if _is_of_contract(key)
                }
            yield run, histories

    def _experiments_with_trials(self) -> Iterator[Experiment]:
        for experiment in _all_pages(
            lambda token: self._client.search_experiments(max_results=_PAGE, page_token=token)
        ):
            if self._client.search_runs([experiment.experiment_id], _HAS_TRIAL, max_results=1):
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
            reason = str(error).splitlines()[0].rstrip(".")
            raise SeedbedError(
                f"MLflow could not read {self._store}: {reason}. "
                "Check that this is the store of your runs, and that you may read it."
            ) from error


_HAS_TRIAL: Final = f"tags.`{TAG_TRIAL_ID}` LIKE '%'"
"""A filter of MLflow's: runs that have the tag."""


def _all_pages(page: Callable[[str | None], PagedList[_Item]]) -> Iterator[_Item]:
    """Yield the items of all pages, each fetched with the token that came with the one before."""
    items = page(None)
    yield from items
    while items.token:
        items = page(items.token)
        yield from items


def _record(run: Run) -> RunRecord:
    return RunRecord(
        id=run.info.run_id,
        name=run.info.run_name or run.info.run_id,
        started_at=run.info.start_time,
        ended_at=run.info.end_time or None,
        params=run.data.params,
        tags=run.data.tags,
        metrics=frozenset(run.data.metrics),
    )


def _history(logged: Sequence[Metric]) -> History:
    return History.from_logged(
        (metric.step for metric in logged),
        (metric.timestamp for metric in logged),
        (metric.value for metric in logged),
    )


def _is_of_contract(metric: str) -> bool:
    return metric in (METRIC_TRAIN_LOSS, METRIC_EPOCH) or metric.startswith("eval/")


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
            _check_file(Path(url.database or ""))
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


def _check_file(path: Path) -> None:
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
