"""From the runs in MLflow to the tables of the warehouse: complete, or loud about what is missing.

A run is exported whole or left out with its reason. What is wrong with one run never costs another.
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from analysis.runs import ClientReader, History, shown
from analysis.schema import ARROW_TYPES, arrow_schema
from analysis.warehouse import check_replaceable, write
from finetune import __version__
from finetune.contract import (
    KNOWN_ONCE_STARTED,
    METRIC_SCORE,
    METRIC_TRAIN_LOSS,
    SCHEMA_VERSION,
    TABLES,
    TAG_SCHEMA_VERSION,
    TAG_STATUS,
    TAG_STUDY,
    TAG_TRIAL_ID,
    TRIALS,
    Column,
    Status,
)
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from analysis.runs import RunReader, RunRecord

    Histories = Mapping[str, History]


# ── What comes of it ─────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class LeftOut:
    """A run that is not in the warehouse, and why."""

    run_name: str
    run_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.run_name} ({self.run_id}): {self.reason}"


@dataclass(frozen=True)
class ExportSummary:
    """What an export found and did. `runs` is `trials`, `left_out` and `superseded` together.

    Attributes:
        folder: the warehouse.
        studies: the studies that have trials in it, sorted.
        runs: runs found in the store, of the studies asked for.
        trials: rows of `trials`.
        evaluations: rows of `evaluations`.
        train_steps: rows of `train_steps`.
        statuses: how many trials have each status.
        left_out: the runs that are not in the warehouse because something is wrong with them.
        superseded: runs of trials that were run again, and that gave way to a better run.
        relogged: metric values that gave way to one logged later for the same step.
        cut_short: trials whose last evaluation was not whole yet, and stays out.
    """

    folder: Path
    studies: tuple[str, ...]
    runs: int
    trials: int
    evaluations: int
    train_steps: int
    statuses: Mapping[Status, int]
    left_out: tuple[LeftOut, ...]
    superseded: int
    relogged: int
    cut_short: int


def export(
    store: str,
    folder: Path,
    *,
    studies: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Read every trial in a tracking store and write the warehouse.

    Args:
        store: MLflow's tracking URI: `sqlite:///…`, another database's, or `http(s)://…`.
        folder: where the warehouse will stand, in place of the one that may stand there.
        studies: the names of the studies to export; all when empty.
        progress: called after each trial with how many are read, and of how many.

    Returns:
        What was exported, and what was not.

    Raises:
        SeedbedError: where the store cannot be read, has none of the studies or no whole run, or
            `folder` is something else than a warehouse. `folder` is then as it was.
    """
    check_replaceable(folder)
    return export_from(ClientReader(store), shown(store), folder, studies, progress)


