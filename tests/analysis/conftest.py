"""Warehouses for tests, made from score matrices."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from analysis.schema import arrow_schema
from analysis.scores import TrialScores
from analysis.warehouse import Warehouse, write
from finetune.contract import TABLES, TASK_METRICS, Status

Floats = NDArray[np.float64]
Trial = tuple[str, str, int, int]
"""Study, task, WI seed, DO seed."""

METRICS = {"cola": "matthews_correlation"}
"""Per task its own metric; accuracy for all others."""
BASELINES = {"matthews_correlation": 0.0, "accuracy": 0.5}
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
STEPS_PER_EPOCH = 10


class Grid:
    """Makes the three tables of trials whose best scores are given.

    Args:
        evaluations: evaluations of a trial that ran to its end.
        steps: optimiser steps of such a trial.
        rng: where the course of the scores and the losses comes from; the best scores are exact.
    """

    def __init__(self, evaluations: int, steps: int, rng: np.random.Generator) -> None:
        self.evaluations = evaluations
        self.steps = steps
        self.rng = rng
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def add(self, trial: Trial, best_score: float, status: Status) -> None:
        study, task, wi_seed, do_seed = trial
        key = {"trial_id": f"{study}-{task}-{wi_seed}-{do_seed}", "study": study, "task": task}
        metric = METRICS.get(task, "accuracy")
        at, scores = self.curve(best_score, BASELINES[metric])
        losses = 0.7 * np.exp(-np.arange(1, self.steps + 1) / self.steps)
        losses += 0.05 * self.rng.random(self.steps)
        if status is Status.FAILED:
            made = at <= self.steps // 2
            at, scores, losses = at[made], scores[made], losses[: self.steps // 2]
        if status is Status.DIVERGED:
            losses[self.steps // 2 :] = np.nan
        logged_at = BEGINNING + timedelta(minutes=len(self.rows["trials"]))

        for step, score, best in zip(at, scores, np.maximum.accumulate(scores), strict=True):
            self.rows["evaluations"].append(
                key
                | dict.fromkeys(TASK_METRICS)
                | {"step": int(step), "epoch": step / STEPS_PER_EPOCH, "score": score}
                | {"best_score": best, "loss": 1 - score, metric: score, "logged_at": logged_at}
            )
        for step, loss in enumerate(losses, start=1):
            self.rows["train_steps"].append(
                key
                | {"step": step, "epoch": step / STEPS_PER_EPOCH, "loss": loss}
                | {"logged_at": logged_at}
            )
        self.rows["trials"].append(
            FACTS
            | key
            | {"wi_seed": wi_seed, "do_seed": do_seed, "status": status, "metric": metric}
            | {"best_score": scores.max(), "best_step": int(at[scores.argmax()])}
            | {"last_score": scores[-1], "evaluations": len(at), "steps": len(losses)}
            | {"total_steps": self.steps, "majority_baseline": BASELINES[metric]}
            | {"started_at": logged_at, "run_id": f"run-{len(self.rows['trials'])}"}
            | {"error": "RuntimeError: out of memory" if status is Status.FAILED else None}
        )

    def curve(self, best_score: float, baseline: float) -> tuple[NDArray[np.int64], Floats]:
        """Return steps, and scores that rise from the baseline to exactly the best score."""
        at = np.unique(np.linspace(0, self.steps, self.evaluations).round().astype(np.int64))
        progress = np.sqrt(at / max(self.steps, 1))
        scores = baseline + (best_score - baseline) * progress
        scores += 0.02 * self.rng.standard_normal(len(at))
        scores = np.minimum(scores, best_score)
        scores[self.rng.integers(len(at) // 2, len(at))] = best_score
        return at, scores

    def tables(self) -> dict[str, pa.Table]:
        return {
            name: pa.Table.from_pylist(rows, schema=arrow_schema(name))
            for name, rows in self.rows.items()
        }


FACTS: dict[str, Any] = {
    "model": "tiny", "dropout_seed": 0, "steps_per_epoch": STEPS_PER_EPOCH,
    "train_examples": 160, "validation_examples": 100, "labels": 2, "epochs": 3, "batch_size": 16,
    "learning_rate": 2e-5, "warmup": 0.1, "schedule": "linear", "bias_correction": False,
    "dropout_until_evaluated": False, "weight_decay": 0.01,
    "adam_epsilon": 1e-6, "clipping": "per-parameter", "clip_norm": 1.0, "dropout": 0.1,
    "max_length": 128, "precision": "fp32", "evaluate": "10 per epoch",
    "model_fingerprint": "m0", "data_fingerprint": "d0", "device": "cpu", "threads": 1,
    "seedbed_version": "0.1.0", "torch_version": "2.6.0", "transformers_version": "5.0.0",
    "python_version": "3.11.2", "seconds": 60.0,
}  # fmt: skip
"""What all trials of these warehouses share."""

MakeWarehouse = Callable[..., Warehouse]
"""`make_warehouse(folder, scores, *, statuses={}, evaluations=31, steps=30, seed=0)`: see it."""


def _make_warehouse(
    folder: Path,
    scores: Mapping[tuple[str, str], Floats],
    *,
    statuses: Mapping[Trial, Status] | None = None,
    evaluations: int = 31,
    steps: int = 30,
    seed: int = 0,
) -> Warehouse:
    """Write a warehouse of the trials whose best scores are given, and open it.

    Args:
        folder: where to.
        scores: per study and task the best scores, shape (WI seeds, DO seeds); seeds count from 1;
            NaN stands for a trial that is not there.
        statuses: of trials (study, task, WI seed, DO seed) that are not finished. A failed one was
            cut in the middle, so that its best score is lower; a diverged one has NaN losses.
        evaluations: evaluations of a trial, evenly spread over its steps, first and last included.
        steps: optimiser steps of a trial; an epoch has ten.
        seed: of the courses of scores and losses.
    """
    grid = Grid(evaluations, steps, np.random.default_rng(seed))
    for (study, task), matrix in scores.items():
        for (wi, do), best_score in np.ndenumerate(matrix):
            if not np.isnan(best_score):
                trial = (study, task, wi + 1, do + 1)
                status = (statuses or {}).get(trial, Status.FINISHED)
                grid.add(trial, float(best_score), status)
    write(folder, grid.tables(), {"exported_by": "tests"})
    return Warehouse(folder)


@pytest.fixture(scope="session")
def make_warehouse() -> MakeWarehouse:
    return _make_warehouse


@pytest.fixture(scope="session")
def synthetic_scores() -> dict[tuple[str, str], Floats]:
    """Best scores of study `demo` on `cola` (MCC) and `rte` (accuracy), each 5 WI × 4 DO seeds."""
    rng = np.random.default_rng(2020)
    wi, do = 0.03 * rng.standard_normal((5, 1)), 0.02 * rng.standard_normal((1, 4))
    scores = {
        ("demo", task): centre + wi + do + 0.02 * rng.standard_normal((5, 4))
        for task, centre in (("cola", 0.55), ("rte", 0.68))
    }
    scores["demo", "cola"][1, 2] = 0.0  # the diverged one never left the majority baseline
    return scores


@pytest.fixture(scope="session")
def synthetic_warehouse(
    tmp_path_factory: pytest.TempPathFactory, synthetic_scores: dict[tuple[str, str], Floats]
) -> Warehouse:
    """The trials of `synthetic_scores`: 31 evaluations and 30 steps each, 1 diverged, 1 failed."""
    return _make_warehouse(
        tmp_path_factory.mktemp("synthetic") / "warehouse",
        synthetic_scores,
        statuses={
            ("demo", "cola", 2, 3): Status.DIVERGED,
            ("demo", "rte", 4, 1): Status.FAILED,
        },
    )


ChangeTrials = Callable[[Warehouse, Path, Callable[[dict[str, Any]], None]], Warehouse]


@pytest.fixture(scope="session")
def with_trials_changed() -> ChangeTrials:
    """Write a warehouse like another one, in which a function has changed each row of trials."""

    def change(
        warehouse: Warehouse, folder: Path, alter: Callable[[dict[str, Any]], None]
    ) -> Warehouse:
        tables = {name: warehouse.table(name) for name in TABLES}
        rows = tables["trials"].to_pylist()
        for row in rows:
            alter(row)
        tables["trials"] = pa.Table.from_pylist(rows, schema=arrow_schema("trials"))
        write(folder, tables, {"exported_by": "tests"})
        return Warehouse(folder)

    return change


@pytest.fixture(scope="session")
def grid_of() -> Callable[..., TrialScores]:
    """`grid_of(score, task="t")`: trials of a matrix of scores, WI × DO (× dropout seeds).

    Seeds count from 1; NaN is a trial that is not there. The dropout seed follows the data order
    where the matrix has no dimension for it.
    """

    def make(score: Floats, task: str = "t") -> TrialScores:
        wi, do, *dropout = (place + 1 for place in np.nonzero(np.isfinite(score)))
        return TrialScores(
            study="s",
            task=task,
            metric="accuracy",
            regime="best",
            trial_id=np.arange(len(wi)).astype(np.str_),
            wi_seed=wi,
            do_seed=do,
            dropout_seed=dropout[0] if dropout else do,
            score=score[np.isfinite(score)],
        )

    return make


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("empty") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session")
def new_store(_empty_store: Path) -> Callable[[Path], str]:
    """`new_store(folder)` puts an empty SQLite store into a folder; its URI.

    MLflow takes seconds to make one, so it is made once.
    """

    def make(folder: Path) -> str:
        return f"sqlite:///{shutil.copy(_empty_store, folder / 'mlflow.db')}"

    return make


# ── Servers ──────────────────────────────────────────────────────────────────────────────────────
def _binaries() -> Path | None:
    """Return the folder of PostgreSQL's programs, which Debian keeps out of the search path."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


