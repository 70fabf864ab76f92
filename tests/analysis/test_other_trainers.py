"""Runs of other trainers come out as trials by a mapping; what it does not name is kept."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from analysis.export import ExportSummary, export
from analysis.other_trainers import OtherTrainer
from analysis.warehouse import Warehouse
from finetune.contract import experiment_name
from finetune.errors import SeedbedError
from tests.logged_runs import Run, log

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

BEGINNING = 1_767_225_600_000

HUGGING_FACE = """
experiments: [glue]
trials:
  study: run:experiment
  task: param:task_name
  model: param:_name_or_path
  wi_seed: param:seed
  do_seed: param:data_seed
  metric: accuracy
  epochs: param:num_train_epochs
  learning_rate: param:learning_rate
evaluations:
  score: metric:eval_accuracy
  accuracy: metric:eval_accuracy
  loss: metric:eval_loss
  epoch: metric:epoch
train_steps:
  loss: metric:loss
"""

LIGHTNING = """
trials:
  task: rte
  model: tag:model
  wi_seed: param:seed
  do_seed: 0
evaluations:
  score: metric:val_acc
train_steps:
  loss: metric:train_loss_step
step: metric:trainer/global_step
"""


class Logger:
    """Logs runs in an experiment as another trainer's callback would."""

    def __init__(self, uri: str, folder: Path, experiment: str) -> None:
        self.client = MlflowClient(uri)
        self.experiment = self.client.create_experiment(experiment, str(folder))

    def log(
        self,
        params: dict[str, str],
        metrics: list[tuple[str, float, int]],
        tags: dict[str, str] | None = None,
        status: str | None = "FINISHED",
    ) -> str:
        run = self.client.create_run(
            self.experiment, start_time=BEGINNING, tags=tags, run_name="run"
        )
        run_id: str = run.info.run_id
        logged = [Metric(k, v, BEGINNING + i, step) for i, (k, v, step) in enumerate(metrics)]
        self.client.log_batch(run_id, logged, [Param(*item) for item in params.items()])
        if status:
            self.client.set_terminated(run_id, status, end_time=BEGINNING + 60_000)
        return run_id


def hugging_face_run(seed: int) -> tuple[dict[str, str], list[tuple[str, float, int]]]:
    """What the Hugging Face Trainer's callback logs: `epoch` beside everything, steps global."""
    params = {
        "task_name": "rte", "_name_or_path": "bert-base-uncased", "seed": str(seed),
        "data_seed": str(seed + 1), "num_train_epochs": "2.0", "learning_rate": "2e-05",
        "fp16": "False",
    }  # fmt: skip
    metrics = []
    for step in (10, 20, 30, 40):
        metrics += [("loss", 1 / step, step), ("epoch", step / 20, step)]
        metrics.append(("grad_norm", 0.5, step))
        if step % 20 == 0:
            score = math.nan if step == 20 else 0.6
            metrics += [("eval_accuracy", score, step), ("eval_loss", 0.7, step)]
    return params, [*metrics, ("train_runtime", 12.5, 40)]


@pytest.fixture
def uri(new_store: Callable[[Path], str], tmp_path: Path) -> str:
    return new_store(tmp_path)


def exported(uri: str, folder: Path, mapping: str) -> tuple[ExportSummary, Warehouse]:
    (folder / "mapping.yaml").write_text(mapping)
    other = OtherTrainer.read(folder / "mapping.yaml")
    summary = export(uri, folder / "warehouse", mapping=other)
    return summary, Warehouse(folder / "warehouse")


