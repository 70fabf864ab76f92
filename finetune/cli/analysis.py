"""Showing what came out: `show` one table or figure, `report` all of them."""

from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune.cli import options
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from analysis.exhibits.exhibit import Exhibit
    from analysis.exhibits.files import FileFormat
    from analysis.warehouse import Warehouse


class Score(StrEnum):
    """Which of a trial's evaluations are its score."""

    BEST = "best"
    EPOCH_END = "epoch-end"
    LAST = "last"


class Format(StrEnum):
    """As what an exhibit is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    LATEX = "latex"
    SVG = "svg"
    PNG = "png"
    PDF = "pdf"


ScoreOption = Annotated[
    Score,
    typer.Option(
        "--score",
        help="A trial's score: the best of its evaluations, the best at the ends of its epochs, "
        "or the last.",
    ),
]
ReferenceOption = Annotated[
    bool,
    typer.Option(
        "--reference",
        help="The paper's own 2,100 scores, in place of a warehouse.",
        rich_help_panel="Where",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", metavar="N", help="Seed of what is drawn at random.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(show)
    app.command()(report)


def show(
    artefact: Annotated[
        str | None,
        typer.Argument(
            metavar="ARTEFACT",
            show_default=False,
            help="A table or figure, such as table3 or fig1. Without it: the list of all.",
        ),
    ] = None,
    study: options.Studies = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", metavar="TASK", help="Only this task; may be repeated."),
    ] = None,
    score: ScoreOption = Score.BEST,
    format: Annotated[  # noqa: A002 — the option's name
        Format | None,
        typer.Option(
            "--format", "-f", help="How to write it; if not given, as --output ends, else text."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="File to write; or a folder, for every format. Standard output if not given.",
        ),
    ] = None,
    seed: SeedOption = 0,
    source: options.From = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
    reference: ReferenceOption = False,
) -> None:
    """Show one table or figure of the paper, computed from your trials; or list them all.

    Example: finetune show table3 --format latex

    Example: finetune show fig1 -o fig1.pdf
    """
    if artefact is None:
        _list_artefacts()
        return
    from analysis.exhibits.exhibit import Exhibit, Subject
    from analysis.exhibits.story import find_artefact

    wanted = find_artefact(artefact)
    with _opened(source or warehouse, reference) as opened:
        subjects = [Subject(opened, name, score.value, seed) for name in study or opened.studies()]
        exhibits = []
        for each in wanted.of_each(subjects, task):
            if isinstance(each, Exhibit):
                exhibits.append(each)
            else:
                typer.echo(f"Not shown: {each.reason}", err=True)
    if not exhibits:
        raise typer.Exit(1)
    if output is None:
        _print(exhibits, Format.TEXT.value if format is None else format.value)
    else:
        _write(exhibits, None if format is None else format.value, output)


@contextmanager
def _opened(where: str | Path, reference: bool) -> "Iterator[Warehouse]":
    """Open the warehouse, or one made of the published scores for as long as it is needed."""
    import tempfile

    from analysis.imported import import_published
    from release.loader import open_warehouse

    if not reference:
        yield open_warehouse(where)
        return
    with tempfile.TemporaryDirectory(prefix="seedbed-") as scratch:
        import_published(Path(scratch) / "warehouse")
        yield open_warehouse(Path(scratch) / "warehouse")


def _list_artefacts() -> None:
    from analysis.exhibits.story import COMPARISON, STORY
    from finetune.cli import display

    screen = display.console()
    for chapter in (*STORY, COMPARISON):
        screen.print(f"[bold]{chapter.question}[/]")
        screen.print(
            display.numbered(
                tuple(
                    (
                        artefact.name,
                        " · ".join(filter(None, (artefact.paper, artefact.question))),
                    )
                    for artefact in chapter.artefacts
                )
            )
        )
        screen.print()


def _print(exhibits: "Sequence[Exhibit]", format_: "FileFormat") -> None:
    """Write to standard output: of words as many exhibits as there are, of all else one."""
    import sys

    from analysis.exhibits.files import content

    _check_format(exhibits[0], format_)
    if len(exhibits) > 1 and format_ not in ("text", "markdown", "latex"):
        raise SeedbedError(
            f"{len(exhibits)} exhibits do not fit into one {format_}: choose one with --study and "
            f"--task, or name a folder with -o ({', '.join(each.name for each in exhibits)})."
        )
    if format_ in ("png", "pdf") and sys.stdout.isatty():
        raise SeedbedError(f"A terminal shows no {format_}: name a file with -o.")
    parts = [content(exhibit, format_) for exhibit in exhibits]
    sys.stdout.buffer.write(b"\n".join(parts))
    sys.stdout.buffer.flush()


def _write(exhibits: "Sequence[Exhibit]", format_: "FileFormat | None", output: Path) -> None:
    """Write to files: one of the format that the name ends in, or every format into a folder."""
    from analysis.exhibits.files import SUFFIXES, content, formats_of
    from finetune.cli import display
    from finetune.files import replacing_file

    of_name = SUFFIXES.get(output.suffix.lower())
    if format_ and of_name and format_ != of_name:
        raise SeedbedError(f"{output} would be {of_name}, and --format says {format_}.")
    chosen = format_ or of_name
    if chosen:
        _check_format(exhibits[0], chosen)
    elif output.suffix and not output.is_dir():
        raise SeedbedError(
            f"{output}: no format ends in {output.suffix}. There are {', '.join(SUFFIXES)}; a "
            "folder gets them all."
        )
    suffixes = {each: suffix for suffix, each in SUFFIXES.items()}
    for exhibit, apart in zip(exhibits, _apart(exhibits), strict=True):
        for each in (chosen,) if chosen else formats_of(exhibit):
            if chosen:
                path = output.with_stem(f"{output.stem}{apart}")
            else:
                path = output / f"{exhibit.artefact.name}{apart}{suffixes[each]}"
            with replacing_file(path) as beside:
                beside.write_bytes(content(exhibit, each))
            display.console().print(str(path), markup=False)


def _apart(exhibits: "Sequence[Exhibit]") -> list[str]:
    """Return what tells the file of each exhibit from the others': its studies, its task."""
    from urllib.parse import quote

    names = [
        (each.subject.study, each.other.study if each.other else None, each.task)
        for each in exhibits
    ]
    varying = [len(set(parts)) > 1 for parts in zip(*names, strict=True)]
    return [
        "".join(
            f"-{quote(part, safe='')}"
            for part, varies in zip(parts, varying, strict=True)
            if part and varies
        )
        for parts in names
    ]


def _check_format(exhibit: "Exhibit", format_: "FileFormat") -> None:
    from analysis.exhibits.files import formats_of

    if format_ not in formats_of(exhibit):
        what = "figure" if exhibit.finding.draw else "table"
        raise SeedbedError(
            f"{exhibit.artefact.name} is a {what}: it can be had as "
            f"{', '.join(formats_of(exhibit))}, not as {format_}."
        )


def report(
    study: options.Studies = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to write.")
    ] = Path("report"),
    score: ScoreOption = Score.BEST,
    seed: SeedOption = 0,
    source: options.From = None,
    warehouse: options.Warehouse = options.DEFAULT_WAREHOUSE,
    reference: ReferenceOption = False,
) -> None:
    """Write the page with all tables and figures, and each of them as a file.

    Example: finetune report

    Example: finetune report --reference -o paper
    """
    from analysis.report import report as write
    from finetune.cli import display

    with (
        _opened(source or warehouse, reference) as opened,
        display.console(err=True).status("Reading") as shown,
    ):
        page = write(
            opened,
            output,
            studies=study or [],
            score=score.value,
            seed=seed,
            progress=lambda title: shown.update(f"Drawing: {title}"),
        )
    display.console().print(f"Report: {page}")
