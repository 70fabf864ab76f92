"""Whether a release holds all that was recorded: against the export, and against the store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.warehouse import Warehouse
from finetune.contract import Status


@dataclass(frozen=True)
class Recorded:
    """What the tracking store has of a study.

    Attributes:
        study: its name.
        runs: of each trial, by id: the id of its run, and how it stands.
        grids: of each task: the WI seeds and the DO seeds that were last planned.
    """

    study: str
    runs: Mapping[str, tuple[str, Status]]
    grids: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]


def unlike_the_store(warehouse: Warehouse, recorded: Sequence[Recorded]) -> list[str]:
    """Return, a sentence each, in what a warehouse and the tracking store do not agree.

    Runs that the export has left out, with their reasons, are known and no disagreement.
    """
    answer = warehouse.query("select study, trial_id, status from trials")
    held: dict[str, dict[str, Status]] = {}
    for row in answer.to_pylist():
        held.setdefault(row["study"], {})[row["trial_id"]] = Status(row["status"])
    left_out = {run["run_id"] for run in _source(warehouse).get("left_out", ())}
    sentences = []
    for study in recorded:
        here = held.get(study.study, {})
        there = {trial: status for trial, (_, status) in study.runs.items()}
        for trials, says in (
            (
                [x for x, (run, _) in study.runs.items() if x not in here and run not in left_out],
                "that the warehouse does not have",
            ),
            ([x for x in here if x in there and here[x] != there[x]], "that has gone on since"),
        ):
            if trials:
                sentences.append(
                    f"{study.study}: the store has {len(trials)} "
                    f"{'trial' if len(trials) == 1 else 'trials'} {says}, such as {min(trials)}; "
                    "run `finetune export` again."
                )
        if foreign := sorted(here.keys() - there.keys()):
            sentences.append(
                f"{study.study}: the warehouse has {len(foreign)} of which the store knows "
                f"nothing, such as {foreign[0]}; name the store of these trials."
            )
    return sentences


def left_out(warehouse: Warehouse) -> list[str]:
    """Return a sentence on the runs that the export has left out; none where it has none."""
    many = len(_source(warehouse).get("left_out", ()))
    if not many:
        return []
    return [
        f"{many} {'run' if many == 1 else 'runs'} of the tracking store could not be exported "
        f"whole, and {'is' if many == 1 else 'are'} left out."
    ]


def unlike_the_export(warehouse: Warehouse, rows: Mapping[str, int]) -> list[str]:
    """Return, a sentence each, in which numbers a release differs from what was exported.

    Args:
        warehouse: whose manifest says what the export has counted.
        rows: of each table of the release.
    """
    exported = warehouse.manifest.get("rows", {})
    sentences = [
        f"{table} has {rows[table]:,} rows, and {exported[table]:,} were exported."
        for table in rows
        if table in exported and rows[table] != exported[table]
    ]
    source = _source(warehouse)
    if "runs" in source:
        known = rows["trials"] + source.get("superseded_runs", 0) + len(source.get("left_out", ()))
        if known != source["runs"]:
            sentences.append(
                f"{source['runs']:,} runs were found in the tracking store, and of {known:,} it is "
                "known what became of them."
            )
    return sentences


def _source(warehouse: Warehouse) -> Mapping[str, Any]:
    source: Mapping[str, Any] = warehouse.manifest.get("source", {})
    return source