def test_runs_of_the_hugging_face_callback_become_trials(uri: str, tmp_path: Path) -> None:
    logger = Logger(uri, tmp_path, "glue")
    ids = [logger.log(*hugging_face_run(seed)) for seed in (1, 2)]
    logger.log(*hugging_face_run(3), status=None)

    summary, warehouse = exported(uri, tmp_path, HUGGING_FACE)

    assert summary.left_out == ()
    assert summary.statuses == {"finished": 2, "running": 1}
    [row] = warehouse.query("from trials where trial_id = ?", [ids[1]]).to_pylist()
    known = {
        "study": "glue", "task": "rte", "model": "bert-base-uncased", "wi_seed": 2, "do_seed": 3,
        "metric": "accuracy", "epochs": 2, "learning_rate": 2e-5, "best_score": 0.6,
        "best_step": 40, "last_score": 0.6, "evaluations": 2, "steps": 40, "seconds": 60.0,
        "dropout": None, "data_fingerprint": None, "run_id": ids[1],
    }  # fmt: skip
    assert {name: row[name] for name in known} == known
    evaluations = warehouse.query(
        "select step, epoch, score, best_score, accuracy, loss from evaluations where trial_id = ?",
        [ids[0]],
    )
    np.testing.assert_equal(
        [tuple(row.values()) for row in evaluations.to_pylist()],
        [(20, 1.0, math.nan, math.nan, math.nan, 0.7), (40, 2.0, 0.6, 0.6, 0.6, 0.7)],
    )
    steps = warehouse.query(
        "select step, epoch, loss from train_steps where trial_id = ?", [ids[0]]
    )
    assert [tuple(row.values()) for row in steps.to_pylist()] == [
        (step, step / 20, 1 / step) for step in (10, 20, 30, 40)
    ]


def test_what_the_mapping_does_not_name_is_kept(uri: str, tmp_path: Path) -> None:
    run = Logger(uri, tmp_path, "glue").log(*hugging_face_run(1), tags={"who": "alice"})

    _, warehouse = exported(uri, tmp_path, HUGGING_FACE)

    rows = warehouse.query(
        "select kind, key, step, value, text from unmapped where trial_id = ? "
        "and key not like 'mlflow.%'",
        [run],
    )
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        *(("metric", "grad_norm", step, 0.5, None) for step in (10, 20, 30, 40)),
        ("metric", "train_runtime", 40, 12.5, None),
        ("param", "fp16", None, None, "False"),
        ("tag", "who", None, None, "alice"),
    ]


def test_the_step_may_stand_in_a_metric(uri: str, tmp_path: Path) -> None:
    logged = [("trainer/global_step", 50.0 * n, n) for n in range(3)]
    logged += [("val_acc", 0.1 * n, n) for n in (1, 2)] + [("train_loss_step", 0.5, 2)]
    run = Logger(uri, tmp_path, "lightning").log({"seed": "7"}, logged, {"model": "tiny"})

    _, warehouse = exported(uri, tmp_path, LIGHTNING)

    [trial] = warehouse.query(
        "select trial_id, study, task, wi_seed, do_seed, best_step, steps from trials"
    ).to_pylist()
    assert trial == {
        "trial_id": run, "study": "lightning", "task": "rte", "wi_seed": 7, "do_seed": 0,
        "best_step": 100, "steps": 100,
    }  # fmt: skip
    evaluations = warehouse.query("select step, score, epoch, loss from evaluations").to_pylist()
    assert [tuple(row.values()) for row in evaluations] == [
        (50, 0.1, None, None),
        (100, 0.2, None, None),
    ]
    assert warehouse.query("from train_steps")["step"].to_pylist() == [100]


def test_runs_that_lack_what_the_mapping_names_are_left_out_with_the_reason(
    uri: str, tmp_path: Path
) -> None:
    logger = Logger(uri, tmp_path, "lightning")
    whole = [("trainer/global_step", 5.0, 1), ("val_acc", 0.5, 1)]
    logger.log({"seed": "1"}, whole, {"model": "tiny"})
    logger.log({"seed": "one"}, whole, {"model": "tiny"})
    logger.log({}, whole, {})
    logger.log({"seed": "1"}, [*whole, ("val_acc", 0.6, 2)], {"model": "tiny"})

    summary, warehouse = exported(uri, tmp_path, LIGHTNING)

    assert warehouse.table("trials").num_rows == 1
    assert sorted(run.reason for run in summary.left_out) == [
        "its metric trainer/global_step, which tells the step, has no value at 2",
        "its param model is missing; its param wi_seed is missing",
        "its param wi_seed is 'one', which is no int64",
    ]


