"""Anybody's table becomes a study, whole, or is refused with all that is wrong with it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import best_trial, task_summary, variance
from analysis.export import export
from analysis.formats import format_table
from analysis.imported import ImportSummary, import_published, import_table
from analysis.reference import STUDY, published_scores, published_tasks
from analysis.scores import REGIMES, trial_scores
from analysis.training_curves import compute as training_curves
from analysis.warehouse import Warehouse
from finetune.contract import Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]

TRIALS = """task,wi_seed,do_seed,score,metric
rte,1,1,0.61,accuracy
rte,1,2,0.65,accuracy
rte,2,1,0.58,accuracy
"""

EVALUATIONS = """\
config.task,config.wi_seed,config.do_seed,_step,epoch,summary.score,loss,lr
rte,1,1,0,0.0,0.5,0.7,1e-5
rte,1,1,10,1.0,0.6,0.6,1e-5
rte,1,1,20,2.0,0.55,0.65,0
rte,1,2,0,0.0,0.5,0.7,1e-5
rte,1,2,10,1.0,NaN,NaN,1e-5
"""


def imported(tmp_path: Path, text: str, name: str = "mine.csv", **said: Any) -> ImportSummary:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return import_table(file, tmp_path / "warehouse", "mine", **said)


def rows(tmp_path: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Warehouse(tmp_path / "warehouse").table(table).to_pylist()
    return found


# ── A row a trial ────────────────────────────────────────────────────────────────────────────────
def test_a_row_without_a_step_is_a_trial_with_its_score(tmp_path: Path) -> None:
    summary = imported(tmp_path, TRIALS)
    assert (summary.trials, summary.evaluations) == ({"rte": 3}, 0)
    warehouse = Warehouse(tmp_path / "warehouse")
    scores = trial_scores(warehouse, "mine", "rte")
    assert scores.score.tolist() == [0.61, 0.65, 0.58]
    assert scores.wi_seed.tolist() == [1, 1, 2]
    assert scores.do_seed.tolist() == [1, 2, 1]
    assert scores.metric == "accuracy"
    assert variance.compute(scores).trials == 3
    best = best_trial.compute(warehouse, "mine")["rte"]
    assert (best.score, best.step, best.epoch, best.total_steps) == (0.65, None, None, None)


def test_what_is_said_for_all_rows_goes_before_a_column(tmp_path: Path) -> None:
    summary = imported(
        tmp_path,
        TRIALS,
        columns={"task": "task"},
        values={"task": "qnli", "majority_baseline": "0.5", "model": "bert", "epochs": "3"},
    )
    assert "task" not in summary.columns
    assert summary.unused == ("task",)
    for row in rows(tmp_path, "trials"):
        assert (row["task"], row["model"], row["epochs"]) == ("qnli", "bert", 3)
    (table_2,) = task_summary.compute(Warehouse(tmp_path / "warehouse"), "mine")
    assert (table_2.at_baseline, table_2.majority_baseline) == (0, 0.5)


def test_columns_of_other_names_are_mapped(tmp_path: Path) -> None:
    text = "dataset,seed,acc\nrte,7,61\nrte,8,65\n"
    summary = imported(
        tmp_path,
        text,
        columns={"task": "dataset", "wi_seed": "seed", "do_seed": "seed", "score": "acc"},
        values={"metric": "accuracy"},
        percent=True,
    )
    assert summary.unused == ()
    scores = trial_scores(Warehouse(tmp_path / "warehouse"), "mine", "rte")
    assert scores.wi_seed.tolist() == scores.do_seed.tolist() == [7, 8]
    assert scores.score == pytest.approx([0.61, 0.65])


def test_parquet_and_tsv_give_what_csv_gives(tmp_path: Path) -> None:
    imported(tmp_path, TRIALS)
    expected = rows(tmp_path, "trials")
    imported(tmp_path, TRIALS.replace(",", "\t"), name="mine.tsv")
    of_tsv = rows(tmp_path, "trials")
    table = pa.table(
        {
            "task": ["rte"] * 3,
            # As pandas writes whole numbers beside a gap.
            "wi_seed": pa.array([1.0, 1.0, 2.0]),
            "do_seed": [1, 2, 1],
            "score": [0.61, 0.65, 0.58],
            "metric": ["accuracy"] * 3,
            "epochs": pa.array([None, None, None], pa.float64()),
        }
    )
    pq.write_table(table, tmp_path / "mine.parquet")
    import_table(tmp_path / "mine.parquet", tmp_path / "warehouse", "mine")
    for found in (of_tsv, rows(tmp_path, "trials")):
        assert [row | {"started_at": 0} for row in found] == [
            row | {"started_at": 0} for row in expected
        ]


def test_statuses_of_mlflow_and_wandb_are_read(tmp_path: Path) -> None:
    text = (
        "task,params.wi_seed,params.do_seed,metrics.score,State\n"
        "rte,1,1,0.6,FINISHED\nrte,1,2,,crashed\nrte,1,3,0.5,killed\nrte,2,1,,running\n"
    )
    imported(tmp_path, text)
    statuses = {(r["wi_seed"], r["do_seed"]): r["status"] for r in rows(tmp_path, "trials")}
    assert statuses == {
        (1, 1): Status.FINISHED,
        (1, 2): Status.FAILED,
        (1, 3): Status.INTERRUPTED,
        (2, 1): Status.RUNNING,
    }
    scores = trial_scores(Warehouse(tmp_path / "warehouse"), "mine", "rte")
    assert len(scores) == 1
    assert scores.left_out_counts == {"failed": 1, "interrupted": 1, "still running": 1}


def test_trials_of_the_same_seeds_are_told_apart_by_their_id(tmp_path: Path) -> None:
    text = "run_id,task,wi_seed,do_seed,score\na,rte,1,1,0.6\nb,rte,1,1,0.7\n"
    imported(tmp_path, text)
    assert [row["trial_id"] for row in rows(tmp_path, "trials")] == ["a", "b"]


# ── A row an evaluation ──────────────────────────────────────────────────────────────────────────
def test_rows_with_steps_are_evaluations_of_their_trials(tmp_path: Path) -> None:
    summary = imported(tmp_path, EVALUATIONS, values={"metric": "accuracy"})
    assert (summary.trials, summary.evaluations, summary.unused) == ({"rte": 2}, 5, ("lr",))
    first, second = rows(tmp_path, "trials")
    assert (first["best_score"], first["best_step"], first["last_score"]) == (0.6, 10, 0.55)
    assert (first["evaluations"], first["steps"], first["steps_per_epoch"]) == (3, 20, 10)
    assert (second["best_score"], second["best_step"]) == (0.5, 0)
    assert np.isnan(second["last_score"])
    evaluations = rows(tmp_path, "evaluations")
    assert [row["step"] for row in evaluations] == [0, 10, 20, 0, 10]
    assert [row["best_score"] for row in evaluations] == [0.5, 0.6, 0.6, 0.5, 0.5]
    assert evaluations[1]["accuracy"] == 0.6
    assert evaluations[1]["loss"] == 0.6


def test_every_question_of_evaluations_can_be_asked_of_them(tmp_path: Path) -> None:
    imported(tmp_path, EVALUATIONS)
    warehouse = Warehouse(tmp_path / "warehouse")
    assert trial_scores(warehouse, "mine", "rte", score="last").score.tolist() == [0.55]
    assert trial_scores(warehouse, "mine", "rte", score="epoch-end").score.tolist() == [0.6]
    curves = training_curves(warehouse, "mine", "rte", np.random.default_rng(0))
    assert [curve.epoch.tolist() for curve in curves.curves] == [[0, 1, 2], [0, 1]]


def test_the_first_of_equal_evaluations_is_the_best(tmp_path: Path) -> None:
    text = "task,wi_seed,do_seed,step,score\nrte,1,1,5,0.5\nrte,1,1,10,0.7\nrte,1,1,15,0.7\n"
    imported(tmp_path, text)
    (trial,) = rows(tmp_path, "trials")
    assert (trial["best_step"], trial["total_steps"]) == (10, 15)
    best = best_trial.compute(Warehouse(tmp_path / "warehouse"), "mine")["rte"]
    assert (best.step, best.total_steps, best.epoch) == (10, 15, None)


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    imported(tmp_path, EVALUATIONS)
    before = rows(tmp_path, "evaluations")
    header, *lines = EVALUATIONS.splitlines()
    imported(tmp_path, "\n".join([header, *reversed(lines)]))
    after = rows(tmp_path, "evaluations")
    assert str([row | {"logged_at": 0} for row in after]) == str(
        [row | {"logged_at": 0} for row in before]
    )


def test_rows_without_a_score_are_left_out_and_counted(tmp_path: Path) -> None:
    # W&B's history has a row for each step, most of them of training only.
    summary = imported(tmp_path, EVALUATIONS + "rte,1,1,15,1.5,,0.61,1e-5\n")
    assert summary.without_score == 1
    assert summary.evaluations == 5


def test_an_uneven_number_of_steps_is_no_epoch(tmp_path: Path) -> None:
    text = "task,wi_seed,do_seed,step,epoch,score\nrte,1,1,10,1,0.6\nrte,1,1,35,2,0.6\n"
    imported(tmp_path, text)
    (trial,) = rows(tmp_path, "trials")
    assert trial["steps_per_epoch"] is None


# ── W&B ──────────────────────────────────────────────────────────────────────────────────────────
# As the panel of a project exports its lines.
PANEL = """\
"Step","rte-1-1 - eval/accuracy","rte-1-1 - eval/accuracy__MIN","rte-1-1 - eval/accuracy__MAX",\
"rte-1-2 - eval/accuracy","rte-1-2 - eval/accuracy__MIN","rte-1-2 - eval/accuracy__MAX"
"0","0.5","0.1","0.9","0.5","0.5","0.5"
"10","0.6","0.6","0.6","","",""
"20","0.55","0.55","0.55","0.65","0.65","0.65"
"""


def test_a_panel_of_wandb_is_the_evaluations_of_its_runs(tmp_path: Path) -> None:
    summary = imported(
        tmp_path,
        PANEL,
        names="{task}-{wi_seed}-{do_seed}",
        columns={"score": "eval/accuracy"},
        values={"metric": "accuracy"},
    )
    assert (summary.trials, summary.evaluations, summary.unused) == ({"rte": 2}, 5, ())
    first, second = rows(tmp_path, "trials")
    assert (first["wi_seed"], first["do_seed"], first["best_score"]) == (1, 1, 0.6)
    assert (second["do_seed"], second["best_score"], second["best_step"]) == (2, 0.65, 20)
    manifest = Warehouse(tmp_path / "warehouse").manifest
    assert manifest["imported"]["mine"]["names"] == "{task}-{wi_seed}-{do_seed}"


def test_a_panel_without_a_word_on_its_names_says_how_to_tell_them(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match=r"the runs' names have it \(as --names '…\{wi_seed\}…'"):
        imported(tmp_path, PANEL, columns={"score": "eval/accuracy"})


def test_the_table_of_runs_of_wandb_is_read_with_its_names_or_its_configuration(
    tmp_path: Path,
) -> None:
    text = (
        '"Name","State","Notes","User","Tags","Created","Runtime","Sweep","task","do_seed",'
        '"eval/accuracy"\n'
        '"run-7-x","finished","-","me","","2024-01-01T00:00:00.000Z","61","","rte","2","0.7"\n'
        '"run-8-y","crashed","-","me","","2024-01-01T00:00:00.000Z","6","","rte","2",""\n'
    )
    imported(tmp_path, text, names="run-{wi_seed}-{_}", columns={"score": "eval/accuracy"})
    finished, crashed = rows(tmp_path, "trials")
    assert (finished["wi_seed"], finished["do_seed"], finished["best_score"]) == (7, 2, 0.7)
    assert (crashed["wi_seed"], crashed["status"]) == (8, Status.FAILED)


# ── Several studies ──────────────────────────────────────────────────────────────────────────────
def test_studies_stand_beside_each_other_and_the_same_one_is_replaced(tmp_path: Path) -> None:
    imported(tmp_path, TRIALS)
    import_table(tmp_path / "mine.csv", tmp_path / "warehouse", "other")
    (tmp_path / "mine.csv").write_text(EVALUATIONS, encoding="utf-8")
    import_table(tmp_path / "mine.csv", tmp_path / "warehouse", "mine")
    warehouse = Warehouse(tmp_path / "warehouse")
    assert warehouse.studies() == ["mine", "other"]
    assert sorted(warehouse.manifest["imported"]) == ["mine", "other"]
    assert len(trial_scores(warehouse, "other", "rte")) == 3
    assert len(trial_scores(warehouse, "mine", "rte")) == 2


def test_an_export_is_not_imported_into(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    make_warehouse(tmp_path / "warehouse", {("s", "rte"): np.array([[0.6]])})
    with pytest.raises(SeedbedError, match="name another folder for 'mine' with --warehouse"):
        imported(tmp_path, TRIALS)
    assert Warehouse(tmp_path / "warehouse").studies() == ["s"]


def test_imports_are_not_exported_over(tmp_path: Path) -> None:
    imported(tmp_path, TRIALS)
    with pytest.raises(SeedbedError, match="holds trials that were imported"):
        export(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "warehouse")
    assert Warehouse(tmp_path / "warehouse").studies() == ["mine"]


def test_ones_own_trials_can_be_put_beside_imported_ones(
    synthetic_warehouse: Warehouse, tmp_path: Path
) -> None:
    own = synthetic_warehouse.query(
        "select t.*, e.step, e.epoch, e.score, e.loss "
        "from trials t left join evaluations e using (trial_id)"
    )
    imported(tmp_path, TRIALS)
    text = format_table(own, "csv")
    file = tmp_path / "own.csv"
    file.write_text(text, encoding="utf-8")
    import_table(file, tmp_path / "warehouse", "own")
    both = Warehouse(tmp_path / "warehouse")
    assert both.studies() == ["mine", "own"]
    for task in ("cola", "rte"):
        for score in REGIMES:
            theirs = trial_scores(synthetic_warehouse, "demo", task, score=score)
            found = trial_scores(both, "own", task, score=score)
            assert found.trial_id.tolist() == theirs.trial_id.tolist()
            assert found.score.tolist() == theirs.score.tolist()
            assert found.left_out == theirs.left_out


# ── What is wrong ────────────────────────────────────────────────────────────────────────────────
def test_all_faults_of_the_rows_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        "task,wi_seed,do_seed,score,metric,epochs\n"
        "rte,one,1,0.6,accuracy,3\nrte,1,,0.6,accuracy,3\nrte,1,2,61,accuracy,2.5\n"
    )
    with pytest.raises(SeedbedError) as caught:
        imported(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert lines[0].endswith("mine.csv cannot be imported:")
    assert lines[1:] == [
        "  line 2: wi_seed is 'one', which is no whole number",
        "  line 3: do_seed is empty",
        "  line 4: epochs is '2.5', which is no whole number",
        "  line 4: score is 61, and accuracy is at most 1; if scores are in percent, say so with "
        "--percent",
    ]
    assert not (tmp_path / "warehouse").exists()


def test_a_bad_table_leaves_the_warehouse_as_it_was(tmp_path: Path) -> None:
    imported(tmp_path, TRIALS)
    with pytest.raises(SeedbedError):
        imported(tmp_path, TRIALS + "rte,x,1,0.6,accuracy\n")
    assert len(trial_scores(Warehouse(tmp_path / "warehouse"), "mine", "rte")) == 3


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        ("task,seed,score\nrte,1,0.6\n", {}, "no column is named as its wi_seed"),
        (TRIALS, {"columns": {"wi_sed": "x"}}, "no field 'wi_sed' to map; did you mean 'wi_seed'"),
        (TRIALS, {"columns": {"score": "scor"}}, "no column 'scor' to read score from; did you"),
        ("task,params.wi_seed,config.wi_seed,do_seed,score\n", {}, "may be wi_seed: say which"),
        ("task,task,wi_seed,do_seed,score\n", {}, "two columns 'task'"),
        (TRIALS + "rte,1,1,0.7,accuracy\n", {}, "2 rows are of the trial mine-rte-1-1, as line 5"),
        (EVALUATIONS + "rte,1,1,20,2,0.5,0,0\n", {}, "step 20 twice, as in line 4"),
        (TRIALS + "rte,1\n", {}, "line 5: it has 2 cells, and the header names 5"),
        ("task,wi_seed,do_seed,score\n", {}, "no row with a score"),
        ("task,wi_seed,do_seed,score,state\nrte,1,1,0.5,done?\n", {}, "status is 'done?', none of"),
        (
            "trial_id,task,wi_seed,do_seed,score,step\na,rte,1,1,0.5,0\na,rte,2,1,0.5,1\n",
            {},
            "the trial a has more than one wi_seed: 2 (line 3) and 1 (line 2)",
        ),
        ("task,wi_seed,do_seed,score,step\nrte,1,1,0.5,-1\n", {}, "step is -1, below 0"),
        ("", {}, "no column is named as its task"),
    ],
)
def test_what_cannot_be_imported_is_refused_saying_what_and_where(
    tmp_path: Path, text: str, said: dict[str, Any], message: str
) -> None:
    with pytest.raises(SeedbedError, match=re.escape(message)):
        imported(tmp_path, text, **said)


def test_a_long_list_of_faults_is_cut(tmp_path: Path) -> None:
    text = "task,wi_seed,do_seed,score\n" + "rte,x,1,0.5\n" * 40
    with pytest.raises(SeedbedError, match=r"and 28 more like these"):
        imported(tmp_path, text)


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match="There is no file"):
        import_table(tmp_path / "absent.csv", tmp_path / "w", "s")
    for name in ("broken.csv", "broken.parquet"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00\x00not a table")
        with pytest.raises(SeedbedError, match="cannot be read as"):
            import_table(tmp_path / name, tmp_path / "w", "s")


# ── The paper's own ──────────────────────────────────────────────────────────────────────────────
def test_the_published_results_are_a_study_like_any_other(tmp_path: Path) -> None:
    summary = import_published(tmp_path / "w")
    assert sum(summary.trials.values()) == 2_100
    warehouse = Warehouse(tmp_path / "w")
    assert warehouse.studies() == [STUDY]
    for task in published_tasks():
        found, published = trial_scores(warehouse, STUDY, task), published_scores(task)
        assert variance.compute(found).total == pytest.approx(variance.compute(published).total)
        assert found.metric == published.metric
    summaries = {each.task: each for each in task_summary.compute(warehouse, STUDY)}
    assert summaries["mrpc"].validation_examples == 408
    assert summaries["mrpc"].at_baseline == 63


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        import_published(tmp_path / name)
    files = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in sorted(
            (tmp_path / name).rglob("*")) if path.is_file()}
        for name in ("a", "b")
    ]  # fmt: skip
    assert files[0] == files[1]
