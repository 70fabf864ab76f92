"""The machine and the store: `ui`, `doctor`."""

from typing import Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(ui)
    app.command()(doctor)


def ui(
    port: Annotated[
        int, typer.Option("--port", "-p", metavar="PORT", help="Port to listen on.")
    ] = 5000,
    store: options.Store = options.DEFAULT_STORE,
) -> None:
    """Open MLflow's own page on the tracking store; Ctrl-C ends it.

    Example: finetune ui
    """
    import os
    import sys

    from finetune.tracking import sqlite_file

    file = sqlite_file(store)
    if file is None:
        typer.echo(f"The store is a server of its own: open {store} in a browser.")
        return
    if not file.exists():
        raise SeedbedError(
            f"tracking store {store}: there is no such file. Run a study first, or name another "
            "store with --store."
        )
    # MLflow opens on its pages for language-model applications unless it is asked for these.
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    typer.echo(f"MLflow on {store} (Ctrl-C ends it). In ten seconds or so, open\n{page}")
    # The page needs none of the server's background jobs, which take 20 seconds to start.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", store]
    os.execv(sys.executable, [*command, "--port", str(port), "--workers", "1"])  # noqa: S606


def doctor(
    mend: Annotated[
        bool, typer.Option("--mend", help="Tune a SQLite store that reads slowly or blocks runs.")
    ] = False,
    store: options.Store = options.DEFAULT_STORE,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Say what works on this machine, what is missing, and what to do about it.

    Example: finetune doctor
    """
    from finetune import doctor as doctors
    from finetune.cli import display

    screen = display.console()
    marks = {
        doctors.Verdict.GOOD: "[green]✓[/]",
        doctors.Verdict.NOTE: "[dim]·[/]",
        doctors.Verdict.BAD: "[red]✗[/]",
    }
    if mend:
        doctors.mend(store)
    findings = doctors.examine(store, warehouse)
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        screen.print(f"{marks[finding.verdict]} {finding.subject:<{width}}  {finding.found}")
        if finding.advice:
            screen.print(f"{'':{width + 4}}[dim]→ {finding.advice}[/]")
    if any(finding.verdict is doctors.Verdict.BAD for finding in findings):
        raise typer.Exit(1)
