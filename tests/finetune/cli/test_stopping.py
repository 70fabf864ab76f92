"""`finetune stopping` shows what settings find, as asked for, from the right study."""

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis import early_stopping, progress
from analysis.schema import arrow_schema
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, Status

Rows = list[dict[str, str]]
Tables = dict[str, list[dict[str, object]]]
Answer = tuple[int, str, str]
"""Exit status, standard output, standard error."""
Ask = Callable[..., Answer]


def trials(study: str, task: str, number: int, rng: np.random.Generator) -> Tables:
    """Return the rows of trials of ten evaluations each, with what the contract asks for."""
    rows: Tables = {name: [] for name in TABLES}
    moment = pa.scalar(0, pa.timestamp("ms", tz="UTC")).as_py()
    empty = {"string": "", "int64": 1, "float64": 0.1, "bool": False, "timestamp": moment}
    for place in range(number):
        key = {"trial_id": f"{study}-{task}-{place}", "study": study, "task": task}
        score = 0.5 + 0.02 * rng.random(10).cumsum()
        for step, value in enumerate(score):
            own = {"step": step, "epoch": step / 3, "score": value, "best_score": value}
            rows["evaluations"].append(
                {c.name: empty[c.type] for c in TABLES["evaluations"]} | key | own
            )
        facts = {"wi_seed": place // 4, "do_seed": place % 4, "status": Status.FINISHED,
                 "best_score": score.max(), "total_steps": 9, "metric": "accuracy"}  # fmt: skip
        rows["trials"].append({c.name: empty[c.type] for c in TABLES["trials"]} | key | facts)
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    parts = [trials("s", "rte", 16, rng), trials("s", "cola", 2, rng), trials("z", "cola", 2, rng)]
    tables = {
        name: pa.Table.from_pylist(
            [row for part in parts for row in part[name]], schema=arrow_schema(name)
        )
        for name in TABLES
    }
    path = tmp_path_factory.mktemp("stopping") / "w"
    write(path, tables, {})
    return path


@pytest.fixture
def ask(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*arguments: str) -> Answer:
        from finetune.cli import main

        command = ["finetune", "stopping", "-w", str(folder), *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def rows(answer: Answer) -> Rows:
    assert answer[0] == 0, answer[2]
    return list(csv.DictReader(io.StringIO(answer[1])))


def test_it_shows_the_best_setting_of_each_budget(ask: Ask, folder: Path) -> None:
    answer = ask("--task", "rte", "--budget", "2", "--budget", "5", "-f", "csv")
    found = early_stopping.compute(progress.compute(Warehouse(folder), "s", "rte"), budgets=[2, 5])
    for row, best in zip(rows(answer), found.best, strict=True):
        assert (int(row["start"]), int(row["continue"])) == (
            found.started[best],
            found.continued[best],
        )
        assert float(row["expected_best"]) == pytest.approx(found.mean[best])
    assert f"over {found.over}." in answer[2]


def test_all_settings_are_shown_the_best_first(ask: Ask) -> None:
    found = rows(ask("--task", "rte", "--budget", "3", "--points", "9", "--all", "-f", "csv"))
    means = [float(row["expected_best"]) for row in found]
    assert len(means) > 5
    assert means == sorted(means, reverse=True)


def test_a_sample_is_of_the_draws_and_the_seed_asked_for(ask: Ask) -> None:
    sample = ("--task", "rte", "-b", "2", "--method", "sample", "--draws", "100", "-f", "csv")
    one, same, other = (ask(*sample, "--seed", seed) for seed in ("1", "1", "2"))
    assert one == same
    assert one[1] != other[1]
    assert "100 of them at random" in one[2]


def test_draws_with_replacement_and_broken_ties_say_so(ask: Ask) -> None:
    answer = ask("--task", "rte", "-b", "2", "--replacement", "--ties", "broken")
    assert "with replacement." in answer[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "cola"), "choose one of s, z with --study"),
        (("--task", "mrpc"), "No study in the warehouse has the task 'mrpc'"),
        (("--task", "rte", "--study", "q"), "no study 'q'"),
        (("--task", "cola", "--study", "s", "-b", "3"), "2 trials of cola trained to their end"),
        (("--task", "rte", "-b", "5", "--most-started", "4"), "--most-started must not be below"),
    ],
)
def test_what_cannot_be_told_is_said(ask: Ask, arguments: tuple[str, ...], message: str) -> None:
    code, _, error = ask(*arguments)
    assert code == 2
    assert message in error
