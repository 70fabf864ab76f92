"""The files of an exhibit hold what it shows, whatever the format, and the same bytes each time."""

import csv
import io
from typing import Any

import pyarrow as pa
import pytest

from analysis.exhibits.exhibit import NO_UNCERTAINTY, Artefact, Exhibit, Finding
from analysis.exhibits.files import FileFormat, content, formats_of, numeric_columns
from analysis.exhibits.story import find_artefact
from analysis.warehouse import Warehouse


class Study:
    study = "s_1 & co"


def exhibit(**changes: Any) -> Exhibit:
    values: dict[str, Any] = {
        "says": "70% of a_b.",
        "n": "2 trials",
        "over": "draws of n",
        "source": "select 1",
        "data": pa.table({"task": ["a_b", "c|d"], "score": [0.123456789, 1.0]}),
        "rows": [{"task": "a_b", "score": "0.123"}, {"task": "c|d", "score": "–"}],
    }
    artefact = Artefact("t", "Table 9", "A title", "Is it?", "study", lambda _: None)  # type: ignore[arg-type,return-value]
    subject: Any = Study()
    return Exhibit(artefact, subject, None, Finding(**values | changes))


def text(shown: Exhibit, format_: FileFormat) -> str:
    return content(shown, format_).decode()


def test_csv_has_every_digit() -> None:
    assert list(csv.reader(io.StringIO(text(exhibit(), "csv")))) == [
        ["task", "score"], ["a_b", "0.123456789"], ["c|d", "1.0"],
    ]  # fmt: skip


def test_markdown_has_the_table_as_shown_with_numbers_to_the_right() -> None:
    assert text(exhibit(), "markdown") == (
        "| task | score |\n| --- | ---: |\n| a_b | 0.123 |\n| c\\|d | – |\n"
    )


def test_latex_has_the_table_as_shown_and_says_what_it_is() -> None:
    assert text(exhibit(), "latex") == (
        "% A title: s_1 & co. 70% of a_b.\n"
        "% n: 2 trials.\n"
        "% uncertainty over: draws of n.\n"
        "% Needs the package booktabs.\n"
        "\\begin{tabular}{lr}\n\\toprule\ntask & score \\\\\n\\midrule\n"
        "a\\_b & 0.123 \\\\\nc\\textbar{}d & -- \\\\\n\\bottomrule\n\\end{tabular}\n"
    )


def test_latex_escapes_what_means_something_else_to_it() -> None:
    rows = [{"a": r"\ & % $ # _ { } ~ ^ < ≤ × ± ∞ |"}]
    assert (
        r"\textbackslash{} \& \% \$ \# \_ \{ \} \textasciitilde{} \textasciicircum{} $<$ $\le$ "
        r"$\times$ $\pm$ $\infty$ \textbar{} \\"
    ) in text(exhibit(rows=rows), "latex")


@pytest.mark.parametrize("cell", ["[2pt]", "*"])
def test_no_cell_is_taken_for_an_argument_of_the_line_before(cell: str) -> None:
    lines = text(exhibit(rows=[{"a": cell}]), "latex").splitlines()
    above, row = lines[-4:-2]
    assert above == r"\midrule"
    assert row.startswith("{")


def test_text_is_the_table_and_every_word_about_it() -> None:
    shown = text(exhibit(), "text")
    assert shown.startswith(
        "A title (Table 9 · s_1 & co)\n\ntask  score\n────  ─────\na_b   0.123\n"
    )
    for words in ("70% of a_b.", "n: 2 trials.", "uncertainty over: draws of n."):
        assert words in shown


def test_without_uncertainty_that_is_said() -> None:
    assert "uncertainty: none; these are" in text(exhibit(over=NO_UNCERTAINTY), "text")


def test_text_of_a_long_figure_has_the_ends_of_its_data() -> None:
    data = pa.table({"n": list(range(100))})
    lines = text(exhibit(rows=(), data=data), "text").splitlines()[4:17]
    assert [line.strip() for line in lines] == [
        *map(str, range(6)), "…", *map(str, range(94, 100)),
    ]  # fmt: skip


def test_a_table_is_not_to_be_had_as_a_drawing() -> None:
    assert formats_of(exhibit()) == ("text", "csv", "markdown", "latex")
    with pytest.raises(ValueError, match="t is not to be had as pdf"):
        content(exhibit(), "pdf")


@pytest.mark.parametrize(
    ("format_", "opening"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF-")]
)
def test_a_figure_is_the_same_bytes_each_time(
    synthetic_warehouse: Warehouse, format_: FileFormat, opening: bytes, show: Any
) -> None:
    first, again = (
        content(show(find_artefact("fig2"), synthetic_warehouse, "demo", "rte"), format_)
        for _ in range(2)
    )
    assert first.startswith(opening)
    assert first == again


@pytest.mark.parametrize(
    "cell",
    ["0.5", "−0.5", "-0.5", "1,024", "12%", "–", "3 of 4", "0.5 ± 0.1", "< 0.001", "1.5 to 2"],
)
def test_numbers_are_told(cell: str) -> None:
    assert numeric_columns([{"a": cell}, {"a": "1"}]) == {"a"}


@pytest.mark.parametrize("cell", ["accuracy", "WI 3", "2020-01-01 to", "F1"])
def test_words_are_told_from_numbers(cell: str) -> None:
    assert numeric_columns([{"a": "1"}, {"a": cell}]) == set()
