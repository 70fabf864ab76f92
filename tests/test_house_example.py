"""The study that is kept as an example is whole, agrees with its file, and tells no secrets."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from analysis.warehouse import Warehouse
from finetune.cli import app
from finetune.study_file import read_study
from release.leaks import Identity, leaks, leaks_in_bytes

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "minilm-cola"
TABLES = sorted((EXAMPLE / "warehouse").rglob("*.parquet"))
COMMANDS = re.findall(r"^finetune (?:show|query) .+$", (EXAMPLE / "README.md").read_text(), re.M)


@pytest.fixture(scope="module")
def warehouse() -> Warehouse:
    return Warehouse(EXAMPLE / "warehouse")


def test_every_pair_of_seeds_of_its_file_was_trained_to_its_end(warehouse: Warehouse) -> None:
    study = read_study(EXAMPLE / "study.yaml")
    trials = warehouse.query("select wi_seed, do_seed, steps, total_steps, status from trials")
    pairs = list(zip(*(trials[name].to_pylist() for name in ("wi_seed", "do_seed")), strict=True))
    assert sorted(pairs) == [(wi, do) for wi in study.wi_seeds for do in study.do_seeds]
    assert set(trials["status"].to_pylist()) <= {"finished", "diverged"}
    assert trials["steps"].to_pylist() == trials["total_steps"].to_pylist()


def test_the_evaluations_are_those_of_the_recipe_and_give_the_scores_of_the_trials(
    warehouse: Warehouse,
) -> None:
    counted = warehouse.query("""
        select count(*) as evaluations, count(distinct step) as steps,
               min(step) as first, max(step) = any_value(t.total_steps) as ends,
               max(e.score) = any_value(t.best_score) as best
        from evaluations as e join trials as t using (trial_id) group by trial_id
    """).to_pylist()
    whole = {"evaluations": 31, "steps": 31, "first": 0, "ends": True, "best": True}
    assert counted == [whole] * 25


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_nothing_in_it_tells_of_the_machine_it_was_made_on(path: Path) -> None:
    identity = Identity.here()
    assert not leaks_in_bytes(path.read_bytes(), identity)
    table = pq.read_table(path)
    texts = {
        text for column in table.columns for text in column.to_pylist() if isinstance(text, str)
    }
    assert not [leak for text in texts for leak in leaks(text, identity)]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_its_page_work(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    answered = CliRunner().invoke(app, shlex.split(command)[1:])
    assert answered.exit_code == 0, answered.output
    assert answered.stdout.strip()
