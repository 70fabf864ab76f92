"""The report is one page that stands alone, says what the data say, and is swapped in whole."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from analysis import training_curves
from analysis.exhibits.exhibit import Exhibit, Subject
from analysis.exhibits.story import ARTEFACTS, find_artefact
from analysis.report import report
from analysis.scores import trial_scores
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]
ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """What a page has: its text, its ids, what it refers to, and whether its tags match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids = Counter[str]()
        self.links: list[str] = []
        self.resources: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.text = text_of(self.source.partition("</style>")[2])
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids[value or ""] += 1
            elif name in ("href", "xlink:href"):
                self.links.append(value or "")
            elif name in ("src", "srcset", "data", "poster"):
                self.resources.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(html: str) -> str:
    """The text of a piece of a page, with single blanks."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module", autouse=True)
def cheap_files() -> Iterator[None]:
    """Put names for the files beside a page: to save each figure thrice takes most of the time.

    What the files hold, and that it is the same bytes each time, is tested where they are made.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.content", cheap_content)
        yield


def cheap_content(exhibit: Exhibit, format_: str) -> bytes:
    return f"{exhibit.name} as {format_}".encode()


@pytest.fixture(scope="module")
def folder(synthetic_warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(synthetic_warehouse, tmp_path_factory.mktemp("report") / "report").parent


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page(folder / "index.html")


def test_the_page_needs_no_other_file(page: Page) -> None:
    assert page.resources == []
    assert "@import" not in page.source
    assert re.findall(r"url\((?!#)", page.source) == []
    assert page.source.count("<script>") == page.source.count("<script") == 1
    assert not re.search(
        r"fetch|import|XMLHttpRequest|https?:", page.source.partition("<script>")[2]
    )
    assert "<link" not in page.source


def test_every_link_leads_somewhere(page: Page, folder: Path) -> None:
    assert page.links
    for link in page.links + [f"#{name}" for name in re.findall(r"url\(#([^)]*)\)", page.source)]:
        if link.startswith("#"):
            assert page.ids[link[1:]] == 1, link
        elif not link.startswith("data:"):
            assert (folder / link).is_file(), link


def test_no_id_stands_twice(page: Page) -> None:
    assert {name for name, count in page.ids.items() if count > 1} == set()


def test_each_table_and_figure_is_a_file_in_each_of_its_formats(
    synthetic_warehouse: Warehouse, folder: Path
) -> None:
    expected = {}
    for artefact in ARTEFACTS:
        if artefact.scope == "two studies":
            continue
        for exhibit in artefact.of_each([Subject(synthetic_warehouse, "demo")]):
            if isinstance(exhibit, Exhibit):
                name, finding = exhibit.name, exhibit.finding
                tables = {"csv": "csv"} | (
                    {"md": "markdown", "tex": "latex"} if finding.rows else {}
                )
                figures = {each: each for each in ("svg", "png", "pdf")} if finding.draw else {}
                for place, formats in (("tables", tables), ("figures", figures)):
                    for suffix, format_ in formats.items():
                        expected[f"{place}/demo/{name}.{suffix}"] = f"{name} as {format_}"
    found = {path: text.decode() for path, text in contents(folder).items()}
    found.pop("index.html")
    assert found == expected


def test_the_page_says_what_was_run_and_how_it_ended(page: Page) -> None:
    assert (
        "40 trials of tiny on cola, rte (5 WI × 4 DO seeds each): 38 finished, 1 diverged, "
        "1 failed. Started on 2026-01-01 (UTC); 40.0 minutes of training in all."
    ) in page.text
    assert "learning rate" in page.text
    assert "2e-05" in page.text
    assert "demo-rte-4-1" in page.text, "the failed trial is named"


def test_the_page_says_of_each_task_what_its_scores_are(
    page: Page, synthetic_scores: dict[tuple[str, str], np.ndarray]
) -> None:
    cola = synthetic_scores["demo", "cola"]
    assert (
        f"The Matthews correlation of 20 trials goes from 0.000 to {cola.max():.3f}, with mean "
        f"{cola.mean():.3f} and standard deviation {cola.std():.4f} over trials."
    ) in page.text
    assert "1 (5%) never rose above the majority baseline of 0.000." in page.text


def test_every_exhibit_on_the_page_says_what_it_shows_its_n_and_its_uncertainty(
    page: Page, synthetic_warehouse: Warehouse
) -> None:
    assert page.source.count("<figure>") == page.source.count("<figcaption>")
    assert page.source.count("<svg") == page.source.count('class="drawing"') >= 6
    for artefact in (find_artefact("table3"), find_artefact("fig2")):
        for exhibit in artefact.of_each([Subject(synthetic_warehouse, "demo")]):
            assert isinstance(exhibit, Exhibit)
            for text in (exhibit.finding.says, exhibit.finding.n, exhibit.finding.over):
                assert " ".join(text.split()) in page.text


def test_pointing_at_a_cell_needs_no_script(page: Page) -> None:
    titles = [unescape(title) for title in re.findall(r"<title>(WI [^<]*)</title>", page.source)]
    assert any(re.fullmatch(r"WI 3, DO 1: 0\.\d{3}\ntrial demo-rte-3-1", title) for title in titles)


def test_the_score_asked_for_is_the_score_of_all_that_follows(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): np.array([[0.6, 0.7]])})
    last = trial_scores(warehouse, "s", "rte", score="last").score
    assert last.max() < 0.7
    text = Page(report(warehouse, tmp_path / "r", score="last")).text
    assert f"goes from {last.min():.3f} to {last.max():.3f}" in text
    assert "The score of a trial is that of its last evaluation on the validation set." in text


