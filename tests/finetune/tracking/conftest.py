"""A small grid, a store for it, and a study played into a tracker without any training."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from finetune import contract
from finetune.contract import Status
from finetune.events import Ended, Evaluation, Started, Step
from finetune.grid import Grid
from finetune.study import Recipe, Trial
from finetune.tracking import Tracker

FACTS: dict[str, int | float | str | None] = {
    "metric": "accuracy",
    "labels": 2,
    "train_examples": 64,
    "validation_examples": 32,
    "steps_per_epoch": 4,
    "total_steps": 4,
    "majority_baseline": 0.5,
}
MACHINE = {
    contract.TAG_DEVICE: "cpu",
    contract.TAG_THREADS: "1",
    contract.TAG_SEEDBED_VERSION: "0",
    contract.TAG_TORCH_VERSION: "0",
    contract.TAG_TRANSFORMERS_VERSION: "0",
    contract.TAG_PYTHON_VERSION: "0",
}


@pytest.fixture(scope="session")
def grid() -> Grid:
    return Grid(
        study="tiny",
        task="reviews",
        model="tiny-encoder",
        model_fingerprint="tiny",
        data_fingerprint="reviews",
        train_limit=None,
        validation_limit=None,
        recipe=Recipe(epochs=1, evaluate="every 2 steps"),
        wi_seeds=(1, 2),
        do_seeds=(3, 4),
        dropout_seeds=None,
    )


@pytest.fixture(scope="session")
def started() -> Callable[..., Started]:
    """Make the event with which a trial starts."""

    def started(time: float = 1e9, step: int = 0) -> Started:
        return Started(FACTS, MACHINE, step=step, time=time)

    return started


@pytest.fixture(scope="session")
def evaluation() -> Callable[..., Evaluation]:
    def evaluation(step: int, score: float, best: float, time: float = 1e9) -> Evaluation:
        metrics = {"accuracy": score}
        return Evaluation(step, step / 4, 0.7, metrics, score, best, constant=False, time=time)

    return evaluation


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory, grid: Grid) -> Path:
    """A store with all of MLflow's tables: making one takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Tracker(f"sqlite:///{path}").prepare(grid)
    return path


@pytest.fixture
def store(empty_store: Path, tmp_path: Path) -> str:
    path = tmp_path / "mlflow.db"
    copy_store(empty_store, path)
    return f"sqlite:///{path}"


@pytest.fixture
def other_store(empty_store: Path, tmp_path: Path) -> str:
    """A second one, to write undisturbed what the first is written to with difficulty."""
    folder = tmp_path / "other"
    folder.mkdir()
    copy_store(empty_store, folder / "mlflow.db")
    return f"sqlite:///{folder}/mlflow.db"


def copy_store(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)


@pytest.fixture
def tracker(store: str, grid: Grid) -> Iterator[Tracker]:
    tracker = Tracker(store)
    tracker.prepare(grid)
    yield tracker
    tracker.close()


Play = Callable[..., None]


@pytest.fixture(scope="session")
def play(started: Callable[..., Started], evaluation: Callable[..., Evaluation]) -> Play:
    """Have trials recorded side by side, as several workers would; the same ones alike always."""

    def play(
        tracker: Tracker,
        trials: Sequence[Trial],
        steps: int = 100,
        until: int | None = None,
        between: Callable[[int], object] = lambda step: None,
    ) -> None:
        for trial in trials:
            tracker.record(trial, started())
            tracker.record(trial, evaluation(0, 0.5, 0.5))
        for step in range(1, (steps if until is None else until) + 1):
            between(step)
            for trial in trials:
                tracker.record(trial, Step(step, trial.wi_seed / step, time=1e9 + step))
        if until is None:
            for trial in trials:
                tracker.record(trial, evaluation(steps, 0.75, 0.75, time=1e9 + steps))
                tracker.record(trial, Ended(Status.FINISHED, time=1e9 + steps + 1))

    return play


@pytest.fixture(scope="session")
def content_of() -> Callable[[str], Any]:
    """Read all that a SQLite store holds of its runs, as it stands in the tables."""

    def content_of(store: str) -> list[Any]:
        path = store.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection:
            runs = connection.execute(
                "select run_uuid, name, status, start_time, end_time from runs "
                "order by name, start_time"
            ).fetchall()

            def rows(columns: str, table: str, run: str) -> list[Any]:
                query = f"select {columns} from {table} where run_uuid = ? order by {columns}"
                return connection.execute(query, (run,)).fetchall()

            return [
                [
                    *run[1:],
                    rows("key, value", "params", run[0]),
                    rows("key, value", "tags", run[0]),
                    rows("key, step, timestamp, value, is_nan", "metrics", run[0]),
                ]
                for run in runs
            ]

    return content_of


@pytest.fixture
def journals() -> Callable[[str], list[Path]]:
    """List the journals that wait beside a SQLite store."""

    def journals(store: str) -> list[Path]:
        folder = Path(store.removeprefix("sqlite:///")).parent / ".seedbed" / "journals"
        return sorted(folder.glob("journal-*"))

    return journals


@pytest.fixture
def recording(grid: Grid) -> Callable[[str], str]:
    """Write a program that records trials into a store and says how far it is, until it is killed.

    It says the number of each step once that is recorded.
    """

    def recording(store: str) -> str:
        return f"""
import time
from finetune import contract
from finetune.contract import Status
from finetune.events import Ended, Started, Step
from finetune.grid import Grid
from finetune.tracking import Tracker

grid = Grid.from_json({json.dumps(grid.to_json())})
tracker = Tracker({store!r})
tracker.prepare(grid)
done, open = grid.trials()[:2]
for trial in (done, open):
    tracker.record(trial, Started({{}}, {{}}, time=1e9))
for step in range(1, 100_000):
    if step <= 10:
        tracker.record(done, Step(step, 1.0, time=1e9 + step))
    if step == 10:
        tracker.record(done, Ended(Status.FINISHED, time=2e9))
    tracker.record(open, Step(step, 1.0, time=1e9 + step))
    print(step, flush=True)
    time.sleep(0.001)
"""

    return recording
