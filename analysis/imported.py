"""Trials that others ran, from a table of theirs into a warehouse that every analysis can ask.

`analysis.trial_table` reads the table; here its rows become trials and their evaluations.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from analysis import reference, trial_table
from analysis.schema import arrow_schema
from analysis.trial_table import OF_EVALUATION, OF_TRIAL, TrialTable, cannot_be_imported
from analysis.warehouse import MANIFEST, Warehouse, check_replaceable, write
from finetune import __version__
from finetune.contract import TABLES, TASK_METRICS, TRIALS, Status
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from analysis.trial_table import Row


@dataclass(frozen=True)
class ImportSummary:
    """What was imported.

    Attributes:
        folder: the warehouse.
        study: the name that the trials go under.
        trials: how many trials by task.
        evaluations: how many evaluations.
        columns: which column each field was read from.
        unused: the columns that nothing was read from.
        without_score: rows that were left out because they have no score.
    """

    folder: Path
    study: str
    trials: Mapping[str, int]
    evaluations: int
    columns: Mapping[str, str]
    unused: tuple[str, ...]
    without_score: int


def import_table(
    path: Path,
    folder: Path,
    study: str,
    *,
    columns: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    percent: bool = False,
    names: str | None = None,
) -> ImportSummary:
    """Read a table of trials and write them into a warehouse, as a study.

    Args:
        path: a file of Parquet if its name ends on `.parquet`, else of CSV, or TSV if on `.tsv`.
        folder: the warehouse. Other imported studies in it stay; a study of that name is replaced.
        study: what the trials go under.
        columns: by field (`analysis.trial_table.FIELDS`) the column that holds it, where its name
            does not tell.
        values: by field a value for all rows, such as the task; it goes before a column.
        percent: whether scores are in percent; the warehouse has them from 0 to 1.
        names: how the runs are named, with fields in braces, where no column tells these fields.

    Raises:
        SeedbedError: where the file cannot be read, a field that a trial needs has no column, or
            rows say what cannot be; the message has all faults with their lines. Nothing is
            written then. Also where the folder is something else than a warehouse of imports.
    """
    others = _other_studies(folder, study)
    table = trial_table.read(
        path, columns=columns or {}, values=values or {}, percent=percent, names=names
    )
    made = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).replace(microsecond=0)
    trials = _trials(table, study, made)
    source = {"file": path.name, "columns": table.columns, "values": dict(values or {})}
    if names is not None:
        source["names"] = names
    _write(folder, study, trials, others, source)
    return ImportSummary(
        folder=folder,
        study=study,
        trials=_counts(trial["task"] for trial, _ in trials),
        evaluations=sum(len(evaluations) for _, evaluations in trials),
        columns=table.columns,
        unused=table.unused,
        without_score=table.without_score,
    )


def import_published(folder: Path) -> ImportSummary:
    """Write the paper's own 2,100 results into a warehouse, as a study (`analysis.reference`).

    Args:
        folder: as for `import_table`.

    Raises:
        SeedbedError: where the folder is something else than a warehouse of imports.
    """
    others = _other_studies(folder, reference.STUDY)
    trials: list[tuple[Row, list[Row]]] = []
    for task in reference.published_tasks():
        scores = reference.published_scores(task)
        of_task = {**reference.RECIPE, **vars(reference.published_facts(task))}
        for trial_id, wi, do, score in zip(
            scores.trial_id.tolist(),
            scores.wi_seed.tolist(),
            scores.do_seed.tolist(),
            scores.score.tolist(),
            strict=True,
        ):
            said = of_task | {"trial_id": trial_id, "metric": scores.metric}
            said |= {"wi_seed": wi, "do_seed": do, "dropout_seed": do}
            trial = _trial(said, reference.STUDY, reference.PUBLISHED_ON, score, [])
            trials.append((trial, []))
    source = {"file": "analysis/reference/dodge2020.csv"}
    _write(folder, reference.STUDY, trials, others, source)
    counts = _counts(trial["task"] for trial, _ in trials)
    return ImportSummary(folder, reference.STUDY, counts, 0, {}, (), 0)


def check_holds_no_imports(folder: Path) -> None:
    """Refuse to swap imported trials away for an export's.

    Raises:
        SeedbedError: where `folder` is a warehouse of imports.
    """
    if _holds_imports(folder):
        raise SeedbedError(
            f"{folder} holds trials that were imported, and an export would drop them: "
            "name another folder with --warehouse."
        )


# ── Trials ───────────────────────────────────────────────────────────────────────────────────────
def _trials(table: TrialTable, study: str, made: datetime) -> list[tuple[Row, list[Row]]]:
    """Return the trials that the rows are of, each with its evaluations."""
    faults: list[str] = []
    by_trial: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for where, row in table.rows:
        by_trial[row["trial_id"] or _identity(study, row)].append((where, row))
    trials = []
    for trial_id, own in by_trial.items():
        said = _said_of_trial(trial_id, own, faults)
        evaluations = _evaluations(trial_id, own, faults) if table.has_steps else []
        if not table.has_steps and len(own) > 1:
            faults.append(
                f"{own[0][0]}: {len(own)} rows are of the trial {trial_id}, as {own[1][0]} is: say "
                "which column is their step, dropout_seed or trial_id"
            )
        score = None if table.has_steps else own[0][1]["score"]
        trials.append((_trial(said, study, made, score, evaluations), evaluations))
    if faults:
        raise cannot_be_imported(table.path, faults)
    return trials


def _identity(study: str, row: Row) -> str:
    """Return an id of the trial that a row is of, by its seeds."""
    seeds = [row["wi_seed"], row["do_seed"], row["dropout_seed"]]
    return "-".join([study, row["task"], *(str(seed) for seed in seeds if seed is not None)])


def _said_of_trial(trial_id: str, own: Sequence[tuple[str, Row]], faults: list[str]) -> Row:
    """Return what the rows of a trial say of it, which must be one thing."""
    said: Row = {}
    for field in OF_TRIAL:
        values = {row[field]: where for where, row in reversed(own) if row[field] is not None}
        if len(values) > 1:
            listed = " and ".join(f"{value} ({where})" for value, where in values.items())
            faults.append(f"{own[0][0]}: the trial {trial_id} has more than one {field}: {listed}")
        said[field] = next(iter(values), None)
    return said | {"trial_id": trial_id}


def _evaluations(trial_id: str, own: Sequence[tuple[str, Row]], faults: list[str]) -> list[Row]:
    """Return a trial's evaluations by step."""
    seen: dict[int, str] = {}
    evaluations = []
    for where, row in own:
        step = row["step"]
        if row["score"] is None:
            continue
        if step is None:
            faults.append(f"{where}: step is empty")
            continue
        if step in seen:
            faults.append(
                f"{where}: the trial {trial_id} has step {step} twice, as in {seen[step]}"
            )
        seen[step] = where
        evaluations.append({field: row[field] for field in OF_EVALUATION})
    return sorted(evaluations, key=lambda evaluation: int(evaluation["step"]))


