"""The page that shows all of it: one HTML file, and each table and figure beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analysis import best_trial, exhibits, study_summary, task_summary
from analysis.exhibits import Exhibit, deviation_text, score_text
from analysis.figures import png, style
from analysis.formats import format_table
from analysis.scores import TrialScores, metric_title, require_study, trial_scores
from finetune.contract import RECIPE_COLUMNS, Status
from finetune.errors import SeedbedError
from finetune.files import replacing_folder

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.best_trial import BestTrial
    from analysis.study_summary import StudySummary
    from analysis.task_summary import TaskSummary
    from analysis.warehouse import Warehouse

PAGE: Final = "index.html"

_MARK: Final = '<meta name="generator" content="Seedbed report">'
"""Stands in every report, so that a folder can be told to be one."""


@dataclass(frozen=True)
class _Fact:
    name: str
    value: str


@dataclass(frozen=True)
class _TaskPart:
    name: str
    words: str
    figures: Sequence[Exhibit]


@dataclass(frozen=True)
class _StudyPart:
    name: str
    words: str
    warnings: Sequence[str]
    facts: Sequence[_Fact]
    tables: Sequence[Exhibit]
    tasks: Sequence[_TaskPart]
    left_out: Exhibit


def report(
    warehouse: Warehouse, folder: Path, *, studies: Sequence[str] = (), seed: int = 0
) -> Path:
    """Write a report on studies of a warehouse.

    `index.html` needs no other file and no network. Beside it lie `figures/<study>/*.svg` and
    `*.png`, and the data of each table and figure as `tables/<study>/*.csv`, of tables as `*.md`
    too. The same warehouse gives the same bytes.

    Args:
        warehouse: what is reported on.
        folder: written whole, in place of the report that may stand there.
        studies: names of studies, in the order they shall come; all, by name, if none is given.
        seed: of the random choice of trials whose training curves are shown, the same for each
            task.

    Returns:
        The path of the page.

    Raises:
        SeedbedError: where a study is not in the warehouse, there is none, or the folder holds
            something else than a report.
    """
    names = tuple(dict.fromkeys(studies)) or tuple(warehouse.studies())
    if not names:
        raise SeedbedError(
            f"The warehouse at {warehouse.folder} has no trials to report on: run a study, then "
            "`finetune export`."
        )
    for name in names:
        require_study(warehouse, name)
    _check_replaceable(folder)

    parts = [_study_part(warehouse, name, seed) for name in names]
    page = _render(parts, warehouse.manifest)
    with replacing_folder(folder) as beside:
        for part in parts:
            for exhibit in _exhibits(part):
                _write_files(exhibit, beside, part.name)
        (beside / PAGE).write_text(page, encoding="utf-8")
    return folder / PAGE


def _check_replaceable(folder: Path) -> None:
    """Refuse to swap away a folder of something else: the user may have mistyped its name."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    page = folder / PAGE
    if folder.exists() and not (page.is_file() and _MARK in page.read_text("utf-8", "replace")):
        raise SeedbedError(
            f"{folder} is there already and is not a report, so it is not overwritten: "
            "name another folder."
        )


# ── What is said ─────────────────────────────────────────────────────────────────────────────────
def _study_part(warehouse: Warehouse, study: str, seed: int) -> _StudyPart:
    summary = study_summary.compute(warehouse, study)
    tasks = task_summary.compute(warehouse, study)
    best = best_trial.compute(warehouse, study)
    tables = [exhibits.tasks_table(warehouse, study)]
    if best:
        tables.append(exhibits.best_trials_table(warehouse, study))
        tables.append(exhibits.deviations_table(warehouse, study))
    return _StudyPart(
        name=study,
        words=_study_in_words(summary),
        warnings=_warnings(summary),
        facts=_facts(summary, [*(column.name for column in RECIPE_COLUMNS), *_MACHINE_COLUMNS]),
        tables=tables,
        tasks=[
            _task_part(warehouse, study, task, tasks, best.get(task), seed)
            for task in summary.tasks
        ],
        left_out=exhibits.left_out_table(warehouse, study),
    )


