"""What the last export read: the runs that have not changed since need not be read again.

MLflow does not say when a run was last written to, and runs that have ended can be written to. What
tells is how a run stands, its params and its tags, which are read each time, and the mark that the
reader gives it: from a database, how many values its metrics have, since MLflow adds to them and
never changes one; from a server, the last value of each metric. A server thus does not tell of a
value that was logged afterwards for an earlier step, and nothing else in MLflow's public interface
does short of reading every history. So a run of which the latest was an hour old or less when it
was read has no mark, and is read again; what comes later still, a full export finds.

The export that follows takes what is unchanged from the files of the last one, and so comes to the
same bytes as a full one. It does so only for the same store, studies, mapping file and versions,
and where the files still have the sizes that they were written with.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from analysis.runs import Counted
from analysis.table_files import file_of
from finetune.contract import SCHEMA_VERSION, TRIALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analysis.runs import RunRecord

FILE: Final = ".last_export.json"
"""Beside the tables. Without it the next export is a full one, and nothing else is lost."""

DERIVED: Final = tuple(column.name for column in TRIALS if column.source == "derived")
"""The columns of `trials` that are made from the metrics."""


def scope(store: str, studies: Sequence[str], mapping: object, versions: object) -> str:
    """Return a digest of what an export is of: another one's rows may not be taken for its own.

    Args:
        store: the tracking URI.
        studies: the studies that were asked for.
        mapping: how another trainer's runs are read.
        versions: of all that makes the bytes of the files.
    """
    return _digest([SCHEMA_VERSION, store, sorted(studies), mapping, versions])


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()


@dataclass(frozen=True)
class Known:
    """What an export found out about a run.

    Attributes:
        task: the task of its trial.
        said: a digest of all that the run says besides its metrics.
        mark: the reader's mark of its metrics; None where they are to be read again in any case.
        values: how many metric values were read.
        relogged: how many of them gave way to one logged later for the same step.
        is_cut_short: whether its last evaluation was not whole yet.
        reason: why it was left out; None where it is in the tables.
    """

    task: str
    said: str
    mark: str | None
    values: int
    relogged: int = 0
    is_cut_short: bool = False
    reason: str | None = None


def said_by(run: RunRecord) -> str:
    """Return a digest of all that a run says besides its metrics."""
    return _digest(
        [run.name, run.experiment, run.status, run.started_at, run.ended_at]
        + [sorted(texts.items()) for texts in (run.params, run.tags)]
    )


class LastExport:
    """The export that stands in a folder.

    Args:
        folder: the warehouse.
        runs: what is known of each run, by its id.
        counted: what its reader counted.
    """

    def __init__(self, folder: Path, runs: Mapping[str, Known], counted: Counted | None) -> None:
        self.runs = runs
        self.counted = counted
        self._folder = folder

    @classmethod
    def load(cls, folder: Path, of: str) -> LastExport | None:
        """Return the export in a folder; None where there is none of that scope, and intact."""
        try:
            content = json.loads((folder / FILE).read_text(encoding="utf-8"))
            if content["scope"] != of or content["bytes"] != _sizes(folder):
                return None
            runs = {run: Known(**known) for run, known in content["runs"].items()}
            counted = Counted(**content["counted"]) if content["counted"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(folder, runs, counted)

    @staticmethod
    def save(folder: Path, of: str, runs: Mapping[str, Known], counted: Counted | None) -> None:
        """Write down an export for the next one, once its files stand.

        Args:
            folder: the warehouse.
            of: its scope.
            runs: what is known of each run, by its id.
            counted: what its reader counted.
        """
        content: dict[str, Any] = {
            "scope": of,
            "bytes": _sizes(folder),
            "counted": asdict(counted) if counted else None,
            "runs": {run: vars(known) for run, known in runs.items()},
        }
        (folder / FILE).write_text(json.dumps(content, sort_keys=True), encoding="utf-8")

    def known(self, run: RunRecord) -> Known | None:
        """Return what is known of a run that has not changed since."""
        known = self.runs.get(run.id)
        if known is None or known.mark is None:
            return None
        if (known.mark, known.said) != (run.mark, said_by(run)):
            return None
        return known

    def runs_of(self, task: str) -> set[str]:
        """Return the ids of the runs of a task that were exported or left out for their metrics."""
        return {run for run, known in self.runs.items() if known.task == task}

    def derived(self, trial_id: str) -> dict[str, Any]:
        """Return the columns of a trial that were made from its metrics."""
        return self._derived[trial_id]

    @cached_property
    def _derived(self) -> dict[str, dict[str, Any]]:
        # Not `read_table`, which would import what reads whole data sets.
        with pq.ParquetFile(self.file("trials", "")) as file:
            rows = file.read(["trial_id", *DERIVED]).to_pylist()
        return {row.pop("trial_id"): row for row in rows}

    def file(self, table: str, task: str) -> Path:
        """Return the path of a table's file of a task."""
        return self._folder / file_of(table, task)

    def keep(self, table: str, task: str, folder: Path) -> int:
        """Give a new warehouse the file as it is, if there is one; return how many rows it has."""
        old, new = self.file(table, task), folder / file_of(table, task)
        if not old.exists():
            return 0
        new.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        try:
            os.link(old, new)
        except OSError:  # not every file system has links
            shutil.copy2(old, new)
        return int(pq.read_metadata(new).num_rows)


def _sizes(folder: Path) -> dict[str, int]:
    """Return the sizes of all tables' files, in bytes, by path."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in sorted(folder.rglob("*.parquet"))
    }
