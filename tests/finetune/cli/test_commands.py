"""The commands, run as a user runs them: one small study, from its file to the staged release."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

STUDY = """
study: tiny
model: "{model}"
tasks:
  - entailment
wi_seeds: 1-2
do_seeds: 1-2
train_examples: 48
validation_examples: 24
recipe: {{epochs: 1, learning_rate: 1.0e-3, max_length: 32, evaluate: 2 per epoch}}
"""


def finetune(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")},
        "HF_HUB_OFFLINE": "1",
        **variables,
    }
    return subprocess.run(
        [sys.executable, "-c", "from finetune.cli import main; main()", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The same within this process, which has imported all that is slow to import."""

    def main(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        from finetune.cli import main

        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["finetune", *arguments])
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        written = capsys.readouterr()
        return subprocess.CompletedProcess(
            arguments, code if isinstance(code, int) else 0, written.out, written.err
        )

    return main


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """A folder in which a study has been run."""
    folder = tmp_path_factory.mktemp("a workspace")
    (folder / "study.yaml").write_text(STUDY.format(model=tiny_encoder))
    ran = finetune("run", "study.yaml", "--workers", "1", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert "4 trials of tiny-encoder on entailment; 0 done, 4 to run" in ran.stdout
    assert "[4/4]" in ran.stderr
    exported = finetune("export", cwd=folder)
    assert exported.returncode == 0, exported.stderr
    assert exported.stdout == "4 trials, 12 evaluations, 12 training steps → warehouse\n"
    return folder


def test_the_same_command_again_finds_nothing_left_to_run(main: Run, workspace: Path) -> None:
    again = main("run", "study.yaml", cwd=workspace)
    assert again.returncode == 0
    assert "4 done, 0 to run" in again.stdout


def test_status_shows_how_the_trials_stand_and_the_table_of_seeds(
    main: Run, workspace: Path
) -> None:
    shown = main("status", "tiny", "--seeds", cwd=workspace)
    assert shown.returncode == 0
    (row,) = (line for line in shown.stdout.splitlines() if line.startswith("entailment "))
    assert row.split()[:3] == ["entailment", "4", "4"]
    assert "WI \\ DO" in shown.stdout


def test_the_best_model_is_written_ready_to_use(main: Run, workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "best"
    written = main("best", "--task", "entailment", "--output", str(folder), cwd=workspace)
    assert written.returncode == 0, written.stderr
    assert "the best of 4 trials of study tiny" in written.stdout.replace("\n", " ")
    assert "The best of 4 trials of the study **tiny**" in (folder / "README.md").read_text()

    from transformers import pipeline

    classify = pipeline("text-classification", model=str(folder), device="cpu")
    (answer,) = classify([{"text": "the dog runs", "text_pair": "the dog runs"}])
    assert answer["label"] in {"entailment", "not_entailment"}

    nothing = main("best", "--task", "mrpc", "--output", str(folder), cwd=workspace)
    assert nothing.returncode == 2
    assert "there are no trials of it" in nothing.stderr


def test_a_plan_shows_what_a_study_will_take_and_writes_nothing(
    main: Run, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text((workspace / "study.yaml").read_text())
    shown = main("run", "study.yaml", "--plan", "--workers", "1", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    (row,) = (line for line in shown.stdout.splitlines() if line.startswith("entailment "))
    assert row.split()[:5] == ["entailment", "4", "4", "3", "3"]
    assert "4 trials, 12 optimiser steps: about " in shown.stdout
    assert "Nothing was run or written." in shown.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]

    left = main("run", "study.yaml", "--plan", "--workers", "1", cwd=workspace)
    assert "Nothing is left to run." in left.stdout


def test_shards_share_a_study_and_status_sees_all_of_it(
    main: Run, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text((workspace / "study.yaml").read_text())
    run = ("run", "study.yaml", "--workers", "1", "--shard")
    first = main(*run, "2/2", cwd=tmp_path)
    assert "Shard 2/2 of study tiny: 2 trials" in first.stdout
    assert "2 left" in main("status", cwd=tmp_path).stdout
    again = main(*run, "2/2", cwd=tmp_path)
    assert "2 done, 0 to run" in again.stdout
    main(*run, "1/2", cwd=tmp_path)
    beside = ("--task", "entailment", "--wi-seed", "9")
    assert main("trial", "study.yaml", *beside, cwd=tmp_path).returncode == 0
    shown = main("status", cwd=tmp_path).stdout
    (row,) = (line for line in shown.splitlines() if line.startswith("entailment "))
    assert row.split()[:3] == ["entailment", "4", "4"]
    assert "Besides the plan the store has 1 trial of entailment" in shown
    assert "left:" not in shown


def test_a_query_answers_as_data(main: Run, workspace: Path) -> None:
    sql = "select task, count(*) as trials from trials group by 1"
    assert json.loads(main("query", sql, "-f", "json", cwd=workspace).stdout) == [
        {"task": "entailment", "trials": 4}
    ]
    assert main("query", sql, "-f", "csv", cwd=workspace).stdout == "task,trials\nentailment,4\n"


def test_the_report_is_a_page_of_its_own(main: Run, workspace: Path) -> None:
    written = main("report", cwd=workspace)
    assert written.stdout == "Report: report/index.html\n"
    page = (workspace / "report" / "index.html").read_text()
    assert "entailment" in page
    assert "<svg" in page


def test_a_dry_run_of_a_release_stages_it_and_publishes_nothing(main: Run, workspace: Path) -> None:
    staged = main("release", "--dry-run", cwd=workspace)
    assert staged.returncode == 0, staged.stderr
    assert "data/trials/trials.parquet" in staged.stdout
    assert "Nothing was published." in staged.stdout
    assert (workspace / "bundle" / "README.md").is_file()

    # And what is asked of it is answered as of the trials that it was made of.
    for artefact in ("table2", "table3"):
        own = main("show", artefact, "-f", "csv", cwd=workspace)
        of_release = main("show", artefact, "-f", "csv", "--from", "bundle", cwd=workspace)
        assert of_release.returncode == 0, of_release.stderr
        assert of_release.stdout == own.stdout
        assert "entailment" in own.stdout


def test_a_trial_shows_its_curve(main: Run, workspace: Path, tiny_encoder: Path) -> None:
    shown = main(
        *("trial", "study.yaml", "--name", "single", "--wi-seed", "12", "--do-seed", "3"),
        cwd=workspace,
    )
    assert shown.returncode == 0, shown.stderr
    assert "entailment-wi12-do03: accuracy on the validation set" in shown.stdout
    assert "epoch 1" in shown.stdout
    assert "▁" in shown.stdout
    status = main("status", "single", cwd=workspace)
    assert "wi12-do03" in status.stdout


def test_doctor_says_what_there_is(main: Run, workspace: Path) -> None:
    shown = main("doctor", cwd=workspace)
    for subject in ("Python", "packages", "processor", "GPU", "tracking store", "warehouse", "Hub"):
        assert subject in shown.stdout
    assert "4 trials" in shown.stdout
    assert "✗" not in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml: there is no such file"),
        (["run", "--task", "rte", "--model", "embedded", "--wi-seeds", "5-1", "--do-seeds", "1"],
         "runs backwards"),
        (["run", "--task", "rtee", "--model", "embedded", "--wi-seeds", "1", "--do-seeds", "1"],
         "Did you mean 'rte'?"),
        (["run", "--task", "rte", "--wi-seeds", "1", "--do-seeds", "1"], "model: is missing"),
        (["run", "--task", "entailment", "--model", "./none", "--wi-seeds", "1", "--do-seeds", "1"],
         "there is no such folder"),
        (["run", "--task", "rte", "--model", "embedded", "--wi-seeds", "1", "--do-seeds", "1",
          "--data-dir", "none"], "none"),
        (["run", "study.yaml", "--task", "cola"], "has no task cola; its tasks are: entailment"),
        (["run", "study.yaml", "--set", "epochs"], "write it as field=value"),
        (["run", "study.yaml", "--set", "epoch=1"], "did you mean `epochs`?"),
        (["run", "study.yaml", "--wi-seeds", "9", "--device", "quantum"], "device quantum"),
        (["trial", "study.yaml", "--dropout-seed", "1-3"], "this is 3 trials"),
        (["status", "nobody"], "there is none of this name"),
        (["status", "--store", "sqlite:///none.db"], "holds no study yet"),
        (["export", "--store", "sqlite:///none.db"], "none.db"),
        (["export", "--study", "nobody"], "nobody"),
        (["export", "--store", "sqlite:///study.yaml"], "study.yaml"),
        (["query", "selec 1"], "syntax error"),
        (["query", "select nothing from trials"], "nothing"),
        (["query", "select 1", "--warehouse", "none"], "finetune export"),
        (["report", "--warehouse", "none"], "finetune export"),
        (["report", "--study", "nobody"], "nobody"),
        (["release", "--dry-run", "--warehouse", "none"], "finetune export"),
        (["release"], "--dry-run"),
        (["init", "study.yaml"], "is there already"),
        (["ui", "--store", "sqlite:///none.db"], "there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_bad_input_is_one_message_and_leaves_nothing_behind(
    main: Run, workspace: Path, arguments: list[str], message: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in workspace.rglob("*")}
    failed = main(*arguments, cwd=workspace)
    assert failed.returncode == 2, failed.stdout
    assert message in failed.stderr
    assert failed.stderr.startswith("Error: ")
    assert "Traceback" not in failed.stderr
    after = {path: path.stat().st_mtime_ns for path in workspace.rglob("*")}
    # SQLite's own helper files come and go with any reader.
    assert {p for p in after.keys() ^ before.keys() if not p.name.startswith("mlflow.db-")} == set()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("", "holds no examples: it is empty"),
        ("text\tlabel\ngood film\t1\nbad", "line 3: 1 column instead of 2"),
        ("text\tlabel\ngood film\t7\n", "line 2: 'label' is '7'; allowed are 'no', 'yes'"),
        ("words\tlabel\ngood film\tno\n", "there is no column 'text'"),
    ],
    ids=["empty", "truncated", "label out of range", "missing column"],
)
def test_data_with_faults_is_refused_before_anything_is_written(
    main: Run, tmp_path: Path, tiny_encoder: Path, train: str, message: str
) -> None:
    (tmp_path / "train.tsv").write_text(train)
    (tmp_path / "dev.tsv").write_text("text\tlabel\ngood film\tyes\nbad\tno\n")
    data = "{train: train.tsv, validation: dev.tsv, text: text, labels: ['no', 'yes']}"
    (tmp_path / "study.yaml").write_text(
        f'study: own\nmodel: "{tiny_encoder}"\nwi_seeds: 1\ndo_seeds: 1\n'
        f"tasks: [{{task: own, data: {data}}}]\n"
    )
    failed = main("run", "study.yaml", cwd=tmp_path)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dev.tsv",
        "study.yaml",
        "train.tsv",
    ]


def test_debug_shows_the_traceback_wherever_it_stands(workspace: Path) -> None:
    for arguments in (["--debug", "run", "nowhere"], ["run", "nowhere", "--debug"]):
        failed = finetune(*arguments, cwd=workspace)
        assert "Traceback" in failed.stderr


def test_init_writes_a_study_that_parses(main: Run, tmp_path: Path) -> None:
    written = main("init", cwd=tmp_path)
    assert "finetune run study.yaml" in written.stdout
    from finetune.study_file import read_study

    assert read_study(tmp_path / "study.yaml").study == "my-study"


def test_studies_and_tasks_are_listed(main: Run, tmp_path: Path) -> None:
    assert "dodge2020" in main("studies", cwd=tmp_path).stdout
    listed = main("tasks", cwd=tmp_path).stdout
    for task in ("cola", "mnli_mismatched", "stsb", "acceptability"):
        assert task in listed
    assert list(tmp_path.iterdir()) == []
