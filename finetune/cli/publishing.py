"""Publishing the trials: `release`."""

from pathlib import Path
from typing import Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(release)


def release(
    repo: Annotated[
        str | None,
        typer.Option("--repo", metavar="USER/NAME", help="Data set on the Hub to release to."),
    ] = None,
    version: Annotated[
        str, typer.Option("--version", metavar="X.Y.Z", help="Version of the release.")
    ] = "1.0.0",
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Title of the data set.")
    ] = None,
    author: Annotated[
        list[str] | None,
        typer.Option("--author", metavar="NAME", help="As Family, Given; may be repeated."),
    ] = None,
    licence: Annotated[
        str, typer.Option("--licence", metavar="ID", help="Licence of the numbers.")
    ] = "cc-by-4.0",
    reviewed: Annotated[
        list[str] | None,
        typer.Option(
            "--reviewed",
            metavar="TEXT",
            help="A text that the leak scan found and you have looked at; may be repeated.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Stage and show; publish nothing.")
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to stage in.")
    ] = Path("bundle"),
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
) -> None:
    """Stage the trials as a data set: Parquet, card, manifest, licence; checked for leaks.

    Example: finetune release --dry-run
    """
    from analysis.warehouse import Warehouse
    from finetune.cli import display
    from release.bundle import build

    if not dry_run:
        raise SeedbedError(
            "release: this version stages a release but does not publish it yet. Use --dry-run, "
            "and look at the folder."
        )
    with display.console(err=True).status("Staging"):
        bundle = build(
            Warehouse(warehouse),
            output,
            repo=repo,
            version=version,
            title=title,
            authors=author or (),
            licence=licence,
            reviewed=reviewed or (),
        )
    screen = display.console()
    screen.print(display.files_table(bundle.plan()))
    for note in bundle.notes:
        screen.print(f"Note: {note}", markup=False)
    target = repo or "a data set of the Hub (name it with --repo)"
    screen.print(f"\nStaged in {output}: what would be published to {target} as v{version}.")
    screen.print("Nothing was published.")
