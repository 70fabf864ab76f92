"""The warehouse gives back what was written into it, answers SQL, and is never written by it."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.schema import SORT_KEYS, arrow_schema, released_schema
from analysis.views import names
from analysis.warehouse import Warehouse, ready_made, write
from finetune.contract import SCHEMA_VERSION, TABLES, Status
from finetune.errors import SeedbedError

MakeWarehouse = Callable[..., Warehouse]
ROOT = Path(__file__).resolve().parents[2]


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
        "views.sql",
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


@pytest.mark.parametrize(
    "sql",
    [
        "copy trials to '{folder}/trials.parquet'",
        "copy trials to '{folder}/trials.parquet' (use_tmp_file false)",
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


ELSEWHERE = [
    "from '{folder}/notes.csv'",
    "from read_csv('{folder}/notes.csv')",
    "from read_text('{folder}/notes.csv')",
    "from glob('{folder}/*')",
    "from read_parquet('{folder}/other.parquet')",
    "from read_text('{warehouse}/manifest.json')",
    "select * from parquet_metadata('{folder}/other.parquet')",
    "from 'http://127.0.0.1:1/x.csv'",
    "from secret",
]


@pytest.mark.parametrize("sql", ELSEWHERE)
def test_nothing_but_the_tables_can_be_read(sql: str, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("task,note\nrte,small\n")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    secret = pa.table({"x": [1]})  # a query must not see what the program has

    with pytest.raises(SeedbedError):
        Warehouse(copy).query(sql.format(folder=tmp_path, warehouse=copy))
    with pytest.raises(duckdb.Error):
        Warehouse(copy).connection().sql(sql.format(folder=tmp_path, warehouse=copy))
    assert secret.num_rows == 1


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{folder}/new.csv'",
        "copy trials to '{warehouse}/trials.parquet'",
        "copy trials to '{warehouse}/trials.parquet' (use_tmp_file false)",
        "copy trials to 'warehouse://trials/0.parquet'",
        "copy trials to 'warehouse://trials/0.parquet' (use_tmp_file false)",
        "copy trials to 'warehouse://trials/1.parquet' (use_tmp_file false)",
        "copy (select 1) to '{warehouse}/new.parquet'",
        "export database '{folder}/all'",
        "attach '{folder}/new.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "reset lock_configuration",
        "call enable_logging(storage = 'file', storage_path = '{folder}/log')",
        "pragma profile_output = '{folder}/profile'",
    ],
)
def test_a_connection_writes_no_files_and_cannot_be_unlocked(
    sql: str, copy: Path, tmp_path: Path
) -> None:
    before = contents(tmp_path)

    with pytest.raises(duckdb.Error):
        Warehouse(copy).connection().execute(sql.format(folder=tmp_path, warehouse=copy))

    assert contents(tmp_path) == before


def test_a_connection_has_all_tables_and_views_and_makes_tables_in_memory(
    synthetic_warehouse: Warehouse,
) -> None:
    with synthetic_warehouse.connection() as connection:
        connection.execute("create table best as select max(best_score) as best from best_scores")
        named = {name for (name,) in connection.execute("show tables").fetchall()}

        assert named == {*names(), "best"}
        for name in names():
            sql = f"from {name} order by all"
            found = connection.sql(sql).to_arrow_table().to_pylist()
            np.testing.assert_equal(found, synthetic_warehouse.query(sql).to_pylist())


def test_too_much_for_memory_is_refused_and_not_written_to_disk(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    [[folder]] = (
        Warehouse(copy).connection().execute("select current_setting('temp_directory')").fetchall()
    )

    assert folder == ""


MISTAKES = {
    "a table": (
        "from trails",
        ['Did you mean "trials"', "tables are trials, evaluations, train_steps, unmapped, best"]),
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


# ── Views ────────────────────────────────────────────────────────────────────────────────────────
def test_the_best_scores_say_where_each_was_reached(synthetic_warehouse: Warehouse) -> None:
    rows = synthetic_warehouse.query(
        """
        select b.*, e.epoch as epoch_then
        from best_scores b join evaluations e
            on e.trial_id = b.trial_id and e.step = b.best_step
        """
    ).to_pylist()

    assert len(rows) == 40
    assert all(row["best_epoch"] == row["epoch_then"] for row in rows)


def test_curves_that_share_their_epochs_are_the_evaluations(
    synthetic_warehouse: Warehouse,
) -> None:
    columns = "trial_id, epoch, step, score, best_score, loss"
    curves, evaluations = (
        synthetic_warehouse.query(f"select {columns} from {table} order by trial_id, step")
        for table in ("curves", "evaluations")
    )

    assert curves.to_pylist() == evaluations.to_pylist()


def test_curves_have_the_last_evaluation_so_far_at_every_epoch_of_any_trial(
    tables: dict[str, pa.Table], tmp_path: Path
) -> None:
    evaluated = {"demo-rte-1-1": [0, 10, 20], "demo-rte-1-2": [5, 15]}
    rows = [
        row | {"step": step, "epoch": step / 10, "score": step / 100}
        for row in tables["evaluations"].to_pylist()
        if row["step"] == 0
        for step in evaluated.get(row["trial_id"], [])
    ]
    tables["evaluations"] = pa.Table.from_pylist(rows, arrow_schema("evaluations"))
    write(tmp_path / "w", tables, {})

    curves = Warehouse(tmp_path / "w").query(
        "select do_seed, epoch, step, score from curves order by do_seed, epoch"
    )

    assert [tuple(row.values()) for row in curves.to_pylist()] == [
        (1, 0.0, 0, 0.0), (1, 0.5, 0, 0.0), (1, 1.0, 10, 0.1), (1, 1.5, 10, 0.1),
        (1, 2.0, 20, 0.2), (2, 0.5, 5, 0.05), (2, 1.0, 5, 0.05), (2, 1.5, 15, 0.15),
    ]  # fmt: skip


def test_the_seed_grid_has_the_best_scores_of_complete_trials(
    synthetic_warehouse: Warehouse, synthetic_scores: dict[tuple[str, str], np.ndarray[Any, Any]]
) -> None:
    grid = synthetic_warehouse.query("from seed_grid where task = 'rte'")

    expected = synthetic_scores["demo", "rte"].copy()
    expected[3, 0] = np.nan  # the one that failed
    found = np.array([[row[f"do_{do}"] for do in (1, 2, 3, 4)] for row in grid.to_pylist()], float)
    assert grid["wi_seed"].to_pylist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(found, expected)


def test_plain_duckdb_has_the_same_names_and_answers_in_the_folder(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    warehouse = Warehouse(copy)

    with duckdb.connect() as connection:
        connection.execute((copy / "views.sql").read_text(encoding="utf-8"))
        named = {name for (name,) in connection.execute("show tables").fetchall()}
        assert named == set(names())
        for name in names():
            plain = connection.sql(f"from {name} order by all").to_arrow_table()
            np.testing.assert_equal(
                plain.to_pylist(), warehouse.query(f"from {name} order by all").to_pylist()
            )


def test_every_view_opens_with_what_it_is() -> None:
    for view in (ROOT / "analysis" / "views").glob("*.sql"):
        assert view.read_text(encoding="utf-8").startswith("-- ")


# ── While an export replaces it ──────────────────────────────────────────────────────────────────
def test_an_open_warehouse_goes_on_with_the_export_that_replaced_it(
    make_warehouse: MakeWarehouse, tmp_path: Path
) -> None:
    warehouse = make_warehouse(tmp_path / "w", {("a", "cola"): np.array([[0.5]])})

    make_warehouse(tmp_path / "w", {("b", "rte"): np.array([[0.6, 0.7]])})

    assert warehouse.studies() == ["b"]
    assert warehouse.query("from seed_grid")["do_2"].to_pylist() == [0.7]
    assert warehouse.manifest["rows"]["trials"] == 2


def test_no_answer_is_of_two_exports(make_warehouse: MakeWarehouse, tmp_path: Path) -> None:
    """A folder is replaced over and over while it is asked how many trials each table knows."""
    grids = [{("s", task): np.full((n, 1), 0.5) for task in ("cola", "rte")} for n in (1, 3)]
    warehouse = make_warehouse(tmp_path / "w", grids[0], evaluations=3, steps=2)
    is_over = threading.Event()

    def replace() -> None:
        for turn in range(12):
            make_warehouse(tmp_path / "w", grids[turn % 2], evaluations=3, steps=2)
        is_over.set()

    replacing = threading.Thread(target=replace)
    replacing.start()
    seen = set()
    while not is_over.is_set():
        [row] = warehouse.query(
            "select (select count(*) from trials) as trials, "
            "(select count(distinct trial_id) from evaluations) as evaluated, "
            "(select count(distinct trial_id) from train_steps) as trained"
        ).to_pylist()
        assert row["trials"] == row["evaluated"] == row["trained"]
        seen.add(row["trials"])
    replacing.join()

    assert seen <= {2, 6}


# ── Elsewhere ────────────────────────────────────────────────────────────────────────────────────
def test_a_release_is_asked_like_a_warehouse(
    synthetic_warehouse: Warehouse, tmp_path: Path
) -> None:
    for name in TABLES:
        for task in ("cola", "rte"):
            folder = tmp_path / "data" / name / (f"task={task}" if name != "trials" else "")
            folder.mkdir(parents=True, exist_ok=True)
            where = "true" if name == "trials" else f"task = '{task}'"
            columns = ", ".join(released_schema(name).names)
            rows = synthetic_warehouse.query(f"select {columns} from {name} where {where}")
            pq.write_table(rows, folder / f"{name}.parquet")
    (tmp_path / "manifest.json").write_text(
        json.dumps({"release": {"schema_version": SCHEMA_VERSION}})
    )

    release = Warehouse(tmp_path)

    assert release.studies() == ["demo"]
    assert release.query("select distinct run_id, error from trials").to_pylist() == [
        {"run_id": None, "error": None}
    ]
    assert release.ask("overview") == synthetic_warehouse.ask("overview")
    assert release.query("from curves order by all") == synthetic_warehouse.query(
        "from curves order by all"
    )
    kept = released_schema("trials").names
    assert release.table("trials").select(kept) == synthetic_warehouse.table("trials").select(kept)
    with pytest.raises(SeedbedError, match="is not a warehouse"):
        write(tmp_path, {n: synthetic_warehouse.table(n) for n in TABLES}, {})


@pytest.mark.parametrize("address", ["s3://bucket/warehouse", "hf://datasets/owner/name"])
def test_where_the_extension_is_missing_it_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where DuckDB keeps its extensions

    with pytest.raises(SeedbedError, match="needs its extension httpfs") as refused:
        Warehouse(address)

    assert address in str(refused.value)
    assert "install httpfs" in str(refused.value)


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
