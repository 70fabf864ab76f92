"""Leaving MLflow and asking what came out: `export`, `query`, `sql`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from finetune.cli import options


class Format(StrEnum):
    """How the answer to a query is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(export)
    app.command()(query)
    app.command()(sql)


def export(
    study: options.Studies = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            "--mapping",
            metavar="FILE",
            help="How to read the runs of another trainer, in YAML (docs/warehouse.md).",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read all anew, even what has not changed.")
    ] = False,
    store: options.Store = options.DEFAULT_STORE,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Write every trial of the tracking store to Parquet: trials, evaluations, train_steps.

    Only what has changed since the last export is read. The exit status is 1
    where a run had to be left out.

    Example: finetune export
    """
    if not export_store(store, warehouse, study or [], mapping=mapping, full=full):
        raise typer.Exit(1)


def export_store(
    store: str,
    warehouse: Path,
    studies: list[str],
    *,
    mapping: Path | None = None,
    full: bool = False,
) -> bool:
    """Export a store and say what came of it; return whether every run was exported.

    Raises:
        SeedbedError: where there is nothing to export.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    from analysis.export import export as export_to
    from analysis.other_trainers import OtherTrainer
    from finetune.cli import display

    screen, errors = display.console(), display.console(err=True)
    other = OtherTrainer.read(mapping) if mapping else None
    columns = (TextColumn("Reading runs"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        runs = bar.add_task("runs", total=None)
        summary = export_to(
            store,
            warehouse,
            studies=studies,
            mapping=other,
            full=full,
            progress=lambda done, total: bar.update(runs, completed=done, total=total),
        )
    screen.print(
        f"{summary.trials} trials, {summary.evaluations} evaluations, {summary.train_steps} "
        f"training steps → {warehouse}"
    )
    if summary.read < summary.trials:
        screen.print(f"[dim]{summary.read} runs were new or had changed.[/]")
    if summary.superseded:
        screen.print(f"[dim]{summary.superseded} earlier runs of the same trials left out.[/]")
    for run in summary.left_out:
        errors.print(f"Left out {run}", markup=False)
    return not summary.left_out


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="DuckDB SQL, or - for standard input.")],
    format: Annotated[  # noqa: A002 — the option's name
        Format, typer.Option("--format", "-f", help="How to write the answer.")
    ] = Format.TABLE,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write to a file, not the screen."),
    ] = None,
    source: options.From = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Ask the warehouse in SQL; docs/warehouse.md describes the tables and views.

    Example: finetune query "select task, max(best_score) from trials group by 1"
    """
    import sys

    from analysis.formats import encode
    from finetune.errors import SeedbedError
    from finetune.files import replacing_file
    from release.loader import open_warehouse

    text = sys.stdin.read() if sql == "-" else sql
    if format is Format.PARQUET and output is None and sys.stdout.isatty():
        raise SeedbedError("Parquet is not for the screen: name a file with --output.")
    content = encode(open_warehouse(source or warehouse).query(text), format.value)
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    with replacing_file(output) as beside:
        beside.write_bytes(content)


def sql(
    source: options.From = None, warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE
) -> None:
    """Ask the warehouse one question after another, in DuckDB's SQL.

    Example: finetune sql
    """
    import sys

    from analysis.shell import run_shell
    from release.loader import open_warehouse

    if not run_shell(open_warehouse(source or warehouse), sys.stdin, sys.stdout):
        raise typer.Exit(1)