def export_from(
    reader: RunReader,
    store: str,
    folder: Path,
    studies: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Write the warehouse from what a reader yields; see `export`.

    Args:
        reader: yields the runs.
        store: what the store is called in messages.
        folder: as for `export`.
        studies: as for `export`.
        progress: as for `export`.
    """
    # Choose the runs: of a trial that was run several times, the one that counts.
    runs = _of_studies(reader.runs(), studies, store)
    described, left_out = _described(runs)
    chosen, superseded = _one_run_a_trial(described)

    # Make rows of them.
    trials: list[_TrialRows] = []
    histories_of = reader.histories(run for run, _ in chosen.values())
    for done, (run, histories) in enumerate(histories_of, start=1):
        try:
            trials.append(_trial_rows(chosen[run.id][1], histories))
        except _NotWholeError as fault:
            left_out.append(LeftOut(run.name, run.id, str(fault)))
        if progress:
            progress(done, len(chosen))
    if not trials:
        raise SeedbedError(_nothing_whole(store, left_out))

    # Write them.
    summary = ExportSummary(
        folder=folder,
        studies=tuple(sorted({rows.trial["study"] for rows in trials})),
        runs=len(runs),
        trials=len(trials),
        evaluations=sum(len(rows.evaluations) for rows in trials),
        train_steps=sum(len(rows.train_steps) for rows in trials),
        statuses=Counter(Status(rows.trial["status"]) for rows in trials),
        left_out=tuple(left_out),
        superseded=superseded,
        relogged=sum(rows.relogged for rows in trials),
        cut_short=sum(rows.is_cut_short for rows in trials),
    )
    write(folder, _tables(trials), _manifest(summary))
    return summary


def _nothing_whole(store: str, left_out: Sequence[LeftOut]) -> str:
    first = "\n".join(f"  {run}" for run in left_out[:5])
    return (
        f"Nothing to export: none of the {len(left_out)} runs in {store} is whole. "
        f"The first of them:\n{first}"
    )


def _tables(trials: Sequence[_TrialRows]) -> dict[str, pa.Table]:
    return {
        "trials": pa.Table.from_pylist(
            [rows.trial for rows in trials], schema=arrow_schema("trials")
        ),
        "evaluations": pa.concat_tables([rows.evaluations for rows in trials]),
        "train_steps": pa.concat_tables([rows.train_steps for rows in trials]),
    }


def _manifest(summary: ExportSummary) -> dict[str, Any]:
    return {
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "studies": list(summary.studies),
        "source": {
            "runs": summary.runs,
            "superseded_runs": summary.superseded,
            "relogged_values": summary.relogged,
            "trials_cut_short": summary.cut_short,
            "left_out": [asdict(run) for run in summary.left_out],
        },
        "versions": {
            "seedbed": __version__,
            "python": platform.python_version(),
            "mlflow": version("mlflow"),
            "pyarrow": pa.__version__,
        },
    }


# ── Choosing runs ────────────────────────────────────────────────────────────────────────────────
def _of_studies(runs: Iterable[RunRecord], studies: Sequence[str], store: str) -> list[RunRecord]:
    """Return the runs of the studies asked for, all when none is named, in a fixed order."""
    found = sorted(runs, key=lambda run: (run.started_at, run.id))
    if not found:
        raise SeedbedError(
            f"Nothing to export: {store} has no trials. Run a study first, "
            "or name the store that it was tracked in."
        )
    there = {run.tags[TAG_STUDY] for run in found if TAG_STUDY in run.tags}
    if unknown := [study for study in studies if study not in there]:
        raise SeedbedError(
            f"{store} has no study {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(sorted(there)) or 'none'}."
        )
    return [run for run in found if not studies or run.tags.get(TAG_STUDY) in studies]


Row = dict[str, Any]
"""A row of the table `trials`, by column; without the derived columns until histories are read."""


def _described(runs: Iterable[RunRecord]) -> tuple[list[tuple[RunRecord, Row]], list[LeftOut]]:
    """Return the runs with what they say of their trials, and those that do not say enough."""
    described, left_out = [], []
    for run in runs:
        try:
            described.append((run, _description(run)))
        except _NotWholeError as fault:
            left_out.append(LeftOut(run.name, run.id, str(fault)))
    return described, left_out


def _one_run_a_trial(
    described: Iterable[tuple[RunRecord, Row]],
) -> tuple[dict[str, tuple[RunRecord, Row]], int]:
    """Return one run of each trial by run id, in the tables' order, and how many gave way to it.

    A done run goes before a running one, that before any other, and of equals the latest.
    """
    by_trial = defaultdict(list)
    for run, row in described:
        by_trial[row["trial_id"]].append((run, row))
    chosen = [
        max(same, key=lambda each: _rank(Status(each[1]["status"]), each[0].started_at))
        for same in by_trial.values()
    ]
    chosen.sort(key=lambda each: (each[1]["task"], each[1]["study"], each[1]["trial_id"]))
    superseded = sum(map(len, by_trial.values())) - len(chosen)
    return {run.id: (run, row) for run, row in chosen}, superseded


def _rank(status: Status, started_at: int) -> tuple[bool, bool, int]:
    return status.is_done, status is Status.RUNNING, started_at


# ── What a run says of its trial ─────────────────────────────────────────────────────────────────
class _NotWholeError(Exception):
    """A run lacks something that its trial's rows need; the message says what."""


def _description(run: RunRecord) -> Row:
    """Return what a run says of its trial, all columns but the derived ones.

    Raises:
        _NotWholeError: where it lacks something or says what cannot be; the message has all of it.
    """
    _check_version(run)
    row: Row = {
        "started_at": run.started_at,
        "seconds": None if run.ended_at is None else (run.ended_at - run.started_at) / 1000,
        "run_id": run.id,
    }
    faults = []
    for column in TRIALS:
        kind, _, key = column.source.partition(":")
        if kind in ("param", "tag"):
            texts = run.params if kind == "param" else run.tags
            try:
                row[column.name] = _parse(column, texts.get(key))
            except ValueError as fault:
                faults.append(f"its {kind} {key} {fault}")
    if not faults:
        faults = _impossible(row)
    if faults:
        raise _NotWholeError("; ".join(faults))
    return row


def _check_version(run: RunRecord) -> None:
    found = run.tags.get(TAG_SCHEMA_VERSION)
    if TAG_TRIAL_ID not in run.tags:
        raise _NotWholeError(f"it is no trial: it has no tag {TAG_TRIAL_ID}")
    if found != str(SCHEMA_VERSION):
        raise _NotWholeError(
            f"its tag {TAG_SCHEMA_VERSION} is {found!r}, and this Seedbed reads {SCHEMA_VERSION}"
        )


def _impossible(row: Row) -> list[str]:
    faults = []
    if row["status"] not in tuple(Status):
        faults.append(f"its tag {TAG_STATUS} is {row['status']!r}, not one of {', '.join(Status)}")
    if row["status"] != Status.FAILED:
        absent = (column for column in TRIALS if column.name in KNOWN_ONCE_STARTED)
        faults += [
            f"its {' '.join(column.source.split(':'))} is missing"
            for column in absent
            if row[column.name] is None
        ]
    if row["steps_per_epoch"] is not None and row["steps_per_epoch"] < 1:
        faults.append(f"its param steps_per_epoch is {row['steps_per_epoch']}, below 1")
    return faults


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


# ── What its metrics say ─────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, eq=False)
class _TrialRows:
    """A trial's rows in the three tables.

    Attributes:
        trial: its row of `trials`.
        evaluations: its rows of `evaluations`, by step.
        train_steps: its rows of `train_steps`, by step.
        relogged: metric values that gave way to one logged later for the same step.
        is_cut_short: whether its last evaluation was not whole yet, and is not here.
    """

    trial: Row
    evaluations: pa.Table
    train_steps: pa.Table
    relogged: int
    is_cut_short: bool


def _trial_rows(row: Row, histories: Histories) -> _TrialRows:
    """Return the rows of a trial.

    Args:
        row: what the run says of the trial.
        histories: the run's metrics, by key.

    Raises:
        _NotWholeError: where an evaluation lacks something that it must have.
    """
    steps, is_cut_short = _evaluated_steps(row, histories)
    evaluations = _evaluations(row, steps, histories)
    losses = histories.get(METRIC_TRAIN_LOSS, _NEVER)
    return _TrialRows(
        trial=row | _derived(steps, evaluations["score"].to_numpy(), losses.steps),
        evaluations=evaluations,
        train_steps=_train_steps(row, losses),
        relogged=sum(history.logged - len(history) for history in histories.values()),
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


def _evaluated_steps(row: Row, histories: Histories) -> tuple[NDArray[np.int64], bool]:
    """Return the steps at which a trial was evaluated, and whether one more is left out.

    The last evaluation of a trial that is not done may be half written, and waits for the next
    export. Any other must be whole.
    """
    steps_of = {column: histories.get(_key(column), _NEVER).steps for column in _EVALUATION_METRICS}
    steps = np.unique(np.concatenate(list(steps_of.values())))
    lacking = defaultdict(list)
    for column, its_steps in steps_of.items():
        if not column.nullable:
            for step in np.setdiff1d(steps, its_steps):
                lacking[int(step)].append(_key(column))
    if not lacking:
        return steps, False
    if list(lacking) == [steps[-1]] and not Status(row["status"]).is_done:
        return steps[:-1], True
    first = min(lacking)
    raise _NotWholeError(f"its evaluation at step {first} has no {', '.join(lacking[first])}")


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
        "steps": trained[-1] if len(trained) else 0,
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
        history = histories.get(_key(column), _NEVER)
        is_there = np.isin(steps, history.steps)
        values = np.zeros(len(steps))
        values[is_there] = history.values[np.isin(history.steps, steps)]
        columns[column.name] = pa.array(values, mask=~is_there)
    return pa.table(_ids(row, len(steps)) | columns, schema=arrow_schema("evaluations"))


def _train_steps(row: Row, losses: History) -> pa.Table:
    """Return a trial's rows of `train_steps`."""
    columns = {
        "step": losses.steps,
        "epoch": losses.steps / (row["steps_per_epoch"] or np.nan),
        "loss": losses.values,
        "logged_at": _times(losses.timestamps),
    }
    return pa.table(_ids(row, len(losses)) | columns, schema=arrow_schema("train_steps"))


def _ids(row: Row, rows: int) -> dict[str, pa.Array]:
    return {name: pa.repeat(row[name], rows) for name in ("trial_id", "study", "task")}


def _times(milliseconds: NDArray[np.int64]) -> pa.Array:
    return pa.array(milliseconds).cast(ARROW_TYPES["timestamp"])
