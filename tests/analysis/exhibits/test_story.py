"""What every artefact of the story owes to its reader, whatever it shows and of what trials."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.exhibits.exhibit import Artefact, Exhibit, Gap, Subject
from analysis.exhibits.files import content, formats_of
from analysis.exhibits.story import ARTEFACTS, STORY, find_artefact
from analysis.figures.inline import inline
from analysis.imported import import_table
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]

EVERY = pytest.mark.parametrize("artefact", ARTEFACTS, ids=lambda artefact: artefact.name)


@pytest.fixture(scope="module")
def subjects(
    make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> list[Subject]:
    """Two studies with the same tasks and a name that SQL must not stumble over."""
    rng = np.random.default_rng(7)
    names = ("o'hara; drop table trials --", "plain")
    warehouse = make_warehouse(
        tmp_path_factory.mktemp("story"),
        {
            (study, task): 0.6 + 0.03 * rng.standard_normal((5, 4))
            for study in names
            for task in ("cola", "rte")
        },
        statuses={
            (names[0], "rte", 2, 2): Status.FAILED,
            (names[0], "rte", 3, 2): Status.DIVERGED,
        },
    )
    return [Subject(warehouse, name) for name in names]


Shown = Callable[[Artefact], list[Exhibit]]


@pytest.fixture(scope="module")
def shown(subjects: list[Subject]) -> Shown:
    """Return the exhibits of an artefact of these studies, computed once."""

    @cache
    def exhibits(artefact: Artefact) -> list[Exhibit]:
        found = [each for each in artefact.of_each(subjects) if isinstance(each, Exhibit)]
        assert found, "two studies of 20 trials of two tasks are enough for any artefact"
        return found

    return exhibits


@EVERY
def test_an_exhibit_says_what_it_shows_of_how_many_and_over_what(
    artefact: Artefact, shown: Shown
) -> None:
    for exhibit in shown(artefact):
        finding = exhibit.finding
        assert re.search(r"\d", finding.says), "numbers of these data"
        assert finding.says.endswith(".")
        assert "nan" not in finding.says.split()
        assert re.match(r"\d", finding.n)
        assert finding.over
        assert not finding.over.endswith(".")
        assert finding.data.num_rows
        assert finding.rows or finding.draw


@EVERY
def test_the_sql_of_an_exhibit_can_be_put_as_it_stands(artefact: Artefact, shown: Shown) -> None:
    for exhibit in shown(artefact):
        source = exhibit.finding.source
        if re.search(r"^(select|with|from|pivot)\b", source, re.MULTILINE):
            assert exhibit.subject.warehouse.query(source).num_rows > 0, exhibit.name


@EVERY
def test_a_table_has_one_heading_for_all_its_rows(artefact: Artefact, shown: Shown) -> None:
    for exhibit in shown(artefact):
        assert len({tuple(row) for row in exhibit.finding.rows}) <= 1


@EVERY
def test_an_exhibit_can_be_had_in_each_of_its_formats(artefact: Artefact, shown: Shown) -> None:
    # That a figure is saved as PNG and PDF too is tested on one: it is slow, and matplotlib's.
    exhibit, *_ = shown(artefact)
    for format_ in formats_of(exhibit):
        assert format_ in ("png", "pdf") or content(exhibit, format_)
    if exhibit.finding.draw:
        drawn = inline(exhibit.svg, prefix="p", label="l", marks=exhibit.finding.marks)
        assert drawn.startswith("<svg ")


@EVERY
def test_the_same_subject_gives_the_same_exhibit(
    artefact: Artefact, subjects: list[Subject], shown: Shown
) -> None:
    first, *_ = shown(artefact)
    again = artefact.of(first.subject, first.task, first.other)
    assert isinstance(again, Exhibit)
    assert first.finding.says == again.finding.says
    assert first.finding.data.equals(again.finding.data)
    if first.finding.draw:
        assert first.svg == again.svg


# ── Too little data ──────────────────────────────────────────────────────────────────────────────
LITTLE: dict[str, tuple[np.ndarray, dict[tuple[int, int], Status]]] = {
    "one trial": (np.array([[0.6]]), {}),
    "one WI seed": (np.array([[0.61, 0.7, 0.65, 0.66]]), {}),
    "one DO seed": (np.array([[0.61], [0.7], [0.65], [0.66]]), {}),
    "all alike": (np.full((3, 3), 0.7), {}),
    "all at the baseline": (
        np.full((3, 3), 0.5),
        {(wi, do): Status.DIVERGED for wi in (1, 2, 3) for do in (1, 2, 3)},
    ),
    "no seed twice": (np.where(np.eye(3) == 1, 0.6 + 0.1 * np.arange(3), np.nan), {}),
    "none complete": (np.array([[0.6, 0.7]]), {(1, 1): Status.RUNNING, (1, 2): Status.FAILED}),
}


@pytest.fixture(scope="module")
def little(make_warehouse: MakeWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    return make_warehouse(
        tmp_path_factory.mktemp("little"),
        {(study, "rte"): scores for study, (scores, _) in LITTLE.items()},
        statuses={
            (study, "rte", *seeds): status
            for study, (_, statuses) in LITTLE.items()
            for seeds, status in statuses.items()
        },
        evaluations=4,
    )


@EVERY
@pytest.mark.parametrize("study", LITTLE)
def test_too_little_data_give_an_exhibit_without_nan_or_a_reason(
    artefact: Artefact, study: str, little: Warehouse
) -> None:
    subjects = [Subject(little, study)]
    if artefact.scope == "two studies":
        subjects.append(Subject(little, "one trial"))
    for shown in artefact.of_each(subjects):
        if isinstance(shown, Gap):
            assert shown.reason.endswith(".")
        else:
            assert "nan" not in shown.finding.says.split()
            assert not [row for row in shown.finding.rows if "nan" in row.values()]
            assert shown.figure if shown.finding.draw else content(shown, "text")


# ── Trials of another trainer, which say little of themselves ────────────────────────────────────
SAID: dict[str, dict[str, str]] = {
    "baseline": {"majority_baseline": "0.53", "metric": "accuracy"},
    "epochs": {"steps_per_epoch": "10", "validation_examples": "277", "metric": "accuracy"},
}


@pytest.fixture(scope="module")
def told_little(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """5 × 4 trials, four evaluations each, of which no more is said than under these names."""
    folder = tmp_path_factory.mktemp("told")
    rng = np.random.default_rng(5)
    scores = np.where(rng.random((5, 4)) < 0.2, 0.53, 0.6 + 0.1 * rng.random((5, 4)))
    lines = ["task,wi_seed,do_seed,score,step"]
    for (wi, do), score in np.ndenumerate(scores):
        lines += [f"rte,{wi},{do},{score * step / 30},{step}" for step in (0, 10, 20, 30)]
    (folder / "table.csv").write_text("\n".join(lines))
    for study, said in SAID.items():
        import_table(folder / "table.csv", folder / "w", study, values=said)
    return Warehouse(folder / "w")


@EVERY
def test_imported_trials_need_not_say_more_than_their_seeds_and_scores(
    artefact: Artefact, told_little: Warehouse
) -> None:
    for study in SAID:
        subjects = [Subject(told_little, study)]
        if artefact.scope == "two studies":
            subjects.append(Subject(told_little, "baseline"))
        for shown in artefact.of_each(subjects):
            if isinstance(shown, Gap):
                assert shown.reason.endswith(".")
            else:
                said = " ".join(
                    [
                        shown.finding.says,
                        *(text for row in shown.finding.rows for text in row.values()),
                    ]
                )
                assert not re.search(r"\b(nan|None)\b", said), said
                assert shown.figure if shown.finding.draw else content(shown, "text")


@pytest.mark.parametrize("name", ["fig4", "fig5", "fig9"])
def test_evaluations_without_epochs_are_shown_once_it_is_said_how_long_one_is(
    name: str, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        "\n".join(
            ["task,wi_seed,do_seed,score,step"]
            + [
                f"rte,{wi},1,{0.5 + wi * step / 1000},{step}"
                for wi in range(4)
                for step in (0, 10, 20)
            ]
        )
    )
    import_table(table, tmp_path / "w", "s")
    gap = find_artefact(name).of(Subject(Warehouse(tmp_path / "w"), "s"), "rte")
    assert isinstance(gap, Gap)
    assert "column epoch, or with `--value steps_per_epoch=…`" in gap.reason
    import_table(table, tmp_path / "w", "s", values={"steps_per_epoch": "10"})
    shown = find_artefact(name).of(Subject(Warehouse(tmp_path / "w"), "s"), "rte")
    assert isinstance(shown, Exhibit)
    assert set(shown.finding.data["epoch"].to_pylist()) == {0, 1, 2}


def test_where_the_size_is_not_known_only_trials_at_the_baseline_diverged(
    told_little: Warehouse,
) -> None:
    shown = find_artefact("divergence").of(Subject(told_little, "baseline"), "rte")
    assert isinstance(shown, Exhibit)
    diverged = [row["score"] for row in shown.finding.data.to_pylist() if row["diverged"]]
    assert diverged
    assert set(diverged) == {0.53}
    assert "0.530, at all: how close is close depends" in shown.finding.how


def test_without_epochs_advice_is_in_shares_of_the_training(told_little: Warehouse) -> None:
    for study, of in (("baseline", r"\d+%"), ("epochs", r"epoch \d\.\d \(\d+%\)")):
        shown = find_artefact("advice").of(Subject(told_little, study), "rte")
        assert isinstance(shown, Exhibit)
        stops = {row["stop after"] for row in shown.finding.rows} - {"–"}
        assert stops
        assert all(re.fullmatch(of, stop) for stop in stops), stops


# ── Names ────────────────────────────────────────────────────────────────────────────────────────
def test_names_are_unlike_and_can_be_typed() -> None:
    names = [artefact.name for artefact in ARTEFACTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


def test_each_question_is_one() -> None:
    questions = [chapter.question for chapter in STORY]
    questions += [artefact.question for artefact in ARTEFACTS]
    assert all(question.endswith("?") for question in questions)


@pytest.mark.parametrize("name", ["fig1", "Fig. 1", "figure 1", "FIG1", "figure1"])
def test_an_artefact_is_found_by_what_people_call_it(name: str) -> None:
    assert find_artefact(name).paper == "Fig. 1"


def test_an_unknown_artefact_is_refused_with_those_that_come_close() -> None:
    with pytest.raises(SeedbedError, match=r"no table or figure 'tabel3'.* mean table3 or"):
        find_artefact("tabel3")


def test_a_scope_takes_its_own_arguments_only(subjects: list[Subject]) -> None:
    table: Any = find_artefact("table3")
    with pytest.raises(TypeError, match="table3 is of a study"):
        table.of(subjects[0], "rte")
    with pytest.raises(SeedbedError, match="table3 is of a whole study: leave --task out"):
        table.of_each(subjects, ["rte"])
    with pytest.raises(SeedbedError, match=r"There is no task 'mrpc' in .*; there is cola, rte"):
        find_artefact("fig1").of_each(subjects, ["mrpc"])
