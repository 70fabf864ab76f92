"""A small warehouse, the release staged from it, and copies of that to spoil."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analysis.schema import arrow_schema
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, ColumnType, Status
from release.bundle import Bundle, build
from release.leaks import Identity

Tables = dict[str, pa.Table]

TASKS = ("cola", "rte")
SEEDS = (1, 2)
EVALUATIONS = 3
STEPS = 4

_ANY_VALUE: dict[ColumnType, object] = {
    "string": "something",
    "int64": 1,
    "float64": 0.5,
    "bool": False,
    "timestamp": datetime(2026, 1, 1, tzinfo=UTC),
}


def _row(table: str, **values: object) -> dict[str, Any]:
    """Return a row of a table: the values given, and any that fit in the other columns."""
    fitting = {c.name: None if c.nullable else _ANY_VALUE[c.type] for c in TABLES[table]}
    return fitting | values


def _rows(task: str, wi: int, do: int) -> Iterator[tuple[str, dict[str, Any]]]:
    key = {"trial_id": f"{task}{wi}{do}", "study": "demo", "task": task}
    failed = (task, wi, do) == ("rte", 2, 2)
    yield (
        "trials",
        _row(
            "trials",
            **key,
            wi_seed=wi,
            do_seed=do,
            metric="accuracy",
            device="cpu",
            status=Status.FAILED if failed else Status.FINISHED,
            best_score=0.5 + wi / 10 + do / 100,
            run_id="run-of-mlflow",
            error="OSError: /home/alice/cache is full" if failed else None,
        ),
    )
    for i in range(EVALUATIONS):
        yield "evaluations", _row("evaluations", **key, step=2 * i, score=0.5 + i / 10)
    for step in range(1, STEPS + 1):
        loss = float("nan") if failed else 1 / step
        yield "train_steps", _row("train_steps", **key, step=step, loss=loss)


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Study `demo`: two tasks, each 2 WI × 2 DO seeds; the last trial of `rte` failed."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for task, wi, do in product(TASKS, SEEDS, SEEDS):
        for table, values in _rows(task, wi, do):
            rows[table].append(values)
    return {name: pa.Table.from_pylist(rows[name], schema=arrow_schema(name)) for name in TABLES}


@pytest.fixture
def make_trials() -> Callable[..., Tables]:
    """`make_trials(*rows)`: tables of trials that are as given, and of nothing else."""

    def make(*rows: dict[str, Any]) -> Tables:
        trials = [_row("trials", trial_id=f"t{i}", **values) for i, values in enumerate(rows)]
        empty = {name: arrow_schema(name).empty_table() for name in TABLES}
        return empty | {"trials": pa.Table.from_pylist(trials, schema=arrow_schema("trials"))}

    return make


MakeWarehouse = Callable[[Tables], Warehouse]


@pytest.fixture(scope="session")
def make_warehouse(tmp_path_factory: pytest.TempPathFactory) -> MakeWarehouse:
    def make(tables: Tables) -> Warehouse:
        folder = tmp_path_factory.mktemp("made") / "a warehouse"
        write(folder, tables, {"exported_from": "sqlite:////home/alice/mlflow.db"})
        return Warehouse(folder)

    return make


@pytest.fixture(scope="session")
def warehouse(make_warehouse: MakeWarehouse, tables: Tables) -> Warehouse:
    return make_warehouse(tables)


@pytest.fixture(scope="session")
def identity() -> Identity:
    """Alice, who publishes."""
    return Identity(user="alice", host="gpubox.lab.example", folders=(Path("/home/alice"),))


@pytest.fixture(scope="session")
def bundle(
    warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory, identity: Identity
) -> Bundle:
    """A release of `warehouse`, in a folder with a name that needs care."""
    return build(
        warehouse,
        tmp_path_factory.mktemp("staged") / "it's a bundle",
        version="1.2.3",
        repo="seedlings/trials",
        authors=("Doe, Jane", "The Seedlings"),
        identity=identity,
    )


@pytest.fixture
def staged(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy of the release's folder, to be spoilt."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "it's [spoilt]"))
