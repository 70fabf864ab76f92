"""Which runs of a store are exported: those of the studies asked for, and of each trial one run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from analysis.trial_rows import KEYS, NotWholeError, describe
from finetune.contract import TAG_SCHEMA_VERSION, TAG_STUDY, TAG_TRIAL_ID, TRIALS, Status
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from analysis.last_export import Known
    from analysis.other_trainers import OtherTrainer
    from analysis.runs import RunRecord
    from analysis.trial_rows import Row


@dataclass(frozen=True)
class LeftOut:
    """A run that is not in the warehouse, and why."""

    run_name: str
    run_id: str
    reason: str

    def __str__(self) -> str:
        return f"{self.run_name} ({self.run_id}): {self.reason}"


@dataclass(frozen=True, eq=False)
class Told:
    """A run, and what it says in the contract's words.

    Attributes:
        run: as MLflow holds it.
        told: the same with params and tags of the contract.
        mapping: by which it was told; None for one of Seedbed's own.
    """

    run: RunRecord
    told: RunRecord
    mapping: OtherTrainer | None

    @classmethod
    def of(cls, run: RunRecord, mapping: OtherTrainer | None) -> Told:
        """Return what a run says; by the mapping only where it is none of Seedbed's own."""
        if TAG_TRIAL_ID in run.tags or mapping is None or not mapping.accepts(run.experiment):
            return cls(run, run, None)
        return cls(run, mapping.told(run), mapping)

    @property
    def study(self) -> str | None:
        """The name of its study; None where it says none."""
        return self.told.tags.get(TAG_STUDY)

    def maps(self, kind: str, key: str) -> bool:
        """Return whether a `param`, `tag` or `metric` of the run has a column."""
        if self.mapping is not None:
            return self.mapping.maps(kind, key)
        return key in KEYS if kind == "metric" else f"{kind}:{key}" in _SOURCES


_SOURCES: Final = frozenset([f"tag:{TAG_SCHEMA_VERSION}", *(column.source for column in TRIALS)])


@dataclass(frozen=True, eq=False)
class TrialRun:
    """A run that tells of a trial.

    Attributes:
        run: as MLflow holds it.
        row: its row of `trials` without the derived columns.
        source: how it was told.
        known: what the last export found out, where the run has not changed since.
    """

    run: RunRecord
    row: Row
    source: Told
    known: Known | None = None


def of_studies(told: Sequence[Told], studies: Sequence[str], store: str) -> list[Told]:
    """Return the runs of the studies asked for, all when none is named, in a fixed order."""
    found = sorted(told, key=lambda each: (each.run.started_at, each.run.id))
    if not found:
        raise SeedbedError(
            f"Nothing to export: {store} has no trials. Run a study first, "
            "or name the store that it was tracked in."
        )
    there = {each.study for each in found if each.study is not None}
    if unknown := [study for study in studies if study not in there]:
        raise SeedbedError(
            f"{store} has no study {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(sorted(there)) or 'none'}."
        )
    return [each for each in found if not studies or each.study in studies]


def described_runs(told: Iterable[Told]) -> tuple[list[TrialRun], list[LeftOut]]:
    """Return the runs with what they say of their trials, and those that do not say enough."""
    described, left_out = [], []
    for each in told:
        try:
            row = describe(each.told, is_ours=each.mapping is None)
            described.append(TrialRun(each.run, row, each))
        except NotWholeError as fault:
            left_out.append(LeftOut(each.run.name, each.run.id, str(fault)))
    return described, left_out


def one_run_a_trial(described: Iterable[TrialRun]) -> tuple[list[TrialRun], int]:
    """Return one run of each trial, in the tables' order, and how many gave way to it.

    A done run goes before a running one, that before any other, and of equals the latest.
    """
    by_trial = defaultdict(list)
    for each in described:
        by_trial[each.row["trial_id"]].append(each)
    chosen = [
        max(same, key=lambda each: _rank(Status(each.row["status"]), each.run.started_at))
        for same in by_trial.values()
    ]
    chosen.sort(key=lambda each: (each.row["task"], each.row["study"], each.row["trial_id"]))
    superseded = sum(map(len, by_trial.values())) - len(chosen)
    return chosen, superseded


def _rank(status: Status, started_at: int) -> tuple[bool, bool, int]:
    return status.is_done, status is Status.RUNNING, started_at
