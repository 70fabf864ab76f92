"""`finetune early-stop`, as a user runs it."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.contract import Status
from finetune.tracking import Tracker

Run = Callable[..., tuple[int, str, str]]

STUDY = """
study: tiny
model: "{model}"
tasks: [entailment]
wi_seeds: 1-3
do_seeds: 1-3
train_examples: 80
validation_examples: 24
recipe: {{epochs: 2, batch_size: 8, learning_rate: 1.0e-3, max_length: 32, evaluate: 5 per epoch}}
"""


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def main(*arguments: str) -> tuple[int, str, str]:
        from finetune.cli import main

        monkeypatch.setattr(sys, "argv", ["finetune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        written = capsys.readouterr()
        return code if isinstance(code, int) else 0, written.out, written.err

    return main


@pytest.fixture
def study(tiny_encoder: Path, tmp_path: Path) -> str:
    (tmp_path / "study.yaml").write_text(STUDY.format(model=tiny_encoder))
    return "study.yaml"


def test_a_budget_is_spent_by_the_papers_advice_and_the_best_model_kept(
    main: Run, study: str, tmp_path: Path
) -> None:
    command = ["early-stop", study, "--budget", "2", "--workers", "1"]
    code, out, err = main(*command)
    assert code == 0, err
    assert "The setting is the paper's advice (Section 5)" in out
    # 20 steps a trial: as much as two whole ones.
    assert "Cost: 40 steps, 4.0 epochs: as much as 2.0 whole trials" in out
    (started,) = (int(n) for n in re.findall(r"entailment: (\d+) trials of tiny-encoder", out))
    tracker = Tracker("sqlite:///mlflow.db")
    runs = tracker.trials("tiny").values()
    assert len(runs) == started > 2
    statuses = [run.status for run in runs]
    assert statuses.count(Status.STOPPED_EARLY) == started - 1
    # To the step.
    steps = [len(tracker.history(run.run_id, "train/loss")) for run in runs]
    assert sum(steps) == 40
    (kept,) = (run for run in runs if run.model_step is not None)
    assert kept.score == max(run.score or 0 for run in runs)
    assert not list((tmp_path / ".seedbed").rglob("*.safetensors"))

    code, _, err = main(*command)
    assert code == 0, err
    assert "[1/" not in err, "nothing was run"

    code, out, err = main("early-stop", study, "--start", str(started), "--at", "0.5",
                          "--continue", "1")  # fmt: skip
    assert code == 2
    assert "were stopped early by another rule" in err
    code, out, err = main("best", "--task", "entailment", "-o", "model")
    assert code == 0, err


def test_a_budget_is_spent_as_the_warehouse_teaches(
    main: Run, study: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from analysis import progress
    from finetune.cli import early_stop
    from finetune.grid import plan
    from finetune.study_file import read_study

    rng = np.random.default_rng(1)
    trials, evaluations = 200, 31
    known = progress.Progress(
        study="before",
        task="entailment",
        metric="accuracy",
        trial_id=np.array([f"{number:016x}" for number in range(trials)]),
        wi_seed=np.arange(trials),
        do_seed=np.arange(trials),
        step=np.arange(evaluations) * 10,
        epoch=np.arange(evaluations) / 10,
        total_steps=300,
        # What a trial comes to is known from early on.
        score=np.linspace(0.5, 1, evaluations) * rng.random((trials, 1)),
    )
    monkeypatch.setattr(early_stop, "_known_trials", lambda grid, warehouse: known)
    (grid,) = plan(read_study(tmp_path / study)).grids
    setting = early_stop._advised(5, grid, Path("warehouse"))
    assert "the best for 200 trials of study before" in setting.reasons[0]
    assert "less error" in setting.reasons[0]
    (rung,) = setting.rule.rungs
    count = setting.rule.counts(grid.trials() * 10)[0]
    assert setting.start * rung.at + count * (1 - rung.at) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing says which trials go on"),
        (["--budget", "3", "--halving", "2"], "--budget and --halving are different ways"),
        (["--budget", "3", "--start", "5"], "leave --start out"),
        (["--at", "0.3"], "each --at needs its --continue: found 1 and 0"),
        (["--at", "0.3", "--continue-wi", "2"], "both --continue-wi and --continue-do"),
        (["--at", "0.3", "--continue", "2", "--continue-wi", "2"], "and no --continue"),
        (["--at", "soon", "--continue", "2"], "--at soon: is no share of the training"),
        (["--at", "1.5", "--continue", "2"], "above 0 and below 1"),
        (["--at", "0.5", "--continue", "10"], "of 9 trials no more can go on"),
        (["--at", "0.1", "--at", "0.5", "--continue", "2", "--continue", "3"], "no more can go"),
        (["--at", "0.5", "--at", "0.1", "--continue", "3", "--continue", "2"], "must rise"),
        (["--at", "0.01", "--continue", "2"], "the first evaluation is after 2 of 20 steps"),
        (["--start", "10", "--at", "0.5", "--continue", "2"], "the seeds make 9"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    main: Run, study: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, _, err = main("early-stop", study, *arguments)
    assert code == 2
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == [study]


def test_without_a_file_each_trial_has_seeds_of_its_own(main: Run, tiny_encoder: Path) -> None:
    shutil.copytree(tiny_encoder, "encoder")
    code, _, err = main(
        "early-stop", "--model", "./encoder", "--task", "entailment", "--name", "own",
        "--train-examples", "40", "--validation-examples", "16", "--set", "epochs=1",
        "--set", "max_length=32", "--start", "3", "--continue", "1", "--at", "1/2",
        "--workers", "1",
    )  # fmt: skip
    assert code == 0, err
    names = {run.name for run in Tracker("sqlite:///mlflow.db").trials("own").values()}
    assert names == {f"entailment-wi{seed:02}-do{seed:02}" for seed in (1, 2, 3)}
