"""The command line. Modules here import what is heavy inside their commands."""

import os
import sys
from typing import Annotated

import typer

from finetune import __version__
from finetune.cli import (
    analysis,
    demo,
    early_stop,
    importing,
    machine,
    publishing,
    status,
    stopping,
    studies,
    trials,
    warehouse,
)
from finetune.errors import SeedbedError

app = typer.Typer(
    name="finetune",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for module in (
    trials,
    early_stop,
    stopping,
    status,
    warehouse,
    importing,
    analysis,
    publishing,
    studies,
    machine,
    demo,
):
    module.register(app)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"seedbed {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Works anywhere.")
    ] = False,
) -> None:
    """Run fine-tuning trials under many random seeds, and ask what the seeds did.

    A study crosses weight-initialisation (WI) seeds with data-order (DO) seeds.
    Its trials are tracked in MLflow, exported to Parquet, asked by SQL and
    statistics, and published.

    Start with: finetune demo
    """


def main() -> None:
    """Run the command line; an error of the user's is a sentence, and has its exit status."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    # What the libraries say on their own behalf is not for the user of this tool.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(arguments)
    except SeedbedError as error:
        if debug:
            raise
        typer.secho(f"Error: {error}", err=True, fg=typer.colors.RED)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        if debug:
            raise
        typer.secho("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
