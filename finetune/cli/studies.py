"""What can be studied: `init`, `studies`, `tasks`."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.errors import SeedbedError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(init)
    app.command()(studies)
    app.command()(tasks)


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path(
        "study.yaml"
    ),
) -> None:
    """Write a commented study file to start from.

    Example: finetune init study.yaml
    """
    from importlib import resources

    if path.exists():
        raise SeedbedError(f"{path}: is there already, and is left as it is. Give another name.")
    if not path.parent.is_dir():
        raise SeedbedError(f"{path}: there is no folder {path.parent}. Make it first.")
    template = resources.files("mlruns_config") / "studies" / "template.yaml"
    path.write_text(template.read_text(encoding="utf-8"), encoding="utf-8")
    typer.echo(f"Wrote {path}. Edit it, then: finetune run {path}")


def studies() -> None:
    """List the studies that come with Seedbed.

    Example: finetune studies
    """
    from rich.table import Table

    from finetune.cli import display
    from finetune.study import format_seeds
    from finetune.study_file import read_study, shipped_studies

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("study", "model", "tasks", "WI seeds × DO seeds", "recipe"):
        table.add_column(column)
    for name, path in shipped_studies().items():
        study = read_study(path)
        recipe = study.recipe
        table.add_row(
            name,
            study.model,
            ", ".join(task.task for task in study.tasks),
            f"{format_seeds(study.wi_seeds)} × {format_seeds(study.do_seeds)}",
            f"{recipe.epochs} epochs, batch {recipe.batch_size}, rate {recipe.learning_rate:g}",
        )
    screen = display.console()
    screen.print(table)
    screen.print("\nRun one with: finetune run NAME. Write your own with: finetune init")


def tasks() -> None:
    """List the tasks that a study can name.

    Example: finetune tasks
    """
    from rich.table import Table

    from finetune.cli import display
    from finetune.tasks import find_task, task_names

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("task", "title", "metric", "classes", "what it is"):
        table.add_column(column, justify="right" if column == "classes" else "left")
    for name in task_names():
        task = find_task(name)
        table.add_row(
            name,
            task.title,
            task.metric.replace("_", " "),
            str(len(task.labels) or "–"),
            task.description,
        )
    screen = display.console()
    screen.print(table)
    screen.print(
        "\nGLUE's tasks are read from the Hub, or from a folder of TSV files with --data-dir. "
        "A study file can name your own data too: see docs/tasks.md."
    )
