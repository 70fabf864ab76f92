"""Trials in this process, one after another: for one trial, for tests, and to debug."""

from collections.abc import Iterable, Iterator

from finetune.executors.base import Report, Supplies, Worker
from finetune.study import Trial


class InlineExecutor:
    """Runs trials in this process."""

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies

    def run(self, trials: Iterable[Trial]) -> Iterator[Report]:
        """Run trials one after another; see `Executor.run`."""
        worker = Worker(self._supplies)
        for trial in trials:
            for event in worker.run(trial):
                yield Report(trial, event)
