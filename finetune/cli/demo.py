"""A whole study, from the file to the staged release: `demo`."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.cli import options


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(demo)


def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for all that it leaves behind.")
    ] = Path("seedbed-demo"),
    workers: options.Workers = None,
) -> None:
    """Run a whole study on the built-in encoder and tasks, up to a staged release.

    It takes a minute or two, opens nothing and needs no network. Run again, it
    goes on where it was stopped.

    Example: finetune demo
    """
    import os

    from analysis.report import report
    from analysis.warehouse import Warehouse
    from finetune.cli import display
    from finetune.cli.publishing import card_figures
    from finetune.cli.trials import run_study
    from finetune.cli.warehouse import export_store
    from finetune.study_file import find_study
    from finetune.tracking import Tracker
    from release.bundle import build

    screen = display.console()
    study = find_study("demo")
    started_in = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    # The demo's own store, whatever MLFLOW_TRACKING_URI says: it must not reach a team's server.
    os.chdir(folder)
    store = options.DEFAULT_STORE
    run_study(study, store, workers=workers)
    screen.print()
    export_store(store, options.DEFAULT_WAREHOUSE, [])
    warehouse = Warehouse(options.DEFAULT_WAREHOUSE)
    report(warehouse, Path("report"))
    build(warehouse, Path("bundle"), version="1.0.0", draw=card_figures)

    tracker = Tracker(store)
    tracked = tracker.trials(study.study)
    grids = tracker.grids(study.study)
    screen.print(f"\n[bold]{len(tracked)} trials[/] of the study {study.study}.")
    for grid in grids:
        screen.print()
        screen.print(display.seed_table(grid, tracked))
    os.chdir(started_in)
    screen.print(
        "\n"
        + display.numbered(
            (
                ("MLflow store", f"{folder}/mlflow.db"),
                ("Parquet", f"{folder}/warehouse"),
                ("Report", f"{folder}/report/index.html"),
                ("Staged release", f"{folder}/bundle"),
            )
        )
    )
    screen.print(f"\nTry next, after [bold]cd {folder}{_activation(folder)}[/]:\n")
    screen.print(
        display.numbered(
            (
                ("finetune ui", "compare the trials in MLflow"),
                (
                    'finetune query "select task, max(best_score) from trials group by 1"',
                    "ask in SQL",
                ),
                ("finetune trial demo --task entailment --do-seed 7", "run one more trial"),
            )
        ),
        markup=False,
    )


def _activation(folder: Path) -> str:
    """Return what makes `finetune` known to the shell, where a `make` has run it and it is not."""
    import os
    import shutil
    import sys

    script = Path(sys.argv[0]).absolute().parent / "activate"
    if shutil.which("finetune") or not script.exists():
        return ""
    return f" && . {os.path.relpath(script, folder)}"
