"""Runs that another trainer logged, told in the words of the contract by a mapping file.

The file names, per table and column, where the value stands in such a run:

    experiments: [glue]                 # by name; all that have no trials of Seedbed's if left out
    trials:
      study: run:experiment             # the name of the run's experiment
      task: param:task_name
      model: param:_name_or_path
      wi_seed: param:seed
      do_seed: param:data_seed
      metric: accuracy                  # anything else stands for itself
      epochs: param:num_train_epochs
    evaluations:
      score: metric:eval_accuracy
      loss: metric:eval_loss
      epoch: metric:epoch
    train_steps:
      loss: metric:loss
    step: metric:train/global_step      # MLflow's own step if left out

What the file does not name is kept in the table `unmapped`.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.runs import History
from analysis.trial_rows import NotWholeError
from finetune.contract import (
    SCHEMA_VERSION,
    TABLES,
    TAG_SCHEMA_VERSION,
    Column,
    Status,
)
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from analysis.runs import RunRecord


def _mappable(table: str) -> dict[str, Column]:
    """Return the columns of a table that a mapping can name, by name."""
    if table == "trials":
        kinds = ("param", "tag")
        return {
            column.name: column
            for column in TABLES[table]
            if column.source.partition(":")[0] in kinds
        }
    return {column.name: column for column in TABLES[table] if column.source[:7] == "metric:"
            and column.type == "float64"}  # fmt: skip


_REQUIRED: Final = {"trials": ("task", "model", "wi_seed", "do_seed"), "evaluations": ("score",)}
_DEFAULTS: Final = {
    "trial_id": "run:id",
    "study": "run:experiment",
    "status": "run:status",
}
_STATUSES: Final = {
    "RUNNING": Status.RUNNING,
    "SCHEDULED": Status.RUNNING,
    "FINISHED": Status.FINISHED,
    "FAILED": Status.FAILED,
    "KILLED": Status.INTERRUPTED,
}
_KINDS: Final = ("run", "param", "tag", "metric")
_OF_RUN: Final = ("id", "name", "experiment", "status")


@dataclass(frozen=True)
class OtherTrainer:
    """What a mapping file says; see the module.

    Attributes:
        experiments: the names of the experiments that it is about; None for all.
        trials: per column of `trials` its source: `param:…`, `tag:…`, `run:…`, or the value itself.
        metrics: per key of the contract the key of the run's metric.
        step: the key of the metric whose value is the optimiser step; None for MLflow's own step.
    """

    experiments: tuple[str, ...] | None
    trials: Mapping[str, str]
    metrics: Mapping[str, str]
    step: str | None = None
    _names: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_names", frozenset(self.trials.values()))

    @classmethod
    def read(cls, path: Path) -> OtherTrainer:
        """Read a mapping file.

        Raises:
            SeedbedError: where it cannot be read or says what cannot be; the message has all of it.
        """
        import yaml

        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SeedbedError(f"The mapping {path} cannot be read: {error}.") from error
        faults = _faults(content)
        if faults:
            listed = "\n".join(f"  {fault}" for fault in faults)
            raise SeedbedError(
                f"The mapping {path} cannot be used; docs/warehouse.md describes it:\n{listed}"
            )
        experiments = content.get("experiments")
        return cls(
            experiments=None if experiments is None else tuple(experiments),
            trials=_DEFAULTS | {name: str(said) for name, said in content["trials"].items()},
            metrics={
                _mappable(table)[name].source.partition(":")[2]: said.partition(":")[2]
                for table in ("evaluations", "train_steps")
                for name, said in content.get(table, {}).items()
            },
            step=content["step"].partition(":")[2] if "step" in content else None,
        )

    def accepts(self, experiment: str) -> bool:
        """Return whether it is about an experiment of that name."""
        return self.experiments is None or experiment in self.experiments

    def told(self, run: RunRecord) -> RunRecord:
        """Return a run with params and tags as Seedbed would have logged them."""
        params: dict[str, str] = {}
        tags = {TAG_SCHEMA_VERSION: str(SCHEMA_VERSION)}
        for name, column in _mappable("trials").items():
            text = _found(run, self.trials[name]) if name in self.trials else None
            if text is None:
                continue
            kind, _, key = column.source.partition(":")
            (params if kind == "param" else tags)[key] = _written(column, text)
        return replace(run, params=params, tags=tags)

    def histories(self, logged: Mapping[str, History]) -> dict[str, History]:
        """Return a run's metrics by the contract's keys, at the optimiser's steps.

        Raises:
            NotWholeError: where a value's optimiser step is not known.
        """
        told = {key: logged[its] for key, its in self.metrics.items() if its in logged}
        if self.step is None:
            return told
        clock = logged.get(self.step, History.from_logged((), (), ())).last_of_each_step()
        return {key: _at_steps_of(clock, history, self.step) for key, history in told.items()}

    def maps(self, kind: str, key: str) -> bool:
        """Return whether a `param`, `tag` or `metric` of a run has a column."""
        if kind == "metric":
            return key in self.metrics.values() or key == self.step
        return f"{kind}:{key}" in self._names


def _found(run: RunRecord, said: str) -> str | None:
    kind, _, key = said.partition(":")
    if kind == "param":
        return run.params.get(key)
    if kind == "tag":
        return run.tags.get(key)
    if said == "run:status":
        return _STATUSES.get(run.status, Status.INTERRUPTED).value
    if kind == "run":
        return {"id": run.id, "name": run.name, "experiment": run.experiment}[key]
    return said


def _written(column: Column, text: str) -> str:
    """Return a value as Seedbed writes it: whole numbers without a point."""
    if column.type == "int64":
        try:
            number = float(text)
        except ValueError:
            return text
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else text
    return text


def _at_steps_of(clock: History, history: History, name: str) -> History:
    place = np.searchsorted(clock.steps, history.steps)
    is_there = np.isin(history.steps, clock.steps)
    if not is_there.all():
        missing = history.steps[~is_there][0]
        raise NotWholeError(f"its metric {name}, which tells the step, has no value at {missing}")
    return History.from_logged(
        clock.values[place].astype(np.int64), history.timestamps, history.values
    )


# ── What is wrong with a file ────────────────────────────────────────────────────────────────────
_SECTIONS: Final = ("experiments", "trials", "evaluations", "train_steps", "step")


def _faults(content: Any) -> list[str]:
    """Return all that is wrong with what a file says."""
    if not isinstance(content, dict):
        return [f"it must have the sections {', '.join(_SECTIONS)}"]
    faults = [
        f"{section}: there is no such section{_meant(section, _SECTIONS)}"
        for section in content
        if section not in _SECTIONS
    ]
    experiments = content.get("experiments", [])
    if not isinstance(experiments, list) or not all(isinstance(e, str) for e in experiments):
        faults.append("experiments: it must be a list of names")
    for table in TABLES:
        columns = content.get(table, {})
        if not isinstance(columns, dict):
            faults.append(f"{table}: it must name columns")
            continue
        faults += [
            f"{table}.{name} is missing: say where it stands"
            for name in _REQUIRED.get(table, ())
            if name not in columns
        ]
        faults += [_fault(table, name, said) for name, said in columns.items()]
    if "step" in content and not str(content["step"]).startswith("metric:"):
        faults.append(f"step: {content['step']!r} is not of the form metric:<key>")
    return [fault for fault in faults if fault]


def _fault(table: str, name: str, said: Any) -> str:
    """Return what is wrong with a line; empty where nothing is."""
    columns = _mappable(table)
    if name not in columns:
        return f"{table}.{name}: there is no such column to map{_meant(name, list(columns))}"
    kind, _, key = str(said).partition(":")
    if table != "trials":
        if kind != "metric" or not key:
            return f"{table}.{name}: {said!r} is not of the form metric:<key>"
    elif isinstance(said, dict | list) or said is None:
        return f"trials.{name}: {said!r} is neither a source nor a value"
    elif kind == "metric" or (kind == "run" and key not in _OF_RUN):
        forms = ", ".join(f"run:{each}" for each in _OF_RUN)
        return f"trials.{name}: {said!r} is none of param:<key>, tag:<key>, {forms}, or a value"
    return ""


def _meant(word: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(word), known, 1)
    return f"; did you mean {close[0]}?" if close else ""