def test_trials_of_our_own_and_other_experiments_are_what_they_were(
    uri: str, tmp_path: Path
) -> None:
    client = MlflowClient(uri)
    ours = client.create_experiment(experiment_name("demo", "rte"), str(tmp_path))
    log(client, ours, Run())
    Logger(uri, tmp_path, "glue").log(*hugging_face_run(1))
    Logger(uri, tmp_path, "other").log(*hugging_face_run(2))

    _, warehouse = exported(uri, tmp_path, HUGGING_FACE)

    assert warehouse.studies() == ["demo", "glue"]
    assert "demo-rte-1-1" in warehouse.table("trials")["trial_id"].to_pylist()
    assert export(uri, tmp_path / "without").studies == ("demo",)


@pytest.mark.parametrize("run_status", ["FAILED", "KILLED"])
def test_how_a_run_ended_is_its_status(run_status: str, uri: str, tmp_path: Path) -> None:
    Logger(uri, tmp_path, "glue").log(*hugging_face_run(1), status=run_status)

    summary, _ = exported(uri, tmp_path, HUGGING_FACE)

    expected = {"FAILED": "failed", "KILLED": "interrupted"}[run_status]
    assert summary.statuses == {expected: 1}


def test_another_mapping_is_another_export(uri: str, tmp_path: Path) -> None:
    Logger(uri, tmp_path, "glue").log(*hugging_face_run(1))
    exported(uri, tmp_path, HUGGING_FACE)

    again, _ = exported(uri, tmp_path, HUGGING_FACE)
    other, warehouse = exported(uri, tmp_path, HUGGING_FACE.replace("loss: metric:loss", "{}"))

    assert (again.read, other.read) == (0, 1)
    assert warehouse.table("train_steps").num_rows == 0


# ── What is wrong with a file ────────────────────────────────────────────────────────────────────
WRONG = {
    "not a mapping": ("[]", ["it must have the sections experiments, trials"]),
    "nothing said": ("{}", ["trials.task is missing", "evaluations.score is missing"]),
    "a section mistyped": (LIGHTNING + "evaluation: {}", ["evaluation: there is no such section; "
                                                          "did you mean evaluations?"]),
    "a column mistyped": (LIGHTNING.replace("do_seed", "do_sed"), [
        "trials.do_seed is missing", "trials.do_sed: there is no such column to map; did you mean "
        "do_seed?"]),
    "a column that is made": (LIGHTNING.replace("  wi_seed", "  best_score: 1\n  wi_seed"),
                              ["trials.best_score: there is no such column to map"]),
    "a metric as a param": (LIGHTNING.replace("param:seed", "metric:seed"),
                            ["trials.wi_seed: 'metric:seed' is none of param:<key>"]),
    "no field of a run": (LIGHTNING.replace("param:seed", "run:seed"), ["'run:seed' is none of"]),
    "a param as a metric": (LIGHTNING.replace("metric:val_acc", "param:val_acc"),
                            ["evaluations.score: 'param:val_acc' is not of the form metric:<key>"]),
    "a list": (LIGHTNING.replace("param:seed", "[1]"), ["trials.wi_seed: [1] is neither"]),
    "a step that is none": (LIGHTNING.replace("step: metric:trainer", "step: trainer"),
                            ["step: 'trainer/global_step' is not of the form"]),
    "experiments without a list": (LIGHTNING + "experiments: glue",
                                   ["experiments: it must be a list of names"]),
    "a table that is no mapping": (LIGHTNING.replace("train_steps:\n  loss: metric:train_loss_step",
                                                     "train_steps: 3"),
                                   ["train_steps: it must name columns"]),
    "no YAML": ("a: [", ["cannot be read"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=list(WRONG))
def test_all_that_is_wrong_with_a_file_is_said_at_once(
    text: str, said: list[str], tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").write_text(text)

    with pytest.raises(SeedbedError) as refused:
        OtherTrainer.read(tmp_path / "mapping.yaml")

    for words in said:
        assert words in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match=r"The mapping .*nowhere\.yaml cannot be read"):
        OtherTrainer.read(tmp_path / "nowhere.yaml")
