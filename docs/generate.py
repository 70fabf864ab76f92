"""Write the pages that the program itself can say best: `commands.md` and `tables.md`.

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

from analysis.schema import tables_markdown  # noqa: E402
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


PAGES = {"commands.md": commands_markdown, "tables.md": tables_markdown}


def main(arguments: list[str]) -> int:
    """Write the pages or check them; return the exit status."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    stale = []
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        text = page()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(f"docs/{name}")
        if not arguments:
            path.write_text(text, encoding="utf-8")
    if stale and arguments:
        print(f"Out of date: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
