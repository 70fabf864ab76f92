"""From the runs in MLflow to the tables of the warehouse: complete, or loud about what is missing.

A run is exported whole or left out with its reason. What is wrong with one run never costs another.
Runs are read and written one after another, so that memory does not grow with their number. What
the last export has read already, and has not changed since, is taken from its files; see
`analysis.last_export`.
"""

from __future__ import annotations

import platform
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from analysis import database
from analysis.ahead import ahead
from analysis.chosen_runs import (
    LeftOut,
    Told,
    TrialRun,
    described_runs,
    of_studies,
    one_run_a_trial,
)
from analysis.imported import check_holds_no_imports
from analysis.last_export import Known, LastExport, said_by, scope
from analysis.runs import ClientReader, Unread, shown
from analysis.schema import arrow_schema
from analysis.table_files import TableWriter, TrialReader, file_of
from analysis.trial_rows import KEYS, NotWholeError, trial_rows, unmapped_rows
from analysis.warehouse import check_replaceable, finish
from finetune import __version__
from finetune.contract import (
    WAREHOUSE_TABLES,
    Status,
)
from finetune.errors import SeedbedError
from finetune.files import replacing_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from analysis.other_trainers import OtherTrainer
    from analysis.runs import History, RunReader, RunRecord
    from analysis.trial_rows import Row, TrialRows

    _Read = tuple[RunRecord, Mapping[str, History] | Unread]


