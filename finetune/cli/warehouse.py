"""Leaving MLflow and asking what came out: `export`, `query`, `sql`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options

if TYPE_CHECKING:
    from rich.console import Console

_FIRST_LINE = 5.0
"""Seconds after which plain lines say how far an export is."""

_LINES_EVERY = 30.0
"""Seconds between the lines after that."""


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
    from analysis.export import export as export_to
    from analysis.other_trainers import OtherTrainer
    from finetune.cli import display

    screen, errors = display.console(), display.console(err=True)
    other = OtherTrainer.read(mapping) if mapping else None
    with _following(errors) as progress:
        summary = export_to(
            store, warehouse, studies=studies, mapping=other, full=full, progress=progress
        )
    screen.print(
        f"{summary.trials} trials, {summary.evaluations} evaluations, {summary.train_steps} "
        f"training steps → {warehouse}"
    )
    if summary.read < summary.trials:
        screen.print(f"[dim]{summary.read} runs were new or may have changed.[/]")
    if summary.superseded:
        screen.print(f"[dim]{summary.superseded} earlier runs of the same trials left out.[/]")
    for run in summary.left_out:
        errors.print(f"Left out {run}", markup=False)
    return not summary.left_out


@contextmanager
def _following(screen: "Console") -> Iterator[Callable[[int, int], None]]:
    """Show how many runs are read, while the block runs: a bar on a terminal, else plain lines."""
    if not screen.is_terminal:
        yield ReadingLines(screen)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (TextColumn("Reading runs"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=screen, transient=True) as bar:
        runs = bar.add_task("runs", total=None)
        yield lambda done, total: bar.update(runs, completed=done, total=total)


class ReadingLines:
    """A line now and then that says how many runs are read; none where it is soon over.

    Args:
        screen: where to.
        clock: seconds, from any beginning.
    """

    def __init__(self, screen: "Console", clock: Callable[[], float] = time.monotonic) -> None:
        self._screen = screen
        self._clock = clock
        self._began = clock()
        self._next = self._began + _FIRST_LINE

    def __call__(self, done: int, total: int) -> None:
        """Take in that so many runs are read, of so many."""
        from finetune.cli.display import duration

        now = self._clock()
        if now < self._next or done == total:
            return
        self._next = now + _LINES_EVERY
        left = (now - self._began) / done * (total - done)
        self._screen.print(f"[{done}/{total}] runs read, about {duration(left)} left", markup=False)


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