def test_figures_on_the_page_follow_its_colours_and_have_no_ground(page: Page) -> None:
    drawings = "".join(re.findall(r"<svg.*?</svg>", page.source, flags=re.DOTALL))
    assert "var(--ink)" in drawings
    assert "#1f2933" not in drawings
    assert "<metadata" not in drawings
    assert "<style" not in drawings


@pytest.mark.slow
def test_the_same_warehouse_gives_the_same_page_and_files(
    synthetic_warehouse: Warehouse, folder: Path, tmp_path: Path
) -> None:
    again = report(synthetic_warehouse, tmp_path / "again").parent
    assert contents(again) == contents(folder)


def test_the_seed_chooses_whose_curves_are_shown(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = np.linspace(0.5, 0.9, 30).reshape(5, 6)
    warehouse = make_warehouse(tmp_path / "w", {("s", "rte"): scores}, evaluations=3)
    page = report(warehouse, tmp_path / "r", seed=5).read_text(encoding="utf-8")
    _, figure = page.split('<section class="exhibit" id="s1-fig4">')
    shown = re.findall(r"trial (\S+)</title>", figure.partition("</svg>")[0])
    expected = training_curves.compute(warehouse, "s", "rte", np.random.default_rng(5))
    assert len(shown) == 20
    assert set(shown) == {curve.trial_id for curve in expected.curves}


# ── Degenerate data, all in one report ───────────────────────────────────────────────────────────
ALL_DIVERGED = {(wi, do): Status.DIVERGED for wi in (1, 2) for do in (1, 2)}
ODD_NAME = '../<b onload="x">&amp; ${y}'
ODD: dict[str, tuple[np.ndarray, dict[tuple[int, int], Status]]] = {
    "one trial": (np.array([[0.6]]), {}),
    "one WI seed": (np.array([[0.61, 0.7, 0.65]]), {}),
    "all diverged": (np.full((2, 2), 0.5), ALL_DIVERGED),
    "none complete": (
        np.array([[0.6, 0.7]]), {(1, 1): Status.RUNNING, (1, 2): Status.FAILED}
    ),
    "regression": (np.array([[0.64, 0.7]]), {}),
    "unlike recipes": (np.array([[0.65, 0.7]]), {}),
    ODD_NAME: (np.array([[0.66, 0.7]]), {}),
}  # fmt: skip
TASKS = {"regression": "stsb", ODD_NAME: "a/b"}


@pytest.fixture(scope="module")
def odd_folder(
    make_warehouse: MakeWarehouse,
    with_trials_changed: ChangeTrials,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    def alter(row: dict[str, Any]) -> None:
        if row["study"] == "regression":
            row.update(metric="pearson_and_spearman", labels=1, majority_baseline=None)
        if row["study"] == "unlike recipes":
            row["batch_size"] = 8 * row["do_seed"]

    folder = tmp_path_factory.mktemp("odd")
    warehouse = make_warehouse(
        folder / "made",
        {(study, TASKS.get(study, "rte")): scores for study, (scores, _) in ODD.items()},
        statuses={
            (study, "rte", *seeds): status
            for study, (_, statuses) in ODD.items()
            for seeds, status in statuses.items()
        },
        evaluations=4,
    )
    warehouse = with_trials_changed(warehouse, folder / "changed", alter)
    return report(warehouse, folder / "deep" / "report").parent


@pytest.fixture(scope="module")
def odd_texts(odd_folder: Path) -> dict[str, str]:
    """The text of each study's part of the page."""
    source = (odd_folder / "index.html").read_text(encoding="utf-8")
    _, *parts = source.split('<section class="study"')
    texts = [text_of("<section" + part) for part in parts]
    return {study: text for study in ODD for text in texts if text.startswith(f"{study} ")}


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("one trial", "With one trial nothing can be said about seeds."),
        ("one trial", "There is one trial, 0.600, and so no spread to show."),
        ("one WI seed", "The accuracy of 3 trials goes from"),
        (
            "all diverged",
            "All 4 trials have the same accuracy, 0.500: nothing can be said about seeds. 4 (100%) "
            "never rose above the majority baseline of 0.500.",
        ),
        (
            "none complete",
            "How much do the seeds matter here? rte No trial of rte has a score to compare "
            "(1 still running, 1 failed).",
        ),
        ("none complete", "Fig. 9, Fig. 6,"),
        ("none complete", "1 trial had not ended when the warehouse was exported"),
        ("regression", "(Pearson + Spearman)/2"),
        ("unlike recipes", "differ in more than their seeds: in batch size."),
    ],
)
def test_degenerate_data_give_a_page_that_says_what_cannot_be_said(
    odd_texts: dict[str, str], study: str, said: str
) -> None:
    assert said in odd_texts[study]


