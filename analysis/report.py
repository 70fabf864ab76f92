"""The page that shows all of it: one HTML file, and each table and figure beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from analysis import in_words, study_summary
from analysis.exhibits.exhibit import Artefact, Exhibit, Gap, Subject
from analysis.exhibits.files import (
    SUFFIXES,
    FileFormat,
    content,
    formats_of,
    legend,
    numeric_columns,
)
from analysis.exhibits.story import COMPARISON, STORY, Chapter
from analysis.figures.inline import inline
from finetune.contract import RECIPE_COLUMNS
from finetune.errors import SeedbedError
from finetune.files import replacing_folder

if TYPE_CHECKING:
    from analysis.in_words import Fact
    from analysis.scores import Regime
    from analysis.warehouse import Warehouse

PAGE: Final = "index.html"

_MARK: Final = '<meta name="generator" content="Seedbed report">'
"""Stands in every report, so that a folder can be told to be one."""

_MACHINE_COLUMNS: Final = (
    "device",
    "threads",
    "seedbed_version",
    "torch_version",
    "transformers_version",
    "python_version",
    "model_fingerprint",
    "data_fingerprint",
)


@dataclass(frozen=True)
class _Section:
    """An artefact, and its exhibits of the study or of each of its tasks."""

    artefact: Artefact
    exhibits: Sequence[Exhibit]

    @property
    def how(self) -> str:
        """How its exhibits are to be read, where that is one thing for several; else empty."""
        first, *others = (exhibit.finding.how for exhibit in self.exhibits)
        return first if others and set(others) == {first} else ""


@dataclass(frozen=True)
class _ChapterPart:
    """A chapter of a study, or of several.

    Attributes:
        in_short: its answer in short: of which task, or None, and the words.
        gaps: by reason, what is not shown for it.
    """

    name: str
    question: str
    in_short: Sequence[tuple[str | None, str]]
    sections: Sequence[_Section]
    gaps: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _StudyPart:
    name: str
    words: str
    warnings: Sequence[str]
    facts: Sequence[Fact]
    chapters: Sequence[_ChapterPart]


def report(
    warehouse: Warehouse,
    folder: Path,
    *,
    studies: Sequence[str] = (),
    score: Regime = "best",
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write a report on studies of a warehouse.

    `index.html` needs no other file and no network. Beside it lie the figures of each study, as
    `figures/<study>/*.svg`, `*.png` and `*.pdf`, and its tables and the data of its figures, as
    `tables/<study>/*.csv`, tables as `*.md` and `*.tex` too. The same warehouse gives the same
    bytes.

    Args:
        warehouse: what is reported on.
        folder: written whole, in place of the report that may stand there.
        studies: names of studies, in the order they shall come; all, by name, if none is given.
        score: which of a trial's evaluations are its score.
        seed: of what is drawn at random, such as the trials whose training curves are shown.
        progress: told what is done next, such as the title of a table or figure.

    Returns:
        The path of the page.

    Raises:
        SeedbedError: where a study is not in the warehouse, there is none, or the folder holds
            something else than a report.
    """
    names = tuple(dict.fromkeys(studies)) or tuple(warehouse.studies())
    if not names:
        raise SeedbedError(
            f"The warehouse at {warehouse.folder} has no trials to report on: run a study, then "
            "`finetune export`."
        )
    subjects = [Subject(warehouse, name, score, seed) for name in names]
    _check_replaceable(folder)

    parts = [_study_part(subject, progress) for subject in subjects]
    comparison = _chapter_part(COMPARISON, subjects, progress) if len(subjects) > 1 else None
    page = _render(parts, comparison, score, warehouse.manifest)
    progress("Files")
    chapters = [chapter for part in parts for chapter in part.chapters]
    with replacing_folder(folder) as beside:
        for chapter in [*chapters, comparison] if comparison else chapters:
            for section in chapter.sections:
                for exhibit in section.exhibits:
                    _write_files(exhibit, beside)
        (beside / PAGE).write_text(page, encoding="utf-8", newline="\n")
    return folder / PAGE


