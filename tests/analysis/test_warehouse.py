"""The warehouse gives back what was written into it, answers SQL, and is never written by it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.schema import SORT_KEYS, arrow_schema
from analysis.warehouse import Warehouse, ready_made, write
from finetune.contract import SCHEMA_VERSION, TABLES, Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]


@pytest.fixture
def tables(synthetic_warehouse: Warehouse) -> dict[str, pa.Table]:
    return {name: synthetic_warehouse.table(name) for name in TABLES}


@pytest.fixture
def copy(synthetic_warehouse: Warehouse, tmp_path: Path) -> Path:
    return Path(shutil.copytree(synthetic_warehouse.folder, tmp_path / "copy"))


def shuffled(table: pa.Table, seed: int) -> pa.Table:
    return table.take(np.random.default_rng(seed).permutation(len(table)))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────
def test_a_warehouse_has_a_file_a_task_and_a_manifest(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    write(tmp_path / "w", tables, {"exported_at": "today"})

    assert list(contents(tmp_path / "w")) == [
        "evaluations/task=cola/evaluations.parquet",
        "evaluations/task=rte/evaluations.parquet",
        "manifest.json",
        "train_steps/task=cola/train_steps.parquet",
        "train_steps/task=rte/train_steps.parquet",
        "trials.parquet",
    ]
    assert json.loads((tmp_path / "w" / "manifest.json").read_text()) == {
        "schema_version": SCHEMA_VERSION,
        "rows": {"trials": 40, "evaluations": 1225, "train_steps": 1185},
        "exported_at": "today",
    }


def test_what_is_read_is_what_was_written_sorted_by_its_keys(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    unsorted = {name: shuffled(table, seed=1) for name, table in tables.items()}

    write(tmp_path / "w", unsorted, {})

    warehouse = Warehouse(tmp_path / "w")
    for name, table in unsorted.items():
        expected = table.sort_by([(key, "ascending") for key in SORT_KEYS[name]])
        assert warehouse.table(name).schema.equals(arrow_schema(name), check_metadata=True)
        np.testing.assert_equal(warehouse.table(name).to_pylist(), expected.to_pylist())


def test_the_order_of_rows_does_not_change_the_bytes(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    for seed in (1, 2):
        write(tmp_path / str(seed), {n: shuffled(t, seed) for n, t in tables.items()}, {})

    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_each_file_says_its_task_version_and_schema_by_itself(
    synthetic_warehouse: Warehouse,
) -> None:
    file = pq.ParquetFile(
        synthetic_warehouse.folder / "evaluations" / "task=rte" / "evaluations.parquet"
    )

    assert file.schema_arrow.equals(arrow_schema("evaluations"), check_metadata=True)
    assert file.read()["task"].unique().to_pylist() == ["rte"]
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_table_in_another_schema_is_refused(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    tables["trials"] = tables["trials"].drop_columns(["wi_seed"])

    with pytest.raises(ValueError, match="the table trials is not in the contract's schema"):
        write(tmp_path / "w", tables, {})
    assert not (tmp_path / "w").exists()


def test_a_null_where_there_must_be_a_value_is_refused(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    rows = tables["evaluations"].to_pylist()
    rows[3]["score"] = None
    tables["evaluations"] = pa.Table.from_pylist(rows, arrow_schema("evaluations"))

    with pytest.raises(ValueError, match="has nulls in score"):
        write(tmp_path / "w", tables, {})


def test_a_missing_table_is_refused(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    del tables["train_steps"]

    with pytest.raises(ValueError, match="a warehouse has the tables"):
        write(tmp_path / "w", tables, {})


def test_a_new_warehouse_replaces_the_old_one_whole(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    make_warehouse(tmp_path / "w", {("a", "cola"): np.array([[0.5]])})

    warehouse = make_warehouse(tmp_path / "w", {("b", "rte"): np.array([[0.6]])})

    assert warehouse.studies() == ["b"]
    assert not (tmp_path / "w" / "evaluations" / "task=cola").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize("manifest", [None, "not json", "[]", '{"name": "a web page"}'])
def test_a_folder_of_something_else_is_not_overwritten(
    manifest: str | None, tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)

    with pytest.raises(SeedbedError, match="is not a warehouse, so it is not overwritten"):
        write(tmp_path, tables, {})

    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_file_is_not_overwritten(tables: dict[str, pa.Table], tmp_path: Path) -> None:
    (tmp_path / "w").write_text("years of work")

    with pytest.raises(SeedbedError, match="is not a warehouse"):
        write(tmp_path / "w", tables, {})


def test_an_empty_folder_may_become_a_warehouse(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    write(tmp_path, tables, {})

    assert Warehouse(tmp_path).studies() == ["demo"]


# ── Opening ──────────────────────────────────────────────────────────────────────────────────────
def test_where_there_is_no_warehouse_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match=r"no warehouse at .*: run `finetune export` first"):
        Warehouse(tmp_path / "nowhere")


def test_a_warehouse_of_another_version_is_refused(copy: Path) -> None:
    (copy / "manifest.json").write_text('{"schema_version": 0}')

    with pytest.raises(
        SeedbedError, match=f"version 0, and this Seedbed reads version {SCHEMA_VERSION}"
    ):
        Warehouse(copy)


def test_the_manifest_is_at_hand(synthetic_warehouse: Warehouse) -> None:
    assert synthetic_warehouse.manifest["rows"]["trials"] == 40


@pytest.mark.parametrize("name", ["two words", "it's", 'a"b', "a[1]*?", "naïve\n2", "{a,b}", "$x"])
def test_a_folder_may_have_any_name(
    name: str, synthetic_warehouse: Warehouse, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(synthetic_warehouse.folder, tmp_path / name))
    for other in ("a1b", "a", "b"):  # what the name would match if it were a pattern
        shutil.copytree(synthetic_warehouse.folder, tmp_path / other)

    answer = Warehouse(folder).query("select count(*) as n from evaluations")

    assert answer["n"].to_pylist() == [1225]


@pytest.mark.parametrize("task", ["my task", "a/b", "a=b", "ünï", "100%", "a'b", "[a]*", "2020"])
def test_a_task_may_have_any_name(task: str, make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    warehouse = make_warehouse(
        tmp_path / "w", {("s", task): np.array([[0.5]])}, evaluations=3, steps=2
    )

    assert warehouse.tasks("s") == [task]
    assert warehouse.query("select distinct task from evaluations")["task"].to_pylist() == [task]
    assert warehouse.table("train_steps")["task"].to_pylist() == [task, task]


def test_trials_without_evaluations_or_steps_make_a_warehouse_too(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    empty = {name: arrow_schema(name).empty_table() for name in ("evaluations", "train_steps")}

    write(tmp_path / "w", tables | empty, {})

    warehouse = Warehouse(tmp_path / "w")
    for name in empty:
        assert warehouse.table(name) == arrow_schema(name).empty_table()
        assert warehouse.query(f"from {name}").column_names == arrow_schema(name).names
        assert warehouse.query(f"from {name}").num_rows == 0


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────
def test_the_three_tables_can_be_joined(synthetic_warehouse: Warehouse) -> None:
    answer = synthetic_warehouse.query(
        """
        select t.task, count(*) as n, max(e.score) = max(t.best_score) as same
        from trials t join evaluations e using (trial_id)
        group by t.task order by t.task
        """
    )

    assert answer.to_pylist() == [
        {"task": "cola", "n": 620, "same": True},
        {"task": "rte", "n": 605, "same": True},
    ]


def test_parameters_are_given_by_order_or_by_name(synthetic_warehouse: Warehouse) -> None:
    by_order = synthetic_warehouse.query(
        "select trial_id from trials where task = ? and wi_seed = ? order by 1", ["rte", 3]
    )
    by_name = synthetic_warehouse.query(
        "select trial_id from trials where task = $task and wi_seed = $wi order by 1",
        {"task": "rte", "wi": 3},
    )

    assert by_order["trial_id"].to_pylist() == [f"demo-rte-3-{do}" for do in (1, 2, 3, 4)]
    assert by_name == by_order


def test_times_are_in_utc(synthetic_warehouse: Warehouse) -> None:
    answer = synthetic_warehouse.query(
        "select min(started_at) as t, min(started_at)::text as s from trials"
    )

    assert answer.schema.field("t").type.tz == "UTC"
    assert answer["s"].to_pylist() == ["2026-01-01 00:00:00+00"]


@pytest.mark.parametrize(
    "sql",
    [
        "from trials",
        "-- a remark\nselect 1;",
        "values (1), (2)",
        "with t as (from trials) select count(*) from t",
        "pivot trials on do_seed using max(best_score) group by wi_seed",
        "describe trials",
        "summarize trials",
        "show tables",
    ],
)
def test_whatever_reads_is_answered(sql: str, synthetic_warehouse: Warehouse) -> None:
    assert synthetic_warehouse.query(sql).num_rows > 0


def test_other_local_files_can_be_read_beside(
    synthetic_warehouse: Warehouse, tmp_path: Path
) -> None:
    (tmp_path / "notes.csv").write_text("task,note\nrte,small\n")

    answer = synthetic_warehouse.query(
        f"select distinct note from trials join '{tmp_path / 'notes.csv'}' using (task)"
    )

    assert answer["note"].to_pylist() == ["small"]


@pytest.mark.parametrize(
    "sql",
    [
        "copy trials to '{folder}/trials.parquet'",
        "copy (pivot trials on status using count(*)) to '{folder}/trials.parquet'",
        "/* select */ copy trials to '{folder}/trials.parquet'",
        "explain analyze copy trials to '{folder}/trials.parquet'",
        "select 1; copy trials to '{folder}/trials.parquet'",
        "export database '{folder}/evaluations'",
        "attach '{folder}/new.db'",
        "create table t as from trials",
        "drop view trials",
        "set threads = 1",
        "install httpfs",
        "",
    ],
)
def test_what_would_do_more_than_read_is_refused(sql: str, copy: Path) -> None:
    before = contents(copy)
    warehouse = Warehouse(copy)

    with pytest.raises(
        SeedbedError, match=r"A query (reads, and this would do more|is one statement)"
    ):
        warehouse.query(sql.format(folder=copy))

    assert contents(copy) == before
    assert warehouse.query("from trials").num_rows == 40


MISTAKES = {
    "a table": (
        "from trails", ['Did you mean "trials"', "tables are trials, evaluations, train_steps"]),
    "a column": (
        "select tsk from trials", ['"tsk" not found', '"task"', "`describe trials` shows"]),
    "a column of an alias": (
        "select t.tsk from trials t", ["tsk", "`describe trials` shows"]),
    "the syntax": ("select max(score from trials", ["syntax error", "LINE 1", "^"]),
    "a function": ("select maxx(1)", ["maxx", "Did you mean"]),
    "a file": ("from 'nothing.csv'", ["nothing.csv"]),
    "a parameter": ("select ?", ["parameter"]),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "said"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_explained_in(
    sql: str, said: list[str], synthetic_warehouse: Warehouse
) -> None:
    with pytest.raises(SeedbedError) as refused:
        synthetic_warehouse.query(sql)

    for words in said:
        assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) <= 5


def test_studies_and_tasks_are_named_in_order(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = {key: np.array([[0.5]]) for key in [("b", "rte"), ("b", "cola"), ("a", "rte")]}

    warehouse = make_warehouse(tmp_path / "w", scores)

    assert warehouse.studies() == ["a", "b"]
    assert (warehouse.tasks("b"), warehouse.tasks("a")) == (["cola", "rte"], ["rte"])
    assert warehouse.tasks("nothing") == []


def test_plain_duckdb_reads_the_files(synthetic_warehouse: Warehouse) -> None:
    pattern = synthetic_warehouse.folder / "evaluations" / "*" / "*.parquet"

    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select task, count(*) from '{pattern}' group by 1 order by 1"
        ).fetchall()

    assert rows == [("cola", 620), ("rte", 605)]


# ── Ready-made queries ───────────────────────────────────────────────────────────────────────────
def test_every_ready_made_query_opens_with_what_it_answers() -> None:
    assert "overview" in ready_made()
    for sql in ready_made().values():
        assert sql.startswith("-- ")


def test_the_overview_counts_and_summarises_each_task(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    scores = np.array([[0.5, 0.6, 0.9], [0.7, 0.4, np.nan]])
    statuses = {
        ("s", "rte", 1, 3): Status.STOPPED_EARLY,
        ("s", "rte", 2, 2): Status.DIVERGED,
    }
    warehouse = make_warehouse(
        tmp_path / "w", {("s", "rte"): scores, ("s", "cola"): scores[:1, :1]}, statuses=statuses
    )

    cola, rte = warehouse.ask("overview").to_pylist()

    assert (cola["task"], cola["trials"], cola["sd"]) == ("cola", 1, None)
    assert (rte["trials"], rte["finished"], rte["diverged"], rte["stopped_early"]) == (5, 3, 1, 1)
    scored = [0.5, 0.6, 0.7, 0.4]
    assert rte["mean"] == pytest.approx(np.mean(scored))
    assert rte["sd"] == pytest.approx(np.std(scored))
    assert (rte["min"], rte["max"]) == (0.4, 0.7)


# ── The warehouses that other tests use ──────────────────────────────────────────────────────────
def test_a_made_warehouse_has_exactly_the_scores_asked_for(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray[Any, Any]]
) -> None:
    for (study, task), matrix in synthetic_scores.items():
        rows = synthetic_warehouse.query(
            """
            select t.wi_seed, t.do_seed, t.best_score, max(e.score) as highest,
                max(e.best_score) as best, min(e.step) filter (where e.score = t.best_score) as at,
                t.best_step, count(*) as n
            from trials t join evaluations e using (trial_id)
            where t.study = ? and t.task = ? and t.status <> 'failed'
            group by all
            """,
            [study, task],
        ).to_pylist()
        for row in rows:
            asked = matrix[row["wi_seed"] - 1, row["do_seed"] - 1]
            assert row["best_score"] == row["highest"] == row["best"] == asked
            assert (row["at"], row["n"]) == (row["best_step"], 31)
