"""Taking in trials that were run elsewhere: `import`."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command(name="import")(import_)


def import_(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="A table of trials or of their evaluations: CSV, TSV or Parquet.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study",
            metavar="NAME",
            show_default=False,
            help="What the trials go under; the file's name if left out.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            "-c",
            metavar="FIELD=COLUMN",
            help="Which column of the file a field is; may be repeated.",
        ),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value",
            metavar="FIELD=VALUE",
            help="What a field is in all rows, such as task=rte; may be repeated.",
        ),
    ] = None,
    names: Annotated[
        str | None,
        typer.Option(
            "--names",
            metavar="PATTERN",
            show_default=False,
            help="How runs are named, with fields in braces, where no column tells them: "
            "{task}-wi{wi_seed}-do{do_seed}.",
        ),
    ] = None,
    percent: Annotated[
        bool, typer.Option("--percent", help="Scores are in percent, from 0 to 100.")
    ] = False,
    published: Annotated[
        bool,
        typer.Option("--published", help="The paper's own 2,100 results, in place of a file."),
    ] = False,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Import trials of any trainer from a table, so that the report and all analyses work on them.

    A row is a trial, with task, wi_seed, do_seed and score; or an evaluation of
    one, with step besides. Columns named so are found, with or without MLflow's
    and W&B's prefixes; fields are the columns of the tables trials and
    evaluations (docs/tables.md). Seeds that were one number are both that column.
    The CSV file of a panel of W&B, a column for each run, is read with --names.

    Example: finetune import runs.csv -c wi_seed=seed -c do_seed=seed -c score=eval/acc

    Example: finetune import --published
    """
    from analysis.imported import import_published, import_table
    from analysis.trial_table import field_of
    from finetune.cli import display

    if (file is None) != published:
        raise SeedbedError("Give the file to import, or --published, and not both.")
    if file is None:
        if column or value or names or percent or study:
            raise SeedbedError("--published takes no options but --warehouse.")
        summary = import_published(warehouse)
    else:
        summary = import_table(
            file,
            warehouse,
            study or file.stem,
            columns=_pairs("--column", column or []),
            values=_pairs("--value", value or []),
            percent=percent,
            names=names,
        )
    screen = display.console()
    tasks = ", ".join(f"{task} ({trials:,})" for task, trials in summary.trials.items())
    screen.print(
        f"{sum(summary.trials.values()):,} trials of {tasks}; {summary.evaluations:,} evaluations "
        f"→ {warehouse}, as study {summary.study}",
        markup=False,
    )
    if summary.columns:
        # What goes by its own name, or that with a tracker's prefix, need not be told.
        told = [f"{f} from {c}" for f, c in summary.columns.items() if field_of(c) != f]
        by_name = len(summary.columns) - len(told)
        screen.print(f"Read {', '.join([*told, f'{by_name} columns by name'])}.", markup=False)
    if summary.unused:
        screen.print(f"Not read: {', '.join(summary.unused)}.", markup=False)
    if summary.without_score:
        screen.print(f"Left out {summary.without_score:,} rows without a score.", markup=False)


def _pairs(option: str, said: list[str]) -> dict[str, str]:
    """Return what an option says, by field.

    Raises:
        SeedbedError: where one has no `=`, or two are of one field.
    """
    pairs: dict[str, str] = {}
    for each in said:
        field, equals, text = each.partition("=")
        if not equals or not field:
            raise SeedbedError(f"{option} {each}: write it as field=name, such as wi_seed=seed.")
        if field.strip() in pairs:
            raise SeedbedError(f"{option} says {field.strip()} twice.")
        pairs[field.strip()] = text
    return pairs