# ── What comes of it ─────────────────────────────────────────────────────────────────────────────
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
        unmapped: rows of `unmapped`.
        statuses: how many trials have each status.
        left_out: the runs that are not in the warehouse because something is wrong with them.
        superseded: runs of trials that were run again, and that gave way to a better run.
        relogged: metric values that gave way to one logged later for the same step.
        cut_short: trials whose last evaluation was not whole yet, and stays out.
        read: runs whose metrics were read from the store; the rest stood in the last export.
    """

    folder: Path
    studies: tuple[str, ...]
    runs: int
    trials: int
    evaluations: int
    train_steps: int
    unmapped: int
    statuses: Mapping[Status, int]
    left_out: tuple[LeftOut, ...]
    superseded: int
    relogged: int
    cut_short: int
    read: int


def export(
    store: str,
    folder: Path,
    *,
    studies: Sequence[str] = (),
    mapping: OtherTrainer | None = None,
    full: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportSummary:
    """Read every trial in a tracking store and write the warehouse.

    Args:
        store: MLflow's tracking URI: `sqlite:///…`, another database's, or `http(s)://…`.
        folder: where the warehouse will stand, in place of the one that may stand there.
        studies: the names of the studies to export; all when empty.
        mapping: how to read the runs of another trainer; None to leave them alone.
        full: whether to read all anew, even what the last export read and has not changed.
        progress: called after each trial with how many are read, and of how many.

    Returns:
        What was exported, and what was not.

    Raises:
        SeedbedError: where the store cannot be read, has none of the studies or no whole run, or
            `folder` is something else than a warehouse, or holds imported trials. `folder` is
            then as it was.
    """
    check_replaceable(folder)
    check_holds_no_imports(folder)
    of = scope(store, studies, mapping, _versions())
    last = None if full else LastExport.load(folder, of)
    with closing(_open(store, last)) as reader:
        return export_from(
            reader,
            shown(store),
            folder,
            studies,
            progress,
            mapping=mapping,
            last=last,
            of=of,
        )


def _open(store: str, last: LastExport | None) -> database.DatabaseReader | ClientReader:
    if database.reads(store):
        return database.DatabaseReader(store, last.counted if last else None)
    return ClientReader(store)


def export_from(
    reader: RunReader,
    store: str,
    folder: Path,
    studies: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    *,
    mapping: OtherTrainer | None = None,
    last: LastExport | None = None,
    of: str = "",
) -> ExportSummary:
    """Write the warehouse from what a reader yields; see `export`.

    Args:
        reader: yields the runs.
        store: what the store is called in messages.
        folder: as for `export`.
        studies: as for `export`.
        progress: as for `export`.
        mapping: as for `export`.
        last: the export that stands there, to take from it what has not changed.
        of: the scope of this export, for the next one to compare; see `last_export.scope`.
    """
    # Choose the runs: of a trial that was run several times, the one that counts.
    runs = reader.runs(mapping.accepts if mapping else lambda _: False)
    told = of_studies([Told.of(run, mapping) for run in runs], studies, store)
    described, left_out = described_runs(told)
    chosen, superseded = one_run_a_trial(described)

    if last is not None:
        chosen = [replace(trial, known=last.known(trial.run)) for trial in chosen]
    new = [trial.run for trial in chosen if trial.known is None]

    # Write them task by task, the next ones being read meanwhile.
    with (
        replacing_folder(folder) as beside,
        closing(ahead(reader.histories(new), _RUNS_AHEAD)) as histories,
    ):
        writing = _Writing(beside, last, _counted_out(histories, len(new), progress))
        for task, of_task in groupby(chosen, key=lambda trial: trial.row["task"]):
            writing.task(task, list(of_task))
        left_out += writing.left_out
        if not writing.trials:
            raise SeedbedError(_nothing_whole(store, left_out))
        if last is not None and not writing.read and set(writing.known) == set(last.runs):
            last.keep("trials", "", beside)
        else:
            with TableWriter(beside / file_of("trials", ""), "trials") as file:
                file.add(pa.Table.from_pylist(writing.trials, schema=arrow_schema("trials")))
        summary = ExportSummary(
            folder=folder,
            studies=tuple(sorted({row["study"] for row in writing.trials})),
            runs=len(told),
            trials=len(writing.trials),
            evaluations=writing.rows["evaluations"],
            train_steps=writing.rows["train_steps"],
            unmapped=writing.rows["unmapped"],
            statuses=Counter(Status(row["status"]) for row in writing.trials),
            left_out=tuple(left_out),
            superseded=superseded,
            relogged=sum(known.relogged for known in writing.known.values()),
            cut_short=sum(known.is_cut_short for known in writing.known.values()),
            read=writing.read,
        )
        values = sum(known.values for known in writing.known.values())
        finish(beside, {"trials": summary.trials, **writing.rows}, _manifest(summary, values))
        LastExport.save(beside, of, writing.known, reader.counted)
    return summary


def _counted_out(
    histories: Iterable[_Read], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[_Read]:
    """Yield what was read, and say how far it is."""
    for done, read in enumerate(histories, start=1):
        if progress:
            progress(done, total)
        yield read


def _nothing_whole(store: str, left_out: Sequence[LeftOut]) -> str:
    first = "\n".join(f"  {run}" for run in left_out[:5])
    return (
        f"Nothing to export: none of the {len(left_out)} runs in {store} is whole. "
        f"The first of them:\n{first}"
    )


def _versions() -> dict[str, str]:
    return {
        "seedbed": __version__,
        "python": platform.python_version(),
        "mlflow": version("mlflow"),
        "pyarrow": pa.__version__,
    }


def _manifest(summary: ExportSummary, values: int) -> dict[str, Any]:
    return {
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "studies": list(summary.studies),
        "source": {
            "runs": summary.runs,
            "metric_values": values,
            "superseded_runs": summary.superseded,
            "relogged_values": summary.relogged,
            "trials_cut_short": summary.cut_short,
            "left_out": [asdict(run) for run in summary.left_out],
        },
        "versions": _versions(),
    }


# ── Writing them ─────────────────────────────────────────────────────────────────────────────────
_BY_TASK: Final = tuple(name for name in WAREHOUSE_TABLES if name != "trials")
"""The tables that have a file a task."""

_RUNS_AHEAD: Final = 4
"""Runs that are read while others are written."""


class _Writing:
    """The files of an export in the making.

    Args:
        folder: where to.
        last: the export whose files may serve again.
        histories: the metrics of the trials that are not known from it, in the tables' order.

    Attributes:
        trials: rows of `trials`, in its order.
        rows: how many rows each of the other tables has.
        known: by run, what the next export need not find out again.
        left_out: runs whose metrics are not whole, or could not be read.
        read: runs whose metrics were read.
    """

    def __init__(
        self,
        folder: Path,
        last: LastExport | None,
        histories: Iterator[_Read],
    ) -> None:
        self.trials: list[Row] = []
        self.rows = dict.fromkeys(_BY_TASK, 0)
        self.known: dict[str, Known] = {}
        self.left_out: list[LeftOut] = []
        self.read = 0
        self._folder = folder
        self._last = last
        self._histories = histories

    def task(self, task: str, trials: Sequence[TrialRun]) -> None:
        """Write the files of a task, or keep those of the last export where nothing has changed."""
        last = self._last
        if last is not None and {trial.run.id for trial in trials if trial.known} == (
            last.runs_of(task) | {trial.run.id for trial in trials}
        ):
            for trial in trials:
                self._keep(trial, last)
            for table in _BY_TASK:
                self.rows[table] += last.keep(table, task, self._folder)
            return
        with ExitStack() as stack:
            writers = {
                table: stack.enter_context(TableWriter(self._folder / file_of(table, task), table))
                for table in _BY_TASK
            }
            readers = {
                table: TrialReader(last.file(table, task), table) if last else None
                for table in _BY_TASK
            }
            for trial in trials:
                for table, rows in self._rows_of(trial, readers).items():
                    writers[table].add(rows)
        for table, writer in writers.items():
            self.rows[table] += writer.rows

    def _rows_of(
        self, trial: TrialRun, readers: Mapping[str, TrialReader | None]
    ) -> Mapping[str, pa.Table]:
        """Return a trial's rows by table; none where its run is left out."""
        if trial.known is None or self._last is None:
            return self._read(trial)
        self._keep(trial, self._last)
        if trial.known.reason is not None:
            return {}
        row = trial.row
        return {
            table: reader.take(row["study"], row["trial_id"])
            for table, reader in readers.items()
            if reader is not None
        }

    def _keep(self, trial: TrialRun, last: LastExport) -> None:
        """Take over what is known of a trial that has not changed."""
        known = trial.known
        assert known is not None
        self.known[trial.run.id] = known
        if known.reason is None:
            self.trials.append(trial.row | last.derived(trial.row["trial_id"]))
        else:
            self.left_out.append(LeftOut(trial.run.name, trial.run.id, known.reason))

    def _read(self, trial: TrialRun) -> Mapping[str, pa.Table]:
        """Return the rows of a trial from its metrics in the store, and note what came of it."""
        run, logged = next(self._histories)
        assert run is trial.run
        if isinstance(logged, Unread):
            self.left_out.append(LeftOut(run.name, run.id, logged.reason))
            return {}  # and not known: the next export tries again
        self.read += 1
        known = Known(
            task=trial.row["task"],
            said=said_by(run),
            mark=run.mark,
            values=sum(map(len, logged.values())),
        )
        try:
            _check_complete(run, logged)
        except NotWholeError as fault:
            self.left_out.append(LeftOut(run.name, run.id, str(fault)))
            return {}  # and not known: the next export looks again
        try:
            rows = _all_rows(trial, logged)
        except NotWholeError as fault:
            self.left_out.append(LeftOut(run.name, run.id, str(fault)))
            self.known[run.id] = replace(known, reason=str(fault))
            return {}
        self.trials.append(rows.trial)
        self.known[run.id] = replace(known, relogged=rows.relogged, is_cut_short=rows.is_cut_short)
        return rows.tables


