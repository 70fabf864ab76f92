"""Trials in this process, one after another: for one trial, for tests, and to debug."""

from collections.abc import Iterable, Iterator

from finetune.executors.base import Assignment, Report, Supplies, Worker


class InlineExecutor:
    """Runs trials in this process."""

    def __init__(self, supplies: Supplies) -> None:
        self._supplies = supplies

    def run(self, assignments: Iterable[Assignment]) -> Iterator[Report]:
        """Run trials one after another; see `Executor.run`."""
        worker = Worker(self._supplies)
        for assignment in assignments:
            for event in worker.run(assignment):
                yield Report(assignment.trial, event)
