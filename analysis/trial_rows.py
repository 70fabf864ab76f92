"""What a run says of its trial, as rows of the warehouse's tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from analysis.runs import History
from analysis.schema import ARROW_TYPES, SORT_KEYS, arrow_schema
from finetune.contract import (
    KNOWN_OF_OUR_OWN,
    KNOWN_ONCE_STARTED,
    METRIC_BEST_SCORE,
    METRIC_EPOCH,
    METRIC_SCORE,
    METRIC_TRAIN_LOSS,
    METRICS_OF_EVERY_EVALUATION,
    SCHEMA_VERSION,
    TABLES,
    TAG_SCHEMA_VERSION,
    TAG_STATUS,
    TAG_TRIAL_ID,
    TRIALS,
    Column,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from analysis.runs import RunRecord

    Histories = Mapping[str, History]

Row = dict[str, Any]
"""A row of the table `trials`, by column; without the derived columns until histories are read."""


class NotWholeError(Exception):
    """A run lacks something that its trial's rows need; the message says what."""


# ── From params and tags ─────────────────────────────────────────────────────────────────────────
def describe(run: RunRecord, *, is_ours: bool = True) -> Row:
    """Return what a run says of its trial: its row of `trials`, but for the derived columns.

    Args:
        run: the run, in the contract's names.
        is_ours: whether Seedbed trained it; another trainer's may lack what only Seedbed notes.

    Raises:
        NotWholeError: where it lacks something or says what cannot be; the message has all of it.
    """
    _check_version(run)
    row: Row = {
        "started_at": run.started_at,
        "run_id": run.id,
    }
    faults = []
    for column in TRIALS:
        kind, _, key = column.source.partition(":")
        if kind in ("param", "tag"):
            text = (run.params if kind == "param" else run.tags).get(key)
            try:
                row[column.name] = _parse(column, text)
            except ValueError as fault:
                faults.append(f"its {kind} {key} {fault}")
    if row.get("seconds") is None and run.ended_at is not None:
        row["seconds"] = (run.ended_at - run.started_at) / 1000
    if not faults:
        faults = [*_impossible(row), *(_absent(row) if is_ours else ())]
    if faults:
        raise NotWholeError("; ".join(faults))
    return row


def _check_version(run: RunRecord) -> None:
    found = run.tags.get(TAG_SCHEMA_VERSION)
    if TAG_TRIAL_ID not in run.tags:
        raise NotWholeError(f"it is no trial: it has no tag {TAG_TRIAL_ID}")
    if found != str(SCHEMA_VERSION):
        raise NotWholeError(
            f"its tag {TAG_SCHEMA_VERSION} is {found!r}, and this Seedbed reads {SCHEMA_VERSION}"
        )


def _impossible(row: Row) -> list[str]:
    faults = []
    if row["status"] not in tuple(Status):
        faults.append(f"its tag {TAG_STATUS} is {row['status']!r}, not one of {', '.join(Status)}")
    if row["steps_per_epoch"] is not None and row["steps_per_epoch"] < 1:
        faults.append(f"its param steps_per_epoch is {row['steps_per_epoch']}, below 1")
    return faults


def _absent(row: Row) -> list[str]:
    """Return what one of Seedbed's own trials may not lack, and this one does."""
    known = set(KNOWN_OF_OUR_OWN)
    if row["status"] != Status.FAILED:
        known |= set(KNOWN_ONCE_STARTED)
    return [
        f"its {' '.join(column.source.split(':'))} is missing"
        for column in TRIALS
        if column.name in known and row[column.name] is None
    ]


def _parse(column: Column, text: str | None) -> str | int | float | bool | None:
    """Return the value of a param or a tag; `text` is None where there is none.

    Raises:
        ValueError: where there must be one, or it is not of the column's type.
    """
    if text is None:
        if column.nullable:
            return None
        raise ValueError("is missing")
    try:
        value: str | int | float | bool = _PARSERS[column.type](text)
    except (ValueError, KeyError, OverflowError):
        raise ValueError(f"is {text!r}, which is no {column.type}") from None
    return value


_BOOLEANS: Final = {"true": True, "false": False}

