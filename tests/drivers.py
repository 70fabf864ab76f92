"""Driving processes for tests to kill: what they run, and what a store holds in the end."""

import multiprocessing
import random
import signal
from contextlib import suppress
from fractions import Fraction
from multiprocessing.process import BaseProcess

from finetune import contract
from finetune.driver import run, trials_left
from finetune.early_stopping import BestTrials, Rule, Rung, early_stopping
from finetune.executors import InlineExecutor, LocalExecutor, Supplies
from finetune.executors.local import _IMPORTED
from finetune.grid import plan
from finetune.interrupts import stopping_at_first
from finetune.study_file import parse_study
from finetune.tracking import Tracker


def drive(
    study: str,
    store: str,
    *,
    workers: int = 0,
    stop: Rule | None = None,
    retry_failed: bool = False,
) -> None:
    """Run what is left of a study, saving states as often as can be.

    Args:
        study: the text of its file.
        store: the tracking store.
        workers: processes to train in; 0 to train in this one.
        stop: the rule by which trials are stopped early; None for none.
        retry_failed: whether to run those again that failed by themselves.
    """
    laid_out = plan(parse_study(study, "study.yaml"))
    tracker = Tracker(store)
    left = trials_left(laid_out, tracker, retry_failed=retry_failed)
    rules = None if stop is None else dict.fromkeys(laid_out.tasks, stop)
    stopping = None if rules is None else early_stopping(laid_out, rules, left, tracker)
    supplies = Supplies(laid_out.pretrained, laid_out.tasks)
    executor = LocalExecutor(supplies, ["cpu"] * workers) if workers else InlineExecutor(supplies)
    with stopping_at_first(executor.stop):
        reports = run(laid_out, left, executor, tracker, stopping=stopping, save_every=0.0)
        for _ in reports:
            pass


def best_of(trials: int, at: str) -> Rule:
    """Return the paper's rule: so many go on after that share of the training."""
    return Rule((Rung(Fraction(at), BestTrials(trials)),))


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["mlflow", "tests.drivers", *_IMPORTED])


def start(study: str, store: str, *, workers: int = 0, stop: Rule | None = None) -> BaseProcess:
    """Start a driving process, which finds all modules loaded."""
    options = {"workers": workers, "stop": stop}
    process = _CONTEXT.Process(target=drive, args=(study, store), kwargs=options)
    process.start()
    return process


def kill_at_random_moments(
    study: str, store: str, times: int, draw: random.Random, *, stop: Rule | None = None
) -> int:
    """Drive a study with processes that are killed again and again; return how many were.

    The last one is let live.
    """
    killed = 0
    for longest in (0.5, 1.0, 2.0, 4.0, 8.0)[:times]:
        process = start(study, store, stop=stop)
        process.join(timeout=draw.uniform(0.2, longest))
        with suppress(ProcessLookupError):
            process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    process = start(study, store, stop=stop)
    process.join()
    assert process.exitcode == 0
    return killed


Numbers = dict[str, dict[int, float]]
"""The values of each metric by step; of values logged again the last, as the export has it."""


def contents(store: str, study: str) -> dict[str, tuple[str, Numbers]]:
    """Return how each trial of a study ended and all its numbers, by its name."""
    tracker = Tracker(store)
    keys = (
        contract.METRIC_TRAIN_LOSS,
        contract.METRIC_EPOCH,
        contract.METRIC_LOSS,
        contract.METRIC_SCORE,
        contract.METRIC_BEST_SCORE,
    )
    return {
        trial.name: (
            trial.status.value,
            {
                key: {step: value for step, value, _ in _in_time(tracker, trial.run_id, key)}
                for key in keys
            },
        )
        for trial in tracker.trials(study).values()
    }


def _in_time(tracker: Tracker, run_id: str, key: str) -> list[tuple[int, float, float]]:
    return sorted(tracker.history(run_id, key), key=lambda logged: logged[2])
