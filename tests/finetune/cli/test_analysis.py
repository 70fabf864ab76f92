"""`finetune show` gives each table and figure as it is asked for; the paper's are at hand."""

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.imported import import_published
from analysis.reference import published_scores

Show = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's results as a warehouse."""
    folder = tmp_path_factory.mktemp("published") / "warehouse"
    import_published(folder)
    return folder


@pytest.fixture
def show(
    published: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Show:
    """Run `finetune show` on them in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        from finetune.cli import main

        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SEEDBED_WAREHOUSE", str(published))
        monkeypatch.setattr(sys, "argv", ["finetune", "show", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        written = capfdbinary.readouterr()
        code = ended.value.code
        return subprocess.CompletedProcess(
            arguments,
            code if isinstance(code, int) else 0,
            written.out.decode(errors="replace"),
            written.err.decode(),
        )

    return run


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_without_a_name_it_lists_every_artefact(show: Show) -> None:
    from analysis.exhibits.story import ARTEFACTS

    listed = show().stdout
    for artefact in ARTEFACTS:
        assert f"  {artefact.name} " in listed
        assert artefact.question in listed


def test_table_3_comes_out_as_the_paper_prints_it(show: Show) -> None:
    table = show("table3").stdout
    assert "cola           0.0902           0.0946  0.1009" in table
    assert "mrpc           0.0575           0.0594  0.0608" in table
    assert "n: 2,100 trials." in table


def test_a_format_goes_to_standard_output(show: Show) -> None:
    assert show("table3", "--format", "latex").stdout.count("\\begin{tabular}") == 1
    assert show("Table 3", "-f", "markdown").stdout.startswith("| task | given a WI seed |")
    rows = list(csv.DictReader(io.StringIO(show("fig2", "--task", "rte", "-f", "csv").stdout)))
    assert len(rows) == 625
    assert show("fig2", "--task", "sst2", "-f", "pdf").stdout.startswith("%PDF-")


def test_a_file_is_of_the_format_that_its_name_ends_in(show: Show, tmp_path: Path) -> None:
    done = show("fig2", "--task", "rte", "-o", "paper/fig2.pdf")
    assert done.stdout == "paper/fig2.pdf\n"
    assert (tmp_path / "paper/fig2.pdf").read_bytes().startswith(b"%PDF-")


def test_several_tasks_are_several_files_told_apart_by_them(show: Show, tmp_path: Path) -> None:
    show("fig2", "--task", "rte", "--task", "sst2", "-o", "fig2.svg")
    assert files(tmp_path) == {"fig2-rte.svg", "fig2-sst2.svg"}


def test_a_folder_gets_every_format(show: Show, tmp_path: Path) -> None:
    show("table3", "-o", "paper")
    assert files(tmp_path) == {f"paper/table3.{suffix}" for suffix in ("txt", "csv", "md", "tex")}


def test_the_score_can_be_another_one_and_what_has_none_is_said(show: Show) -> None:
    done = show("fig2", "--task", "rte", "--score", "last")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "Not shown: No trial of rte has a score to compare (625 no evaluation).\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tabel3"], "no table or figure 'tabel3'. Did you mean table3"),
        (["table3", "-o", "table3.pdf"], "table3 is a table: it can be had as text, csv"),
        (["table3", "-o", "table3.docx"], "no format ends in .docx. There are .txt, .md"),
        (["table3", "-o", "table3.md", "-f", "csv"], "would be markdown, and --format says csv"),
        (["fig2", "-f", "csv"], "4 exhibits do not fit into one csv: choose one with"),
        (["fig2", "--task", "wnli"], "no task 'wnli' in dodge2020-published; there is cola"),
        (["fig2", "--study", "mine"], "no study 'mine'"),
    ],
)
def test_what_cannot_be_shown_is_an_error_that_says_what_to_do(
    show: Show, tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = show(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert files(tmp_path) == set()


def test_the_papers_own_results_need_no_warehouse(
    show: Show, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEEDBED_WAREHOUSE", "none")
    said = show("fig2", "--reference", "--task", "mrpc").stdout
    assert f"{published_scores('mrpc').score.max():.3f}." in said
    assert files(tmp_path) == set()