def _check_complete(run: RunRecord, logged: Mapping[str, History]) -> None:
    """Check what a reader gave against what the store says that there is.

    Raises:
        NotWholeError: where values are missing.
    """
    given = sum(map(len, logged.values()))
    if run.values is not None and given < run.values:
        raise NotWholeError(f"the store counts {run.values} metric values and gave {given}")
    for key, step in run.metrics.items():
        history = logged.get(key)
        if history is None or not len(history) or history.steps[-1] < step:
            raise NotWholeError(f"the store names {key} at step {step} and did not give it")


def _all_rows(trial: TrialRun, logged: Mapping[str, History]) -> TrialRows:
    """Return the rows of a trial, those of `unmapped` among them.

    Raises:
        NotWholeError: where it lacks something that its rows need.
    """
    source, run = trial.source, trial.run
    is_ours = source.mapping is None
    told = (
        {key: history for key, history in logged.items() if key in KEYS}
        if source.mapping is None
        else source.mapping.histories(logged)
    )
    rows = trial_rows(trial.row, told, is_ours=is_ours)
    unmapped = unmapped_rows(
        trial.row,
        {key: text for key, text in run.params.items() if not source.maps("param", key)},
        {key: text for key, text in run.tags.items() if not source.maps("tag", key)},
        {key: history for key, history in logged.items() if not source.maps("metric", key)},
    )
    return replace(rows, tables={**rows.tables, "unmapped": unmapped})