def _check_replaceable(folder: Path) -> None:
    """Refuse to swap away a folder of something else: the user may have mistyped its name."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    page = folder / PAGE
    if folder.exists() and not (page.is_file() and _MARK in page.read_text("utf-8", "replace")):
        raise SeedbedError(
            f"{folder} is there already and is not a report, so it is not overwritten: "
            "name another folder."
        )


# ── What is shown ────────────────────────────────────────────────────────────────────────────────
def _study_part(subject: Subject, progress: Callable[[str], None]) -> _StudyPart:
    summary = study_summary.compute(subject.warehouse, subject.study)
    return _StudyPart(
        name=subject.study,
        words=in_words.what_was_run(summary),
        warnings=in_words.warnings(summary),
        facts=in_words.facts(
            summary, [*(column.name for column in RECIPE_COLUMNS), *_MACHINE_COLUMNS]
        ),
        chapters=[_chapter_part(chapter, [subject], progress) for chapter in STORY],
    )


def _chapter_part(
    chapter: Chapter, subjects: Sequence[Subject], progress: Callable[[str], None]
) -> _ChapterPart:
    """Put a chapter's artefacts to one study, or to several that are compared."""
    shown = {}
    for artefact in chapter.artefacts:
        progress(artefact.title)
        shown[artefact] = artefact.of_each(subjects)
    sections = [
        _Section(artefact, exhibits)
        for artefact, each in shown.items()
        if (exhibits := [exhibit for exhibit in each if isinstance(exhibit, Exhibit)])
    ]
    gaps: dict[str, list[str]] = {}
    for gap in (each for of_artefact in shown.values() for each in of_artefact):
        if isinstance(gap, Gap):
            gaps.setdefault(gap.reason, []).append(gap.artefact.paper or gap.artefact.title)
    in_short = [each for artefact in chapter.in_short for each in shown[artefact]]
    return _ChapterPart(
        name=chapter.name,
        question=chapter.question,
        in_short=list(dict.fromkeys((each.task, _says(each)) for each in in_short)),
        sections=sections,
        gaps=gaps,
    )


def _says(shown: Exhibit | Gap) -> str:
    return shown.finding.says if isinstance(shown, Exhibit) else shown.reason


# ── How it is written ────────────────────────────────────────────────────────────────────────────
_SUFFIX: Final = {format_: suffix for suffix, format_ in SUFFIXES.items()}
_TITLES: Final[dict[FileFormat, str]] = {
    "csv": "CSV",
    "markdown": "Markdown",
    "latex": "LaTeX",
    "svg": "SVG",
    "png": "PNG",
    "pdf": "PDF",
}


def _files(exhibit: Exhibit) -> dict[FileFormat, str]:
    """Return the path of each of an exhibit's files within the report."""
    study, name = _file_name(exhibit.subject.study), _file_name(exhibit.name)
    return {
        format_: f"{'tables' if format_ in _TABLES else 'figures'}/{study}/{name}{_SUFFIX[format_]}"
        for format_ in formats_of(exhibit)
        if format_ in _TITLES
    }


_TABLES: Final = ("csv", "markdown", "latex")


def _write_files(exhibit: Exhibit, folder: Path) -> None:
    for format_, path in _files(exhibit).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content(exhibit, format_))


def _file_name(name: str) -> str:
    """Return a name as that of a file or folder: no separators, not hidden, one for one."""
    quoted = quote(name, safe="")
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


_SCORES: Final[dict[Regime, str]] = {
    "best": "the best of its evaluations",
    "epoch-end": "the best of its evaluations at the ends of epochs",
    "last": "that of its last evaluation",
}
"""What a trial's score is, by regime."""


def _render(
    parts: Sequence[_StudyPart],
    comparison: _ChapterPart | None,
    score: Regime,
    manifest: Mapping[str, object],
) -> str:
    environment = Environment(
        loader=PackageLoader("analysis"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["drawing"] = _drawing
    environment.globals["links"] = _links
    environment.globals["legend"] = legend
    environment.globals["numeric_columns"] = numeric_columns
    environment.filters["prose"] = _prose
    template = environment.get_template("report.html")
    return template.render(
        mark=Markup(_MARK),  # noqa: S704 — written above
        studies=parts,
        comparison=comparison,
        score=_SCORES[score],
        manifest=manifest,
    )


def _prose(text: str) -> Markup:
    """Return text for a page, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _links(exhibit: Exhibit) -> dict[str, str]:
    return {_TITLES[format_]: quote(path) for format_, path in _files(exhibit).items()}


def _drawing(exhibit: Exhibit, prefix: str) -> Markup:
    of = exhibit.task or exhibit.subject.study
    label = f"{exhibit.artefact.title}, {of}: {exhibit.finding.says}"
    return Markup(  # noqa: S704 — texts are escaped where the SVG is written
        inline(exhibit.svg, prefix=prefix, label=label, marks=exhibit.finding.marks)
    )
