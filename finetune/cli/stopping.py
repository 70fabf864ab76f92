"""What settings of early stopping are expected to find: `stopping`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.early_stopping import EarlyStopping
    from analysis.warehouse import Warehouse


class Method(StrEnum):
    """How expectations are computed."""

    EXACT = "exact"
    SAMPLE = "sample"


class Ties(StrEnum):
    """How trials of equal score are ranked when stopping."""

    AVERAGED = "averaged"
    BROKEN = "broken"


class Format(StrEnum):
    """How the table is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(stopping)


def stopping(
    task: Annotated[
        str, typer.Option("--task", metavar="TASK", help="The task.", show_default=False)
    ],
    study: Annotated[
        str | None,
        typer.Option(
            "--study", metavar="NAME", help="The study, if there are several.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        list[int] | None,
        typer.Option(
            "--budget",
            "-b",
            metavar="N",
            min=1,
            help="A budget in full trainings; may be repeated; 1 to 30 if left out.",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every setting, not only the best of each budget.")
    ] = False,
    method: Annotated[
        Method, typer.Option("--method", help="In closed form, or by drawing as the paper does.")
    ] = Method.EXACT,
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", min=1, help="Draws of each setting, of a sample."),
    ] = 50_000,
    replacement: Annotated[
        bool, typer.Option("--replacement", help="A trial can be drawn twice.")
    ] = False,
    ties: Annotated[
        Ties,
        typer.Option(
            "--ties",
            help="Trials of equal score when stopping: averaged over their orders, or put in one "
            "order by --seed.",
        ),
    ] = Ties.AVERAGED,
    most_started: Annotated[
        int, typer.Option("--most-started", metavar="N", min=1, help="The most trials to start.")
    ] = 200,
    points: Annotated[
        int,
        typer.Option(
            "--points", metavar="N", min=1, help="Stopping points of a training, evenly spaced."
        ),
    ] = 30,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of what is drawn at random.")
    ] = 0,
    format: Annotated[  # noqa: A002 — the option's name
        Format, typer.Option("--format", "-f", help="How to write the table.")
    ] = Format.TABLE,
    source: options.From = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Show how best to spend a budget: start how many trials, stop when, continue how many.

    Computed from a task's trials; docs/statistics.md has the formula.

    Example: finetune stopping --task rte --budget 20

    Example: finetune stopping --task rte --budget 2 --method sample --draws 1000
    """
    import numpy as np

    from analysis import early_stopping, progress
    from analysis.formats import format_table
    from release.loader import open_warehouse

    opened = open_warehouse(source or warehouse)
    found = progress.compute(opened, _study(opened, study, task), task)
    budgets = budget or range(1, 31)
    if len(found) < min(budgets):
        raise SeedbedError(
            f"{len(found)} trials of {task} trained to their end, with evaluations on the way: too "
            f"few to tell how to spend a budget of {min(budgets)}."
        )
    if most_started < min(budgets):
        raise SeedbedError(
            f"A budget of {min(budgets)} trains as many trials to their end: --most-started must "
            f"not be below it, and is {most_started}."
        )
    computed = early_stopping.compute(
        found,
        budgets=budgets,
        points=points,
        most_started=most_started,
        replacement=replacement,
        ties=ties.value,
        method=method.value,
        draws=draws,
        rng=np.random.default_rng(seed),
    )
    typer.echo(f"Expected best {found.metric} over {computed.over}.", err=True)
    typer.echo(format_table(_table(computed, every=every), format.value))


def _study(warehouse: "Warehouse", study: str | None, task: str) -> str:
    """Return the study meant: the one named, or the only one that has the task."""
    if study:
        return study
    having = [name for name in warehouse.studies() if task in warehouse.tasks(name)]
    if len(having) > 1:
        raise SeedbedError(
            f"Several studies have the task {task!r}: choose one of {', '.join(having)} with "
            "--study."
        )
    if not having:
        raise SeedbedError(f"No study in the warehouse has the task {task!r}.")
    return having[0]


def _table(found: "EarlyStopping", *, every: bool) -> "pa.Table":
    """Return a row for each setting, by budget, the one that finds most first."""
    import numpy as np
    import pyarrow as pa

    chosen = np.lexsort((-found.mean, found.meets)) if every else found.best
    full = found.mean[found.full][found.meets[chosen]]
    mean = found.mean[chosen]
    saved = np.full(len(chosen), np.nan)
    np.divide(mean - full, 1 - full, out=saved, where=full < 1)
    return pa.table(
        {
            "budget": found.budget[found.meets[chosen]],
            "start": found.started[chosen],
            "stop_after": found.part[chosen] / found.points,
            "stop_epoch": found.part[chosen] / found.points * found.epochs,
            "continue": found.continued[chosen],
            "expected_best": mean,
            "deviation": found.deviation[chosen],
            "full_training": full,
            "error_saved": pa.array(saved, from_pandas=True),
        }
    )