def free_port() -> int:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def _wait_until(answers: Callable[[], object], seconds: float = 180) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            answers()
        except (OSError, subprocess.CalledProcessError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of this session's on loopback, with nothing in it: its URI."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # It refuses to run as root.
    someone = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        if someone:
            shutil.chown(folder, **someone)
        data = Path(folder) / "data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        run: dict[str, Any] = {"cwd": folder, **quiet, **someone}
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "seedbed", "--auth=trust", "--no-sync",
             "--encoding=UTF8", "--locale=C"], check=True, **run,
        )  # fmt: skip
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), "-c", "fsync=off",
             "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="], **run,
        )  # fmt: skip
        try:
            ready: list[str | Path] = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            _wait_until(lambda: subprocess.run(ready, check=True, **run))
            yield f"postgresql://seedbed@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # ends its connections too; SIGTERM waits for them
            server.wait()


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[str, Path], str]]:
    """`serve(store, folder)` starts `mlflow server` over a store; its address. All end with the
    session."""
    servers = []

    def start(store: str, folder: Path) -> str:
        port = free_port()
        servers.append(
            subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port),
                 "--backend-store-uri", store, "--default-artifact-root", str(folder)],
                cwd=folder,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        address = f"http://127.0.0.1:{port}"
        _wait_until(lambda: urlopen(f"{address}/health", timeout=5).close())
        return address

    yield start
    for server in servers:
        server.terminate()
    for server in servers:
        server.wait()