def test_a_regression_task_has_no_baseline(odd_texts: dict[str, str]) -> None:
    assert "never rose above" not in odd_texts["regression"]
    assert re.search(r"Spearman\)/2 – 160 100 2 2 –", odd_texts["regression"])


def test_names_cannot_break_the_page_or_leave_the_folder(odd_folder: Path) -> None:
    page = Page(odd_folder / "index.html")
    assert ODD_NAME in page.text
    assert "<b onload" not in page.source
    assert {child.name for child in odd_folder.parent.iterdir()} == {"report"}
    assert {child.name for child in odd_folder.iterdir()} == {"index.html", "figures", "tables"}
    for link in page.links:
        if not link.startswith(("#", "data:")):
            assert (odd_folder / unquote(link)).resolve().is_relative_to(odd_folder.resolve())
            assert (odd_folder / unquote(link)).is_file()


# ── Which studies, and what stands where ─────────────────────────────────────────────────────────
@pytest.fixture
def without_figures(make_warehouse: MakeWarehouse, tmp_path: Path) -> Callable[..., Warehouse]:
    """Make a warehouse of studies whose trials all still run, which is quick to report on."""

    def make(*studies: str) -> Warehouse:
        return make_warehouse(
            tmp_path / "-".join(["warehouse", *studies]),
            {(study, "rte"): np.array([[0.6]]) for study in studies},
            statuses={(study, "rte", 1, 1): Status.RUNNING for study in studies},
        )

    return make


def test_studies_come_in_the_order_asked_for_and_no_others(
    without_figures: Callable[..., Warehouse], tmp_path: Path
) -> None:
    page = Page(report(without_figures("a", "b", "c"), tmp_path / "r", studies=["c", "a", "c"]))
    assert re.findall(r"<h2>(\w)</h2>", page.source) == ["c", "a"]


def test_an_old_report_is_replaced_whole(
    without_figures: Callable[..., Warehouse], tmp_path: Path
) -> None:
    for study in ("old", "new"):
        report(without_figures(study), tmp_path / "r")
    assert {name.split("/")[1] for name in contents(tmp_path / "r") if "/" in name} == {"new"}


def test_an_empty_folder_is_written_to(
    without_figures: Callable[..., Warehouse], tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    assert report(without_figures("s"), tmp_path / "r").is_file()


def test_an_unknown_study_leaves_the_old_report_as_it_was(
    without_figures: Callable[..., Warehouse], tmp_path: Path
) -> None:
    warehouse = without_figures("demo")
    report(warehouse, tmp_path / "r")
    before = contents(tmp_path)
    with pytest.raises(SeedbedError, match=r"no study 'dmo'; it has demo\."):
        report(warehouse, tmp_path / "r", studies=["demo", "dmo"])
    assert contents(tmp_path) == before


def test_a_failure_while_writing_leaves_the_old_report_as_it_was(
    without_figures: Callable[..., Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = without_figures("demo")
    report(warehouse, tmp_path / "r")
    before = contents(tmp_path)

    def fail(*_: object) -> str:
        raise OSError("no space left on device")

    monkeypatch.setattr("analysis.report.content", fail)
    with pytest.raises(OSError, match="no space left"):
        report(warehouse, tmp_path / "r")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", ["a folder", "a web page", "a file"])
def test_what_is_no_report_is_not_overwritten(
    synthetic_warehouse: Warehouse, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "mine"
    if kind == "a file":
        target.write_text("precious")
    else:
        target.mkdir()
        name = "thesis.tex" if kind == "a folder" else "index.html"
        (target / name).write_text("precious")
    before = contents(tmp_path)
    with pytest.raises(SeedbedError, match="is not a report, so it is not overwritten"):
        report(synthetic_warehouse, target)
    assert contents(tmp_path) == before


def test_a_warehouse_without_trials_has_nothing_to_report(
    without_figures: Callable[..., Warehouse], tmp_path: Path
) -> None:
    with pytest.raises(SeedbedError, match="no trials to report on: run a study"):
        report(without_figures(), tmp_path / "r")
