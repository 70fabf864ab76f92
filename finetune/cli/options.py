"""The options that several commands share, each in one place."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from finetune.errors import SeedbedError

DEFAULT_STORE = "sqlite:///mlflow.db"
"""MLflow's own default: a file in the working directory, so that a plain `mlflow ui` shows it."""

DEFAULT_WAREHOUSE = Path("warehouse")

Store = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="MLFLOW_TRACKING_URI",
        metavar="URI",
        help="MLflow tracking store: a SQLite file or a server.",
        rich_help_panel="Where",
    ),
]
Warehouse = Annotated[
    Path,
    typer.Option(
        "--warehouse",
        "-w",
        envvar="SEEDBED_WAREHOUSE",
        metavar="DIR",
        help="Folder of the Parquet tables.",
        rich_help_panel="Where",
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHERE",
        show_default=False,
        help="A release in place of the warehouse: hf:USER/NAME@vX.Y.Z, or its folder.",
        rich_help_panel="Where",
    ),
]
StudyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDY",
        show_default=False,
        help="A study file, or the name of a study that comes with Seedbed (`finetune studies`).",
    ),
]
Studies = Annotated[
    list[str] | None,
    typer.Option("--study", metavar="NAME", help="Only this study; may be repeated."),
]

_PANEL = "The study (in place of a file, or to change what the file says)"
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of the study.", rich_help_panel=_PANEL),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="Pretrained encoder: a Hub name, a folder, or `embedded`.",
        rich_help_panel=_PANEL,
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="A task (`finetune tasks`); may be repeated. With a file: only these of its tasks.",
        rich_help_panel=_PANEL,
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="SEEDS", help="As 1-25 or 1,4,7.", rich_help_panel=_PANEL),
]
DropoutSeed = Annotated[
    str | None,
    typer.Option(
        "--dropout-seed",
        metavar="SEEDS",
        help="follow-data-order, or seeds.",
        rich_help_panel=_PANEL,
    ),
]
Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="NAME",
        help="paper, released-code or modern.",
        rich_help_panel=_PANEL,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Set a field of the recipe, such as epochs=1; may be repeated.",
        rich_help_panel=_PANEL,
    ),
]
TrainExamples = Annotated[
    int | None,
    typer.Option("--train-examples", metavar="N", help="Use so many.", rich_help_panel=_PANEL),
]
ValidationExamples = Annotated[
    int | None,
    typer.Option("--validation-examples", metavar="N", help="Use so many.", rich_help_panel=_PANEL),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        help="Folder of GLUE TSV files, in place of the Hub.",
        rich_help_panel=_PANEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda (all GPUs) or cuda:1.",
        rich_help_panel="Where",
    ),
]
RetryFailed = Annotated[
    bool, typer.Option("--retry-failed", help="Also run again what failed by itself.")
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Worker processes; if left out one per core, or --per-gpu on each GPU.",
        show_default=False,
        rich_help_panel="Where",
    ),
]


class ExecutorChoice(StrEnum):
    """Where trials run."""

    LOCAL = "local"
    RAY = "ray"


Executor = Annotated[
    ExecutorChoice,
    typer.Option(
        "--executor",
        help="This machine, or the Ray cluster that RAY_ADDRESS names or that runs here.",
        rich_help_panel="Where",
    ),
]
PerGpu = Annotated[
    int,
    typer.Option(
        "--per-gpu", min=1, metavar="N", help="Workers that share a GPU.", rich_help_panel="Where"
    ),
]
WorkDir = Annotated[
    Path | None,
    typer.Option(
        "--work-dir",
        metavar="DIR",
        help="Folder of what unfinished trials need to go on; .seedbed by the store if left out.",
        show_default=False,
        rich_help_panel="Where",
    ),
]


def parse_recipe(recipe: str | None, settings: list[str] | None) -> dict[str, str]:
    """Read the options `--recipe` and `--set field=value` as fields of a recipe.

    Raises:
        SeedbedError: where one has no `=`.
    """
    fields: dict[str, str] = {} if recipe is None else {"preset": recipe}
    for setting in settings or []:
        name, equals, value = setting.partition("=")
        if not equals:
            raise SeedbedError(f"--set {setting}: write it as field=value, such as epochs=1.")
        fields[name.strip()] = value.strip()
    return fields
