"""A small warehouse, the release staged from it, and copies of that to spoil."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from analysis.schema import arrow_schema
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, ColumnType, Status
from release.bundle import Bundle, build
from release.hub import Hub, Patience
from release.leaks import Identity
from release.manifest import read_staged
from release.publish import plan, publish
from tests.hub import LocalHub

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
    best = 50 + 10 * wi + do
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
            best_score=best / 100,
            best_step=2 * EVALUATIONS - 2,
            last_score=best / 100,
            evaluations=EVALUATIONS,
            steps=STEPS,
            total_steps=STEPS,
            steps_per_epoch=STEPS,
            train_examples=32,
            validation_examples=100,
            labels=2,
            majority_baseline=0.5,
            run_id="run-of-mlflow",
            error="OSError: /home/alice/cache is full" if failed else None,
        ),
    )
    for i in range(EVALUATIONS):
        score = (best - 10 * (EVALUATIONS - 1 - i)) / 100
        yield (
            "evaluations",
            _row("evaluations", **key, step=2 * i, score=score, best_score=score),
        )
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
        nothing = {"evaluations": 0, "steps": 0}
        trials = [
            _row("trials", trial_id=f"t{i}", **nothing | values) for i, values in enumerate(rows)
        ]
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


# ── The Hub ──────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(autouse=True)
def nobodys_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test of a release sees the token, the cache or the Hub of who runs it."""
    for name in os.environ:
        if name.startswith(("HF_", "HUGGING")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub cache"))
    monkeypatch.setattr("release.hub.Patience", partial(Patience, sleep=lambda seconds: None))
    _point_to("http://127.0.0.1:9", monkeypatch)
    # The uploader of Xet has a server of its own, which `tests.hub` has only where it is asked for.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    # The client's own pauses, before it sends a large file again, are seconds.
    restless = SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})
    monkeypatch.setattr("huggingface_hub.utils._http.time", restless)


def _point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this the Hub that everything in this process talks to."""
    files = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch, nobodys_hub: None) -> Iterator[LocalHub]:
    """A Hub on this machine, which is the one that everything here talks to."""
    with LocalHub().running() as hub:
        _point_to(hub.url, monkeypatch)
        yield hub


@pytest.fixture
def waits() -> list[float]:
    """The pauses that a `hub` would have made, in seconds."""
    return []


@pytest.fixture
def hub(local_hub: LocalHub, waits: list[float]) -> Hub:
    """`seedlings/trials` on the local Hub, for somebody who may write and does not wait."""
    return Hub(
        "seedlings/trials",
        token=LocalHub.WRITE,
        patience=Patience(tries=4, answering=5.0, sleep=waits.append),
    )


@pytest.fixture
def published(bundle: Bundle, hub: Hub, local_hub: LocalHub) -> LocalHub:
    """The Hub with the release `v1.2.3` of `seedlings/trials`, and nothing asked of it since."""
    publish(hub, plan(hub, read_staged(bundle.folder)), private=False)
    local_hub.requests.clear()
    return local_hub
