"""`finetune export`, `query` and `sql`, as a user runs them."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from rich.console import Console
from typer.testing import CliRunner, Result

from finetune.cli import app
from finetune.cli.warehouse import ReadingLines
from finetune.contract import experiment_name
from finetune.errors import SeedbedError
from tests.logged_runs import BEGINNING, Run, contents, log

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Command = Callable[..., Result]

MAPPING = """
experiments: [glue]
trials:
  study: run:experiment
  task: param:task_name
  model: param:_name_or_path
  wi_seed: param:seed
  do_seed: param:data_seed
  metric: accuracy
evaluations:
  score: metric:eval_accuracy
train_steps:
  loss: metric:loss
"""


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two trials of Seedbed's, and two runs of the Hugging Face Trainer's."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    client = MlflowClient(f"sqlite:///{file}")
    ours = client.create_experiment(experiment_name("demo", "rte"), str(file.parent))
    for do_seed in (1, 2):
        log(client, ours, Run(do_seed=do_seed))
    other = client.create_experiment("glue", str(file.parent))
    for seed in (1, 2):
        run = client.create_run(other, start_time=BEGINNING, run_name="run").info.run_id
        params = {"task_name": "mrpc", "_name_or_path": "bert", "seed": seed, "data_seed": seed}
        logged = [
            Metric("loss", 0.5, BEGINNING, 1),
            Metric("grad_norm", 0.1, BEGINNING, 1),
            Metric("eval_accuracy", 0.6 + seed / 10, BEGINNING, 1),
        ]
        client.log_batch(run, logged, [Param(key, str(value)) for key, value in params.items()])
        client.set_terminated(run, end_time=BEGINNING + 1_000)
    return file


@pytest.fixture
def store(filled_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A store of the test's own, in the working directory, as `finetune` looks for it."""
    shutil.copy(filled_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def log_trial(store: MlflowClient, trial: Run) -> str:
    """Log a trial in the experiment that is there; return its run's id."""
    experiment = store.get_experiment_by_name(experiment_name(trial.study, trial.task))
    assert experiment is not None
    return log(store, experiment.experiment_id, trial)


@pytest.fixture
def finetune(store: MlflowClient) -> Command:
    def finetune(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(app, list(arguments), input=said, catch_exceptions=False)

    return finetune


# ── export ───────────────────────────────────────────────────────────────────────────────────────
def test_a_second_export_reads_what_is_new_and_full_reads_all(
    finetune: Command, store: MlflowClient
) -> None:
    written = "2 trials, 8 evaluations, 12 training steps → warehouse\n"
    first = finetune("export")
    assert (first.exit_code, first.stdout, first.stderr) == (0, written, "")

    assert finetune("export").stdout == written + "0 runs were new or may have changed.\n"
    assert finetune("export", "--full").stdout == written

    log_trial(store, Run(do_seed=3))
    third = finetune("export").stdout
    assert third.startswith("3 trials, ")
    assert third.endswith("\n1 runs were new or may have changed.\n")


def test_runs_of_another_trainer_are_exported_by_a_mapping(
    finetune: Command, tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)

    done = finetune("export", "--mapping", "mapping.yaml")

    assert done.exit_code == 0, done.output
    assert done.stdout == "4 trials, 10 evaluations, 14 training steps → warehouse\n"
    scores = "select study, task, do_seed, best_score from trials where study = 'glue' order by 3"
    assert finetune("query", scores, "-f", "csv").stdout.splitlines() == [
        "study,task,do_seed,best_score",
        "glue,mrpc,1,0.7",
        "glue,mrpc,2,0.8",
    ]
    kept = "select count(*) as n from unmapped where study = 'glue' and key = 'grad_norm'"
    assert finetune("query", kept, "-f", "csv").stdout == "n\n2\n"


@pytest.mark.parametrize(
    ("mapping", "message"),
    [(None, r"mapping\.yaml"), ("trials: {tsk: rte}\n", "tsk"), ("[", r"mapping\.yaml")],
    ids=["none", "an unknown column", "no YAML"],
)
def test_a_mapping_with_a_fault_is_refused_and_nothing_exported(
    mapping: str | None, message: str, finetune: Command, tmp_path: Path
) -> None:
    if mapping is not None:
        (tmp_path / "mapping.yaml").write_text(mapping)

    with pytest.raises(SeedbedError, match=message):
        finetune("export", "--mapping", "mapping.yaml")

    assert not (tmp_path / "warehouse").exists()


def test_a_run_that_is_not_whole_is_named_and_the_exit_status_says_so(
    finetune: Command, store: MlflowClient
) -> None:
    run = log_trial(store, Run(do_seed=3, params={"epochs": None}))

    done = finetune("export")

    assert done.exit_code == 1
    assert done.stdout.startswith("2 trials, ")
    assert done.stderr == f"Left out rte-wi01-do03 ({run}): its param epochs is missing\n"


def test_a_run_that_a_server_does_not_give_is_named_and_asked_for_again(
    finetune: Command, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.database.reads", lambda _: False)  # so by MLflow's client
    run = log_trial(store, Run(do_seed=3))
    read = MlflowClient.get_metric_history

    def fail(client: MlflowClient, run_id: str, key: str) -> list[Metric]:
        if run_id == run:
            raise MlflowException("API request failed with error code 500")
        return read(client, run_id, key)

    with monkeypatch.context() as broken:
        broken.setattr(MlflowClient, "get_metric_history", fail)
        done = finetune("export")
    again = finetune("export")

    assert done.exit_code == 1
    assert done.stdout.startswith("2 trials, ")
    assert re.fullmatch(
        rf"Left out rte-wi01-do03 \({run}\): its epoch could not be read "
        r"\(API request failed with error code 500\)\n",
        done.stderr,
    )
    assert again.exit_code == 0
    assert again.stdout.startswith("3 trials, ")
    assert again.stdout.endswith("\n1 runs were new or may have changed.\n")


def test_a_long_export_says_in_plain_lines_how_far_it_is(
    finetune: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.cli.warehouse._FIRST_LINE", 0.0)

    done = finetune("export")

    assert re.fullmatch(r"\[1/2\] runs read, about \S+ s left\n", done.stderr)
    assert done.stdout == "2 trials, 8 evaluations, 12 training steps → warehouse\n"


def test_lines_come_after_five_seconds_and_then_every_thirty() -> None:
    written, now = io.StringIO(), [0.0]
    lines = ReadingLines(Console(file=written, width=200), clock=lambda: now[0])

    for second in range(1, 101):
        now[0] = float(second)
        lines(second, 100)

    assert written.getvalue().splitlines() == [
        "[5/100] runs read, about 95 s left",
        "[35/100] runs read, about 65 s left",
        "[65/100] runs read, about 35 s left",
        "[95/100] runs read, about 5.0 s left",
    ]


# ── query ────────────────────────────────────────────────────────────────────────────────────────
SCORES = "select trial_id, do_seed, best_score from trials order by trial_id"


def of_table(content: bytes) -> list[list[str]]:
    header, _rule, *rows, _count = content.decode().splitlines()
    return [line.split() for line in (header, *rows)]


def of_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def of_json(content: bytes) -> list[list[str]]:
    rows = json.loads(content)
    return [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]


def of_markdown(content: bytes) -> list[list[str]]:
    header, _rule, *rows = content.decode().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (header, *rows)]


def of_parquet(content: bytes) -> list[list[str]]:
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    return [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]


@pytest.mark.parametrize("of", [of_table, of_csv, of_json, of_markdown, of_parquet])
def test_an_answer_is_written_to_a_file_in_each_format(
    of: Callable[[bytes], list[list[str]]], finetune: Command, tmp_path: Path
) -> None:
    finetune("export")
    name = of.__name__.removeprefix("of_")

    done = finetune("query", SCORES, "--format", name, "-o", "answer")

    assert (done.exit_code, done.output) == (0, "")
    content = (tmp_path / "answer").read_bytes()
    assert of(content) == [
        ["trial_id", "do_seed", "best_score"],
        ["demo-rte-1-1", "1", "0.7"],
        ["demo-rte-1-2", "2", "0.7"],
    ]
    assert finetune("query", "-", "--format", name, said=SCORES).stdout_bytes == content


WRITES = (
    "copy trials to 'warehouse/trials.parquet'",
    "copy trials to 'warehouse/trials.parquet' (use_tmp_file false)",
    "copy trials to 'copy.parquet'",
    "create table mine as from trials",
)


def test_a_query_that_would_write_or_cannot_be_answered_leaves_all_files_as_they_are(
    finetune: Command, tmp_path: Path
) -> None:
    finetune("export")
    finetune("query", SCORES, "-o", "answer")
    before = contents(tmp_path)

    for sql in (*WRITES, "from nothing"):
        with pytest.raises(SeedbedError):
            finetune("query", sql, "-o", "answer")

    assert contents(tmp_path) == before


# ── sql ──────────────────────────────────────────────────────────────────────────────────────────
def test_the_shell_answers_what_it_is_asked(finetune: Command) -> None:
    finetune("export")

    done = finetune("sql", said=".tables\nselect count(*) as n\nfrom trials;\n")

    assert done.exit_code == 0
    tables, answer = done.stdout.split("\nn\n")
    assert "best_scores" in tables.splitlines()
    assert answer == "─\n2\n"


@pytest.mark.parametrize("sql", WRITES)
def test_the_shell_writes_nothing_and_says_so(sql: str, finetune: Command, tmp_path: Path) -> None:
    finetune("export")
    before = contents(tmp_path)

    done = finetune("sql", said=f"{sql};\nselect 7 as still;\n")

    assert done.exit_code == 1
    assert done.stdout.startswith("Error: A query reads, and this would do more")
    assert done.stdout.endswith("still\n─────\n    7\n")
    assert contents(tmp_path) == before