_MACHINE_COLUMNS: Final = (
    "device",
    "threads",
    "seedbed_version",
    "torch_version",
    "transformers_version",
    "python_version",
    "model_fingerprint",
    "data_fingerprint",
)


def _task_part(
    warehouse: Warehouse,
    study: str,
    task: str,
    summaries: Sequence[TaskSummary],
    best: BestTrial | None,
    seed: int,
) -> _TaskPart:
    scores = trial_scores(warehouse, study, task)
    figures = []
    if len(scores):
        figures = [
            exhibits.expected_performance_figure(warehouse, study, task),
            exhibits.seed_grid_figure(warehouse, study, task),
            exhibits.training_curves_figure(warehouse, study, task, np.random.default_rng(seed)),
        ]
    own = [summary for summary in summaries if summary.task == task]
    return _TaskPart(task, _task_in_words(scores, own, best), figures)


def _study_in_words(summary: StudySummary) -> str:
    number = sum(summary.trials.values())
    grids = {
        task: (len(summary.values["wi_seed"][task]), len(summary.values["do_seed"][task]))
        for task in summary.tasks
    }
    sizes = {size: [task for task in grids if grids[task] == size] for size in grids.values()}
    listed = "; ".join(
        f"{', '.join(tasks)} ({wi} WI × {do} DO seeds{' each' if len(tasks) > 1 else ''})"
        for (wi, do), tasks in sizes.items()
    )
    models = ", ".join(map(str, summary.of_all_tasks("model")))
    ended = ", ".join(
        f"{count:,} {status.replace('_', ' ')}" for status, count in summary.trials.items()
    )
    first, last = (f"{moment:%Y-%m-%d}" for moment in summary.started_at)
    when = f"on {first}" if first == last else f"from {first} to {last}"
    return (
        f"{number:,} {_plural(number, 'trial')} of {models} on {listed}: {ended}. Started {when} "
        f"(UTC); {_duration(summary.seconds)} of training in all."
    )


def _warnings(summary: StudySummary) -> list[str]:
    """Say what keeps the scores from being compared."""
    warnings = []
    if summary.mixed:
        warnings.append(
            "Trials of the same task differ in more than their seeds: in "
            f"{', '.join(_words(name) for name in summary.mixed)}. The spread shown below is not "
            "that of seeds alone; give what was run differently another study's name."
        )
    if unfinished := summary.trials.get(Status.RUNNING, 0):
        warnings.append(
            f"{unfinished:,} {_plural(unfinished, 'trial')} had not ended when the warehouse was "
            "exported: the figures below will change."
        )
    return warnings


def _task_in_words(
    scores: TrialScores, summaries: Sequence[TaskSummary], best: BestTrial | None
) -> str:
    if best is None:
        why = ", ".join(f"{count:,} {reason}" for reason, count in scores.left_out_counts.items())
        return f"No trial of this task has trained to its end yet ({why}): nothing can be said."
    metric = metric_title(scores.metric)
    where = (
        f"WI seed {best.wi_seed} and DO seed {best.do_seed}, at step {best.step:,} of "
        f"{best.total_steps:,}"
    )
    if len(scores) == 1:
        said = [f"One trial trained to its end. Its best {metric} is {score_text(best.score)}, "
                f"with {where}. With one trial nothing can be said about seeds."]  # fmt: skip
    else:
        said = [
            f"{len(scores):,} trials trained to their end. Their best {metric} goes from "
            f"{score_text(scores.score.min())} to {score_text(best.score)}, with mean "
            f"{score_text(scores.score.mean())} and standard deviation "
            f"{deviation_text(float(np.std(scores.score)))} over trials. The highest came with "
            f"{where}."
        ]
    for summary in summaries:
        if summary.at_baseline and summary.share_at_baseline is not None:
            said.append(
                f"{summary.at_baseline:,} ({summary.share_at_baseline:.0%}) never rose above the "
                f"majority baseline of {score_text(summary.majority_baseline)}."
            )
    return " ".join(said)