_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": str,
    "int64": lambda text: int(np.int64(int(text))),
    "float64": float,
    "bool": lambda text: _BOOLEANS[text.lower()],
}


# ── From metrics ─────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, eq=False)
class TrialRows:
    """A trial's rows in the tables.

    Attributes:
        trial: its row of `trials`.
        tables: its rows of the other tables by name, each sorted.
        relogged: metric values that gave way to one logged later for the same step.
        is_cut_short: whether its last evaluation was not whole yet, and is not here.
    """

    trial: Row
    tables: Mapping[str, pa.Table]
    relogged: int
    is_cut_short: bool


def trial_rows(row: Row, logged: Histories, *, is_ours: bool = True) -> TrialRows:
    """Return the rows of a trial, but for what has no column.

    Args:
        row: what the run says of the trial; see `describe`.
        logged: the run's metrics, by the contract's keys.
        is_ours: whether Seedbed trained it, and an evaluation has all that Seedbed logs.

    Raises:
        NotWholeError: where an evaluation lacks something that it must have.
    """
    histories = {key: history.last_of_each_step() for key, history in logged.items()}
    if is_ours:
        steps, is_cut_short = _evaluated_steps(row, histories)
    else:
        steps, is_cut_short = histories.get(METRIC_SCORE, _NEVER).steps, False
        histories |= _best_so_far(histories)
    evaluations = _evaluations(row, steps, histories)
    losses = histories.get(METRIC_TRAIN_LOSS, _NEVER)
    derived = _derived(steps, evaluations["score"].to_numpy(), losses.steps)
    return TrialRows(
        trial=row | derived,
        tables={
            "evaluations": evaluations,
            "train_steps": _train_steps(row, losses, histories.get(METRIC_EPOCH, _NEVER)),
        },
        relogged=sum(len(logged[key]) - len(histories[key]) for key in logged),
        is_cut_short=is_cut_short,
    )


_NEVER: Final = History.from_logged((), (), ())
"""The history of a metric that was never logged."""

_EVALUATION_METRICS: Final = tuple(
    column for column in TABLES["evaluations"] if column.type == "float64"
)
"""The columns of `evaluations` that are metrics in MLflow."""


def _key(column: Column) -> str:
    """Return what a column is called in MLflow."""
    return column.source.partition(":")[2]


KEYS: Final = frozenset(
    [METRIC_TRAIN_LOSS, METRIC_EPOCH, *(_key(column) for column in _EVALUATION_METRICS)]
)
"""The metrics of a run that have a column."""


def _evaluated_steps(row: Row, histories: Histories) -> tuple[NDArray[np.int64], bool]:
    """Return the steps at which a trial was evaluated, and whether one more is left out.

    The last evaluation of a trial that is not done may be half written, and waits for the next
    export. Any other must be whole.
    """
    steps_of = {
        _key(column): histories.get(_key(column), _NEVER).steps for column in _EVALUATION_METRICS
    }
    steps = np.unique(np.concatenate(list(steps_of.values())))
    lacking = defaultdict(list)
    for key in METRICS_OF_EVERY_EVALUATION:
        for step in np.setdiff1d(steps, steps_of[key]):
            lacking[int(step)].append(key)
    if not lacking:
        return steps, False
    if list(lacking) == [steps[-1]] and not Status(row["status"]).is_done:
        return steps[:-1], True
    first = min(lacking)
    raise NotWholeError(f"its evaluation at step {first} has no {', '.join(lacking[first])}")


def _best_so_far(histories: Histories) -> dict[str, History]:
    """Return the history of the best score, which only Seedbed logs, where there are scores."""
    scores = histories.get(METRIC_SCORE)
    if scores is None or METRIC_BEST_SCORE in histories:
        return {}
    best = np.fmax.accumulate(scores.values)
    return {METRIC_BEST_SCORE: History(scores.steps, scores.timestamps, best)}


