"""Write the pages that the program itself can say best, and the figures in them.

`commands.md` and `tables.md` come from the program, `minilm-cola/` from the study kept there.

python docs/generate.py            writes them
python docs/generate.py --check    fails, naming the pages that are out of date
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from analysis.exhibits.exhibit import Exhibit, Subject  # noqa: E402
from analysis.exhibits.files import content  # noqa: E402
from analysis.exhibits.story import find_artefact  # noqa: E402
from analysis.schema import tables_markdown  # noqa: E402
from analysis.warehouse import Warehouse  # noqa: E402
from finetune.cli import app  # noqa: E402

WIDTH = 100
"""Columns of the help texts, whatever the terminal's width is."""

PREFACE = """\
# Commands

Every command of `finetune`, as its `--help` shows it. This page is generated from the program.
"""


def commands_markdown() -> str:
    """Return the page of all commands: each one's name as a heading, then its help."""
    root = typer.main.get_command(app)
    sections = [
        f"## `{path}`\n\n```text\n{text}\n```\n" for path, text in helps("finetune", root, None)
    ]
    return "\n".join([PREFACE, *sections])


def helps(name: str, command: Any, parent: Any) -> Iterator[tuple[str, str]]:
    """Yield a command's path and help, and those of all commands within it, in their order.

    Args:
        name: the last word of its path.
        command: a command or group, as Typer makes it (its classes are not public).
        parent: the context of the group that it is in; None for the program itself.
    """
    command.rich_markup_mode = None  # plain text: no boxes, no colour
    context = command.make_context(
        name, [], parent=parent, resilient_parsing=True, terminal_width=WIDTH
    )
    yield context.command_path, command.get_help(context)
    for each in getattr(command, "commands", {}).values():
        if not each.hidden:
            yield from helps(each.name, each, context)


STUDY = "minilm-cola"
WAREHOUSE = ROOT / "docs" / STUDY / "warehouse"

STUDY_PREFACE = """\
# A study, from its file to its report

The question of Dodge et al. (2020) at a hundredth of the price: a small encoder, MiniLM with six
layers (`sentence-transformers/all-MiniLM-L6-v2`, 22 million weights), on all of CoLA for three
epochs, under 5 × 5 seeds. It ran on two cores of a CPU, a worker on each, six to ten minutes a
trial, and was stopped and taken up again three times; [`study.yaml`](study.yaml) is all it takes.
(Of the trials that were stopped the column `seconds` counts what lay between, too.)

```
finetune run study.yaml --data-dir glue     # the same command after every stop
finetune export
finetune report
```

The tables of its trials and evaluations lie in [`warehouse/`](warehouse), 50 kB of them, to try the
rest of Seedbed on without training anything, from the root of the repository:

```
finetune show fig2 --warehouse docs/minilm-cola/warehouse
finetune query --warehouse docs/minilm-cola/warehouse "from trials select avg(best_score)"
finetune report --warehouse docs/minilm-cola/warehouse
```

What follows are its tables and figures with what they say of themselves; the report has more. The
page is generated from the tables by `make docs`.
"""

SHOWN = {
    "How much do the seeds matter?": ("scores", "table3", "variance-components"),
    "Are some seeds good?": ("fig2", "best-seed"),
    "How to spend the next budget?": ("fig1", "winners-curse", "fig4", "fig5", "advice"),
}
"""The artefacts on the page of the study, under the questions that they answer."""


def study_files() -> Iterator[tuple[str, bytes]]:
    """Yield the page of the study kept as an example, and the figures in it, by their paths."""
    subject = Subject(Warehouse(WAREHOUSE), STUDY)
    parts = [STUDY_PREFACE]
    for question, names in SHOWN.items():
        parts.append(f"## {question}\n")
        for exhibit in (shown(subject, name) for name in names):
            parts.append(f"### {exhibit.artefact.title}\n\n{exhibit.finding.says}\n")
            if exhibit.finding.draw is not None:
                parts.append(f"![{exhibit.artefact.title}]({exhibit.name}.svg)\n")
                yield f"{STUDY}/{exhibit.name}.svg", content(exhibit, "svg")
            if exhibit.finding.rows:
                parts.append(content(exhibit, "markdown").decode())
            parts.append(f"*n: {exhibit.finding.n}. Uncertainty: {exhibit.finding.over}.*\n")
    yield f"{STUDY}/README.md", "\n".join(parts).encode()


def shown(subject: Subject, name: str) -> Exhibit:
    """Return the exhibit of an artefact for the one task of the subject."""
    artefact = find_artefact(name)
    (task,) = subject.tasks
    exhibit = artefact.of(subject, task if artefact.scope == "task" else None)
    assert isinstance(exhibit, Exhibit), exhibit
    return exhibit


def files() -> Iterator[tuple[str, bytes]]:
    """Yield each generated file's path in this folder, and its content."""
    yield "commands.md", commands_markdown().encode()
    yield "tables.md", tables_markdown().encode()
    yield from study_files()


def main(arguments: list[str]) -> int:
    """Write the files or check them; return the exit status."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, written in files():
        path = ROOT / "docs" / name
        if path.is_file() and path.read_bytes() == written:
            continue
        stale.append(f"docs/{name}")
        if not arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(written)
    if stale and arguments:
        print(f"Out of date: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
