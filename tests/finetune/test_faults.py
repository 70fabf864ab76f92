"""Faults: processes killed at random moments, and a store that holds what it would have anyway."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from finetune.contract import Status
from finetune.early_stopping import Rule
from finetune.tracking import Tracker
from tests.drivers import best_of, contents, drive, kill_at_random_moments, start

NewStore = Callable[[str], str]

STUDY = """
study: tiny
model: "{model}"
tasks: [entailment]
wi_seeds: 1-2
do_seeds: 1-2
train_examples: 96
validation_examples: 24
recipe: {{epochs: 2, batch_size: 8, learning_rate: 1.0e-3, max_length: 32}}
"""


@pytest.fixture(scope="module")
def study(tiny_encoder: Path) -> str:
    return STUDY.format(model=tiny_encoder)


@pytest.fixture(scope="module")
def expected(study: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a store holds when nothing disturbs the study."""
    store = f"sqlite:///{tmp_path_factory.mktemp('undisturbed') / 'mlflow.db'}"
    drive(study, store)
    found = contents(store, "tiny")
    assert len(found) == 4
    return found


def files(store: str) -> list[str]:
    """What is left beside a store."""
    return sorted(path.name for path in Path(store.removeprefix("sqlite:///")).parent.iterdir())


NOTHING_BUT_THE_STORE = ["mlflow.db", "mlflow.db-shm", "mlflow.db-wal", "mlruns"]


def test_a_study_whose_driver_is_killed_again_and_again_ends_as_if_it_had_not_been(
    study: str, expected: dict[str, Any], new_store: NewStore
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    store = new_store("disturbed")
    killed = kill_at_random_moments(study, store, 3, random.Random(seed))
    assert contents(store, "tiny") == expected, f"seed {seed}"
    assert killed
    assert Tracker(store).running("tiny") == []
    assert set(files(store)) <= set(NOTHING_BUT_THE_STORE)


def test_the_first_interrupt_ends_a_study_cleanly_and_it_goes_on_from_there(
    study: str, expected: dict[str, Any], new_store: NewStore
) -> None:
    store = new_store("interrupted")
    process = start(study, store)
    states = Path(store.removeprefix("sqlite:///")).parent / ".seedbed" / "tiny"
    limit = time.monotonic() + 120
    while not list(states.glob("*/*.safetensors")):
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join()
    assert process.exitcode == 0
    runs = Tracker(store).trials("tiny").values()
    (left,) = (run for run in runs if run.status is not Status.FINISHED)
    assert left.status is Status.INTERRUPTED
    assert len(runs) < 4
    assert [path.parent.name for path in states.glob("*/*.safetensors")] == [left.trial_id]

    drive(study, store)
    assert contents(store, "tiny") == expected
    again = Tracker(store).trials("tiny")[left.trial_id]
    assert again.run_id == left.run_id, "it went on in the same run"
    assert again.error is None


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="has no /proc to find workers in")
def test_the_second_interrupt_ends_a_study_at_once_and_costs_no_number(
    study: str, expected: dict[str, Any], new_store: NewStore
) -> None:
    store = new_store("ended at once")
    process = start(study, store, workers=2)
    assert process.pid is not None
    journals = Path(store.removeprefix("sqlite:///")).parent / ".seedbed"
    limit = time.monotonic() + 120
    while not list(journals.glob("tiny/*/*.safetensors")):
        assert time.monotonic() < limit
        time.sleep(0.01)
    servers = children(process.pid)  # the workers are forked from one
    workers = [worker for server in servers for worker in children(server)]
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)  # so that none can do as the first interrupt asks
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=1)
    assert process.is_alive(), "at the first interrupt it waits for its workers"
    os.kill(process.pid, signal.SIGINT)
    process.join(timeout=30)
    assert process.exitcode == 1, "by the KeyboardInterrupt"
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]

    drive(study, store)
    assert contents(store, "tiny") == expected
    assert Tracker(store).running("tiny") == []


def children(process: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [child, *children(child)]
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="has no /proc to find workers in")
@pytest.mark.parametrize("rule", [None, best_of(2, "0.4")], ids=["to the end", "stopped early"])
def test_drivers_and_workers_killed_at_random_change_nothing_in_the_end(
    study: str, new_store: NewStore, rule: Rule | None
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    undisturbed, disturbed = new_store("undisturbed"), new_store("disturbed")
    drive(study, undisturbed, stop=rule)
    for _ in range(6):
        process = start(study, disturbed, workers=2, stop=rule)
        assert process.pid is not None
        for _ in range(rng.randrange(3)):
            process.join(timeout=rng.uniform(0.5, 4))
            if victims := children(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(rng.choice(victims), signal.SIGKILL)
        process.join(timeout=rng.uniform(0.5, 4))
        process.kill()
        process.join()
    # Killed too often a trial is failed, which is no disturbance of the others.
    drive(study, disturbed, stop=rule, retry_failed=True)
    assert contents(disturbed, "tiny") == contents(undisturbed, "tiny"), f"seed {seed}"
    assert Tracker(disturbed).running("tiny") == []