def _derived(
    evaluated: NDArray[np.int64], scores: NDArray[np.float64], trained: NDArray[np.int64]
) -> Row:
    """Return the columns of `trials` that follow from the metrics.

    Args:
        evaluated: int64[n], the steps at which the trial was evaluated.
        scores: float64[n]. One of NaN is never the best; where all are, there is no best.
        trained: the optimiser steps made, ascending.
    """
    row: Row = {
        "best_score": None,
        "best_step": None,
        "last_score": scores[-1] if len(scores) else None,
        "evaluations": len(evaluated),
        # Another trainer may log its loss now and then only, or not at all.
        "steps": max((int(steps[-1]) for steps in (trained, evaluated) if len(steps)), default=0),
    }
    if not np.isnan(scores).all():
        best = np.nanargmax(scores)
        row |= {"best_score": scores[best], "best_step": evaluated[best]}
    return row


def _evaluations(row: Row, steps: NDArray[np.int64], histories: Histories) -> pa.Table:
    """Return a trial's rows of `evaluations`: one for each of the steps, ascending."""
    scored = histories.get(METRIC_SCORE, _NEVER)
    columns = {
        "step": steps,
        "logged_at": _times(scored.timestamps[np.isin(scored.steps, steps)]),
    }
    for column in _EVALUATION_METRICS:
        columns[column.name] = _at(steps, histories.get(_key(column), _NEVER))
    if METRIC_EPOCH not in histories and row["steps_per_epoch"]:
        columns["epoch"] = steps / row["steps_per_epoch"]
    return pa.table(_ids(row, len(steps)) | columns, schema=arrow_schema("evaluations"))


def _train_steps(row: Row, losses: History, epochs: History) -> pa.Table:
    """Return a trial's rows of `train_steps`."""
    per_epoch = row["steps_per_epoch"]
    columns = {
        "step": losses.steps,
        "epoch": losses.steps / per_epoch if per_epoch else _at(losses.steps, epochs),
        "loss": losses.values,
        "logged_at": _times(losses.timestamps),
    }
    return pa.table(_ids(row, len(losses)) | columns, schema=arrow_schema("train_steps"))


def _at(steps: NDArray[np.int64], history: History) -> pa.Array:
    """Return the values of a metric at the steps; null where it has none."""
    if np.array_equal(steps, history.steps):
        return pa.array(history.values)
    if not len(history):
        return pa.nulls(len(steps), pa.float64())
    place = np.minimum(np.searchsorted(history.steps, steps), len(history) - 1)
    return pa.array(history.values[place], mask=history.steps[place] != steps)


def _ids(row: Row, rows: int) -> dict[str, pa.Array]:
    return {name: pa.repeat(row[name], rows) for name in ("trial_id", "study", "task")}


def _times(milliseconds: NDArray[np.int64]) -> pa.Array:
    return pa.array(milliseconds).cast(ARROW_TYPES["timestamp"])


# ── From what has no column ──────────────────────────────────────────────────────────────────────
def unmapped_rows(
    row: Row, params: Mapping[str, str], tags: Mapping[str, str], histories: Histories
) -> pa.Table:
    """Return a trial's rows of `unmapped`.

    Args:
        row: what the run says of the trial.
        params: its params that have no column.
        tags: its tags that have no column.
        histories: the metrics that have no column, by their keys in MLflow.
    """
    schema = arrow_schema("unmapped")
    texts = [
        {"kind": kind, "key": key, "text": text}
        for kind, texts in (("param", params), ("tag", tags))
        for key, text in texts.items()
    ]
    parts = [_unmapped(row, pa.Table.from_pylist(texts, _TEXTS), schema)]
    for key, history in histories.items():
        columns = {
            "kind": pa.repeat("metric", len(history)),
            "key": pa.repeat(key, len(history)),
            "step": history.steps,
            "value": pa.array(history.values),
            "logged_at": _times(history.timestamps),
        }
        parts.append(_unmapped(row, pa.table(columns), schema))
    return pa.concat_tables(parts).sort_by([(key, "ascending") for key in SORT_KEYS["unmapped"]])


_TEXTS: Final = pa.schema([(name, pa.string()) for name in ("kind", "key", "text")])


def _unmapped(row: Row, found: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows of `unmapped` with all of its columns, those that are not there as nulls."""
    size = found.num_rows
    columns = dict(zip(found.column_names, found.columns, strict=True)) | _ids(row, size)
    return pa.table(
        {name: columns.get(name, pa.nulls(size)) for name in schema.names}, schema=schema
    )
