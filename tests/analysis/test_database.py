"""Straight from the database: SQLite is asked what it can answer without going over everything."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from analysis import database
from analysis.database import DatabaseReader
from finetune.contract import METRIC_TRAIN_LOSS, experiment_name
from tests.logged_runs import BEGINNING, Run, log

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_what_was_counted_before_is_not_gone_over_again(
    is_analyzed: bool,
    new_store: Callable[[Path], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = new_store(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment(experiment_name("demo", "rte"), str(tmp_path))
    ids = [log(client, experiment, Run(do_seed=seed)) for seed in range(1, 6)]
    with closing(DatabaseReader(uri)) as reader:
        reader.runs()
        earlier = reader.counted
    client.log_metric(ids[2], METRIC_TRAIN_LOSS, 0.3, BEGINNING + 99_999, 3)

    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as store:
        if is_analyzed:
            store.execute("analyze")
            store.commit()
        asked: list[str] = []
        table = database._Transaction.table

        def listen(transaction: database._Transaction, sql: str) -> pa.Table:
            asked.append(sql)
            return table(transaction, sql)

        monkeypatch.setattr(database._Transaction, "table", listen)
        with closing(DatabaseReader(uri, earlier)) as reader:
            again = {run.id: run.values for run in reader.runs()}
        of_metrics = [sql for sql in asked if " from metrics " in sql]
        plans = [
            step
            for sql in of_metrics
            for *_, step in store.execute(f"explain query plan {sql}").fetchall()
        ]

    logged = len(Run().logged())
    assert again == {id_: logged + (id_ == ids[2]) for id_ in ids}
    assert any("count(*)" in sql for sql in of_metrics)
    assert not [step for step in plans if step.startswith("SCAN")], plans
