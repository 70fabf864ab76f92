"""The doctor sees what is wrong with a tracking store, and mends it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from finetune.doctor import Finding, Verdict, examine, mend
from finetune.tracking import Tracker

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def finding(store: str) -> Finding:
    [found] = [f for f in examine(store, Path("nowhere")) if f.subject == "tracking store"]
    return found


def do(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        for sql in statements:
            connection.execute(sql)
        connection.commit()


def log(file: Path, steps: range) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma foreign_keys = off")
        connection.executemany(
            "insert into metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "values ('loss', 0.5, ?, ?, ?, 0)",
            [(step, f"run{step % 50}", step) for step in steps],
        )
        connection.commit()


def test_a_store_as_mlflow_leaves_it_is_seen_and_mended(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    store = f"sqlite:///{file}"
    Tracker(store).studies()  # there is none yet
    assert finding(store).found.endswith("not there yet")
    from mlflow import MlflowClient

    MlflowClient(store).search_experiments()
    do(file, "pragma journal_mode = delete")
    log(file, range(100))

    seen = finding(store)

    assert seen.verdict is Verdict.NOTE
    assert seen.found.endswith("a reader may block a run and reading it is slow")
    assert "finetune doctor --mend" in seen.advice

    mend(store)

    assert finding(store).verdict is Verdict.GOOD
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
        [plan] = connection.execute(
            "explain query plan select * from metrics where run_uuid = 'run7' and key = 'loss'"
        )
    assert "run_uuid=?" in plan[3]

    # Statistics of a hundred rows are good enough for a thousand, and no longer.
    log(file, range(100, 1_000))
    assert finding(store).verdict is Verdict.GOOD
    log(file, range(1_000, 1_001))
    assert finding(store).found.endswith("; reading it is slow")


def test_where_there_is_no_store_none_is_made_by_mending(tmp_path: Path) -> None:
    mend(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mend("http://127.0.0.1:1")

    assert list(tmp_path.iterdir()) == []
