"""`finetune import` takes tables as users have them; all analyses work on what comes of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from finetune.cli import app
from finetune.errors import SeedbedError

Run = Callable[..., Result]

# As `mlflow experiments csv` and W&B's table of runs write it.
RUNS = "run_id,params.task,params.seed,metrics.eval_accuracy,status\n" + "".join(
    f"r{seed},rte,{seed},0.{60 + seed},FINISHED\n" for seed in range(1, 7)
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return run


def test_runs_of_another_trainer_become_a_study_to_be_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(RUNS, encoding="utf-8")
    done = run(
        "import", "runs.csv", "-c", "wi_seed=params.seed", "-c", "do_seed=params.seed",
        "-c", "score=metrics.eval_accuracy", "--value", "metric=accuracy",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "6 trials of rte (6); 0 evaluations → warehouse, as study runs" in done.output
    assert "score from metrics.eval_accuracy" in done.output
    shown = run("show", "table1")
    assert "rte: the best is 0.660, the mean 0.635" in shown.output
    asked = run("query", "select count(*) as n from trials", "--format", "csv")
    assert asked.output == "n\n6\n"


def test_a_panel_of_wandb_is_read_by_the_names_of_its_runs(run: Run, tmp_path: Path) -> None:
    lines = ["Step,rte-wi1-do2 - eval/f1,rte-wi1-do2 - eval/f1__MIN", "0,0.5,0.4", "9,0.8,0.7"]
    (tmp_path / "panel.csv").write_text("\n".join(lines), encoding="utf-8")
    done = run(
        "import", "panel.csv", "--names", "{task}-wi{wi_seed}-do{do_seed}", "-c", "score=eval/f1"
    )
    assert "1 trials of rte (1); 2 evaluations → warehouse, as study panel" in done.output
    asked = run("query", "select wi_seed, do_seed, best_score from trials", "--format", "csv")
    assert asked.output == "wi_seed,do_seed,best_score\n1,2,0.8\n"


def test_the_papers_results_can_be_reported_on(run: Run, tmp_path: Path) -> None:
    done = run("import", "--published", "--warehouse", "paper")
    assert "2,100 trials of cola (625), mrpc (625), rte (625), sst2 (225)" in done.output
    shown = run("show", "table3", "--warehouse", "paper", "--format", "csv")
    assert "mrpc,0.0575" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give the file to import, or --published, and not both"),
        (["x.csv", "--published"], "and not both"),
        (["--published", "--names", "{task}"], "takes no options but --warehouse"),
        (["--published", "--percent"], "takes no options but --warehouse"),
        (["x.csv", "--column", "score"], "write it as field=name"),
        (["x.csv", "--value", "task=a", "--value", "task=b"], "--value says task twice"),
        (["x.csv"], "There is no file x.csv to import"),
    ],
)
def test_what_cannot_be_meant_is_refused(run: Run, arguments: list[str], message: str) -> None:
    with pytest.raises(SeedbedError, match=message):
        run("import", *arguments)