def _facts(summary: StudySummary, columns: Sequence[str]) -> list[_Fact]:
    """Return what the columns say: one value, or which value on which tasks."""
    facts = []
    for column in columns:
        tasks_by_value: dict[str, list[str]] = {}
        for task in summary.tasks:
            values = ", ".join(map(_value_text, summary.values[column][task]))
            tasks_by_value.setdefault(values or "none", []).append(task)
        if list(tasks_by_value) == ["none"]:
            continue
        if len(tasks_by_value) == 1:
            (text,) = tasks_by_value
        else:
            text = "; ".join(
                f"{value} ({', '.join(tasks)})" for value, tasks in tasks_by_value.items()
            )
        facts.append(_Fact(_words(column), text))
    return facts


def _value_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _words(column: str) -> str:
    return column.replace("_", " ")


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


# ── How it is written ────────────────────────────────────────────────────────────────────────────
def _exhibits(part: _StudyPart) -> list[Exhibit]:
    figures = [figure for task in part.tasks for figure in task.figures]
    return [*part.tables, *figures, *([part.left_out] if part.left_out.rows else [])]


def _write_files(exhibit: Exhibit, folder: Path, study: str) -> None:
    tables = folder / "tables" / _file_name(study)
    tables.mkdir(parents=True, exist_ok=True)
    stem = _file_name(exhibit.name)
    _write(tables / f"{stem}.csv", format_table(exhibit.data, "csv") + "\n")
    if exhibit.figure is None:
        _write(tables / f"{stem}.md", format_table(_as_shown(exhibit), "markdown") + "\n")
        return
    figures = folder / "figures" / _file_name(study)
    figures.mkdir(parents=True, exist_ok=True)
    _write(figures / f"{stem}.svg", exhibit.svg)
    (figures / f"{stem}.png").write_bytes(png(exhibit.figure))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _as_shown(exhibit: Exhibit) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_pylist(list(exhibit.rows))


def _file_name(name: str) -> str:
    """Return a name as that of a file or folder: no separators, not hidden, one for one."""
    quoted = quote(name, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


_NUMERIC: Final = re.compile(r"[\d.,%–-]+( of [\d,]+)?")
"""Cells that are set to the right."""


def _render(parts: Sequence[_StudyPart], manifest: Mapping[str, object]) -> str:
    environment = Environment(
        loader=PackageLoader("analysis"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["inline"] = _inline
    environment.filters["file_name"] = _file_name
    environment.tests["numeric"] = _NUMERIC.fullmatch
    template = environment.get_template("report.html")
    return template.render(mark=Markup(_MARK), studies=parts, manifest=manifest)  # noqa: S704


_COLOUR_VARIABLES: Final = {
    style.INK: "ink",
    style.MUTED: "muted",
    style.RULE: "rule",
    style.BLUE: "blue",
    style.VERMILION: "vermilion",
    style.GREEN: "green",
}
"""The colours of figures that follow the page's, so that they can be read on a dark one too."""


def _inline(exhibit: Exhibit, prefix: str) -> Markup:
    """Return a figure as part of a page.

    What is only for a file of its own goes. Ids that something refers to get the prefix, for a
    page may have each once only; the others go. The house's colours become the page's.
    """
    text = exhibit.svg[exhibit.svg.index("<svg") :]
    text = re.sub(rf'\s*<g id="{style.GROUND}">.*?</g>', "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    text = re.sub(r'^(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", text)
    text = text.replace("<svg ", '<svg role="img" ', 1)

    referred = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    text = re.sub(
        r' id="([^"]*)"',
        lambda own: f' id="{prefix}{own[1]}"' if own[1] in referred else "",
        text,
    )
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}", text)

    for colour, variable in _COLOUR_VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return Markup(text)  # noqa: S704 — drawn here; matplotlib escapes what texts it contains
