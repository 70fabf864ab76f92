"""An exhibit as a file: figures as SVG, PNG and PDF, tables as Markdown, CSV, LaTeX and text."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final, Literal, get_args

import pyarrow as pa

from analysis.exhibits.exhibit import NO_UNCERTAINTY
from analysis.figures import pdf, png
from analysis.formats import format_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

    from analysis.exhibits.exhibit import Exhibit

FileFormat = Literal["text", "markdown", "csv", "latex", "svg", "png", "pdf"]

FILE_FORMATS: Final[tuple[FileFormat, ...]] = get_args(FileFormat)

SUFFIXES: Final[dict[str, FileFormat]] = {
    ".txt": "text",
    ".md": "markdown",
    ".csv": "csv",
    ".tex": "latex",
    ".svg": "svg",
    ".png": "png",
    ".pdf": "pdf",
}
"""The formats by the suffixes of their files."""

_END: Final = 6
"""Rows from the start and from the end of a figure's data on a terminal."""

_LINE: Final = 100
"""Columns of prose on a terminal."""


def formats_of(exhibit: Exhibit) -> tuple[FileFormat, ...]:
    """Return the formats in which an exhibit can be had: of figures, tables, or both."""
    tables: tuple[FileFormat, ...] = ("markdown", "latex") if exhibit.finding.rows else ()
    figures: tuple[FileFormat, ...] = ("svg", "png", "pdf") if exhibit.finding.draw else ()
    return ("text", "csv", *tables, *figures)


def content(exhibit: Exhibit, format: FileFormat) -> bytes:  # noqa: A002 — the option's name
    """Return an exhibit as the content of a file; the same exhibit gives the same bytes.

    Args:
        exhibit: what to show.
        format: `text` has what it says, with its table as shown or the first and last of its data;
            `csv` its data in full precision; `markdown` and `latex` its table as shown.

    Raises:
        ValueError: where it cannot be had in that format; see `formats_of`.
    """
    if format not in formats_of(exhibit):
        raise ValueError(f"{exhibit.name} is not to be had as {format}")
    if format == "svg":
        return exhibit.svg.encode()
    if format in _DRAWN:
        assert exhibit.figure is not None
        return _DRAWN[format](exhibit.figure)
    return (_WRITTEN[format](exhibit) + "\n").encode()


def numeric_columns(rows: Sequence[Mapping[str, str]]) -> set[str]:
    """Return the columns of a table that are set to the right, as numbers are."""
    return {name for name in rows[0] if all(_NUMERIC.fullmatch(row[name]) for row in rows)}


_NUMERIC: Final = re.compile(r"(< ?|p [=<] ?)?[+−–-]?[\d.,]*%?( (of|±|to) (> )?[\d.,]+%?)?")


def legend(exhibit: Exhibit) -> list[tuple[str, str]]:
    """Return what stands below an exhibit wherever it is shown: names, and what they are."""
    finding = exhibit.finding
    name = "uncertainty" if finding.over == NO_UNCERTAINTY else "uncertainty over"
    return [("n", finding.n), (name, finding.over)]


# ── Words ────────────────────────────────────────────────────────────────────────────────────────
def _text(exhibit: Exhibit) -> str:
    finding, artefact = exhibit.finding, exhibit.artefact
    of = " · ".join(part for part in (artefact.paper, exhibit.subject.study, exhibit.task) if part)
    title = f"{artefact.title} ({of})"
    body = _aligned(finding.rows) if finding.rows else _ends(finding.data)
    prose = [finding.says, finding.how, *(f"{name}: {text}." for name, text in legend(exhibit))]
    return "\n\n".join([title, body, *(textwrap.fill(each, _LINE) for each in prose if each)])


def _ends(data: pa.Table) -> str:
    """Return the first and last rows of a figure's data; who wants all takes the CSV."""
    if data.num_rows <= 2 * _END:
        return format_table(data, "table")
    ends = pa.concat_tables([data.slice(0, _END), data.slice(data.num_rows - _END)])
    heading, rule, *lines = format_table(ends, "table").splitlines()
    note = f"({data.num_rows:,} rows, {2 * _END} shown: csv has all)"
    return "\n".join([heading, rule, *lines[:_END], "…", *lines[_END : 2 * _END], note])


def _aligned(rows: Sequence[Mapping[str, str]]) -> str:
    columns = []
    numeric = numeric_columns(rows)
    for name in rows[0]:
        cells = [row[name] for row in rows]
        width = max(map(len, [name, *cells]))
        align = str.rjust if name in numeric else str.ljust
        columns.append([align(name, width), "─" * width, *(align(cell, width) for cell in cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _markdown(exhibit: Exhibit) -> str:
    rows = exhibit.finding.rows
    numeric = numeric_columns(rows)
    rules = ["---:" if name in numeric else "---" for name in rows[0]]
    lines = [list(rows[0]), rules, *([*row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(map(_escape_markdown, line))} |" for line in lines)


def _escape_markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def _csv(exhibit: Exhibit) -> str:
    return format_table(exhibit.finding.data, "csv")


def _latex(exhibit: Exhibit) -> str:
    """Return a tabular for a table environment of the reader's own."""
    rows = exhibit.finding.rows
    numeric = numeric_columns(rows)
    columns = "".join("r" if name in numeric else "l" for name in rows[0])
    notes = [f"{exhibit.artefact.title}: {exhibit.subject.study}. {exhibit.finding.says}"]
    notes += [f"{name}: {text}." for name, text in legend(exhibit)]
    comments = [
        f"% {line}"
        for note in (*notes, "Needs the package booktabs.")
        for line in textwrap.wrap(note, _LINE)
    ]
    header, *body = (
        f"{' & '.join(map(_escape_latex, line))} \\\\"
        for line in ([*rows[0]], *([*row.values()] for row in rows))
    )
    return "\n".join(
        [
            *comments,
            f"\\begin{{tabular}}{{{columns}}}",
            "\\toprule",
            header,
            "\\midrule",
            *body,
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "|": r"\textbar{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "≤": r"$\le$",
        "≥": r"$\ge$",
        "×": r"$\times$",
        "±": r"$\pm$",
        "−": "$-$",
        "–": "--",
        "η": r"$\eta$",
        "²": r"$^2$",
        "∞": r"$\infty$",
        # At the start of a row they would belong to the command before it.
        "[": "{[}",
        "*": "{*}",
    }
)
"""What means something else to LaTeX, or what its standard fonts do not have."""


def _escape_latex(text: str) -> str:
    return text.translate(_LATEX)


_WRITTEN: Final[dict[FileFormat, Callable[[Exhibit], str]]] = {
    "text": _text,
    "markdown": _markdown,
    "csv": _csv,
    "latex": _latex,
}
_DRAWN: Final[dict[FileFormat, Callable[[Figure], bytes]]] = {"png": png, "pdf": pdf}
