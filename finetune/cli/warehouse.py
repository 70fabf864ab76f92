"""Leaving MLflow and asking what came out: `export`, `query`, `report`."""

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


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(export)
    app.command()(query)
    app.command()(report)


def export(
    study: options.Studies = None,
    store: options.Store = options.DEFAULT_STORE,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Write every trial of the tracking store to Parquet: trials, evaluations, train_steps.

    Example: finetune export
    """
    if not export_store(store, warehouse, study or []):
        raise typer.Exit(1)


def export_store(store: str, warehouse: Path, studies: list[str]) -> bool:
    """Export a store and say what came of it; return whether every run was exported.

    Raises:
        SeedbedError: where there is nothing to export.
    """
    from analysis.export import export as export_to
    from finetune.cli import display

    screen, errors = display.console(), display.console(err=True)
    with errors.status("Reading the tracking store") as shown:
        summary = export_to(
            store,
            warehouse,
            studies=studies,
            progress=lambda done, total: shown.update(
                f"Reading the tracking store: {done}/{total}"
            ),
        )
    screen.print(
        f"{summary.trials} trials, {summary.evaluations} evaluations, {summary.train_steps} "
        f"training steps → {warehouse}"
    )
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
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Ask the warehouse in SQL; the tables are trials, evaluations and train_steps.

    Example: finetune query "select task, max(best_score) from trials group by 1"
    """
    import sys

    from analysis.formats import format_table
    from analysis.warehouse import Warehouse

    text = sys.stdin.read() if sql == "-" else sql
    typer.echo(format_table(Warehouse(warehouse).query(text), format.value))


def report(
    study: options.Studies = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")
    ] = Path("report"),
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Write the page with all tables and figures, and each of them as a file.

    Example: finetune report
    """
    from analysis.report import report as write
    from analysis.warehouse import Warehouse
    from finetune.cli import display

    with display.console(err=True).status("Drawing"):
        page = write(Warehouse(warehouse), output, studies=study or [])
    display.console().print(f"Report: {page}")
