"""The shell: one question after another, put to a warehouse and answered as tables.

A statement ends with a semicolon and may run over several lines. Lines that begin with a dot are
commands of the shell's own.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TextIO

from analysis.formats import format_table
from analysis.views import names
from analysis.warehouse import Warehouse, ready_made
from finetune.errors import SeedbedError

PROMPT: Final = "seedbed> "
MORE: Final = "    ...> "

HELP: Final = """\
Statements end with a semicolon. Besides:
  .tables          the tables and views
  .schema NAME     the columns of a table or view
  .queries         the ready-made queries, and the parameters that they take
  .query NAME      the text of a ready-made query
  .help            this
  .quit            the end; so is Ctrl-D"""


def run_shell(warehouse: Warehouse, questions: TextIO, answers: TextIO) -> bool:
    """Answer statements until they end.

    Args:
        warehouse: what is asked.
        questions: where they come from; where that is a terminal, they are prompted for and can be
            edited, and a mistake is explained and is not the end.
        answers: where the tables go, and what is said of mistakes.

    Returns:
        Whether every statement was understood.
    """
    is_terminal = questions.isatty()
    if is_terminal:
        with suppress(ImportError):  # not on Windows
            import readline  # noqa: F401 - lines can then be edited and called back
        print("DuckDB's SQL over the warehouse; .help says what else there is.", file=answers)
    all_understood = True
    for text in _statements(questions, answers if is_terminal else None):
        if text in (".quit", ".exit"):
            break
        began = time.perf_counter()
        try:
            answer = _command(warehouse, text) if text.startswith(".") else _ask(warehouse, text)
        except SeedbedError as error:
            all_understood = False
            print(f"Error: {error}", file=answers)
            continue
        print(answer, file=answers)
        if is_terminal:
            print(f"({time.perf_counter() - began:.2f} s)", file=answers)
    return all_understood


def _ask(warehouse: Warehouse, sql: str) -> str:
    return format_table(warehouse.query(sql), "table")


def _command(warehouse: Warehouse, text: str) -> str:
    command, _, name = text.partition(" ")
    name = name.strip()
    if command == ".tables":
        return "\n".join(names())
    if command == ".schema":
        if name not in names():
            raise SeedbedError(f"There is no {name!r}: the tables are {', '.join(names())}.")
        return _ask(warehouse, f"select column_name, column_type from (describe {name})")  # noqa: S608
    if command == ".queries":
        return "\n".join(
            f"{name}: {' '.join(_opening(sql))}" for name, sql in sorted(ready_made().items())
        )
    if command == ".query":
        if name not in ready_made():
            raise SeedbedError(f"There is no query {name!r}: there are {', '.join(ready_made())}.")
        return ready_made()[name].rstrip()
    if command == ".help":
        return HELP
    raise SeedbedError(f"There is no command {command}; .help names those there are.")


def _opening(sql: str) -> Iterator[str]:
    """Yield the lines of the remark that a query opens with."""
    for line in sql.splitlines():
        if not line.startswith("--"):
            return
        yield line.removeprefix("--").strip()


def _statements(questions: TextIO, screen: TextIO | None) -> Iterator[str]:
    """Yield statements without their semicolons, and commands.

    Args:
        questions: the lines.
        screen: where to prompt; None where nobody waits for it.
    """
    waiting = ""
    while True:
        line = _line(questions, screen, MORE if waiting else PROMPT)
        if line is None:
            break
        if not waiting and line.strip().startswith("."):
            yield line.strip()
            continue
        waiting += line + "\n"
        *whole, rest = _split(waiting)
        yield from (statement for statement in whole if statement)
        waiting = rest + "\n" if rest else ""
    if waiting.strip():
        yield waiting.strip()


def _line(questions: TextIO, screen: TextIO | None, prompt: str) -> str | None:
    """Return the next line without its end; None where there is none."""
    if screen is None or questions is not sys.stdin:
        line = questions.readline()
        return line.rstrip("\n") if line else None
    try:
        return input(prompt)
    except EOFError:
        return None
    except KeyboardInterrupt:
        print(file=screen)
        return ""


def _split(text: str) -> list[str]:
    """Split at the semicolons that end a statement: not in quotes, not in remarks."""
    parts, begun, place = [], 0, 0
    while place < len(text):
        for opening, closing in _ENCLOSED:
            if text.startswith(opening, place):
                end = text.find(closing, place + len(opening))
                place = len(text) if end < 0 else end + len(closing)
                break
        else:
            if text[place] == ";":
                parts.append(text[begun:place].strip())
                begun = place + 1
            place += 1
    return [*parts, text[begun:].strip()]


_ENCLOSED: Final = (("'", "'"), ('"', '"'), ("--", "\n"), ("/*", "*/"))
"""What a semicolon may stand in without ending a statement."""