def _trial(
    said: Row, study: str, made: datetime, score: float | None, evaluations: Sequence[Row]
) -> Row:
    """Return a trial's row of `trials`; adds to its evaluations what follows from them.

    Args:
        said: what is known of it, by field.
        study: its study.
        made: when it was made, as far as is known.
        score: its best score, where it has no evaluations to tell it by.
        evaluations: by step.
    """
    row = dict.fromkeys(column.name for column in TRIALS) | said
    row |= {"study": study, "started_at": made, "run_id": row["trial_id"]}
    row["model"] = row["model"] or "unknown"
    row["metric"] = row["metric"] or "score"
    row["status"] = row["status"] or Status.FINISHED
    row["evaluations"] = len(evaluations)
    row["steps"] = max((each["step"] for each in evaluations), default=row["total_steps"] or 0)
    row["best_score"] = None if score is None or np.isnan(score) else score
    best = -np.inf
    for each in evaluations:
        if each["epoch"] is None and row["steps_per_epoch"]:
            each["epoch"] = each["step"] / row["steps_per_epoch"]
        if each["score"] > best:
            best = each["score"]
            row |= {"best_score": best, "best_step": each["step"]}
        each |= {"best_score": best if best > -np.inf else np.nan, "logged_at": made}
        if row["metric"] in TASK_METRICS:
            each[row["metric"]] = each["score"]
    if evaluations:
        row["last_score"] = evaluations[-1]["score"]
        row["total_steps"] = row["total_steps"] or row["steps"]
        row["steps_per_epoch"] = row["steps_per_epoch"] or _steps_per_epoch(evaluations)
    return row


def _steps_per_epoch(evaluations: Sequence[Row]) -> int | None:
    """Return how many steps an epoch has, if steps and epochs of the evaluations say one number."""
    ratios = [each["step"] / each["epoch"] for each in evaluations if each["epoch"]]
    if not ratios:
        return None
    # The longest course tells it best, for epochs are often written rounded.
    number = round(ratios[-1])
    off = [abs(each["step"] - number * each["epoch"]) for each in evaluations if each["epoch"]]
    return number if number >= 1 and max(off) <= 0.01 * number + 0.5 else None


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────
def _other_studies(folder: Path, study: str) -> Warehouse | None:
    """Return the warehouse that stands there; None where there is none.

    Raises:
        SeedbedError: where it is one of an export, or something else.
    """
    check_replaceable(folder)
    if not (folder / MANIFEST).is_file():
        return None
    if not _holds_imports(folder):
        raise SeedbedError(
            f"{folder} holds what was exported from a tracking store, and the next export would "
            f"drop what is imported into it: name another folder for {study!r} with --warehouse."
        )
    return Warehouse(folder)


def _holds_imports(folder: Path) -> bool:
    # Of whatever schema version: an export may replace an old warehouse of its own.
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "imported" in manifest


def _write(
    folder: Path,
    study: str,
    trials: Sequence[tuple[Row, list[Row]]],
    others: Warehouse | None,
    source: Mapping[str, Any],
) -> None:
    """Write trials beside those of other studies."""
    rows: dict[str, list[Row]] = {
        "trials": [trial for trial, _ in trials],
        "evaluations": [
            {**dict.fromkeys(arrow_schema("evaluations").names), **evaluation,
             "trial_id": trial["trial_id"], "study": study, "task": trial["task"]}
            for trial, evaluations in trials
            for evaluation in evaluations
        ],
        "train_steps": [],
    }  # fmt: skip
    tables, imported = {}, {}
    if others is not None:
        imported = {name: of for name, of in others.manifest["imported"].items() if name != study}
    for name in TABLES:
        table = pa.Table.from_pylist(rows[name], schema=arrow_schema(name))
        if others is not None:
            kept = others.table(name)
            mask = pa.array([each != study for each in kept["study"].to_pylist()], pa.bool_())
            table = pa.concat_tables([kept.filter(mask), table])
        tables[name] = table
    write(
        folder,
        tables,
        {
            "studies": sorted({*imported, study}),
            "imported": imported | {study: dict(source)},
            "versions": {"seedbed": __version__, "pyarrow": pa.__version__},
        },
    )


def _counts(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for name in names:
        counts[name] += 1
    return dict(sorted(counts.items()))
