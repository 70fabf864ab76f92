"""Trials in this process, one after another: for one trial, for tests, and to debug."""

from collections.abc import Generator, Iterable

from finetune.executors.base import Assignment, Report, Supplies
from finetune.executors.worker import Worker


class InlineExecutor:
    """Runs trials in this process."""

    def __init__(self, supplies: Supplies, device: str = "cpu") -> None:
        """Prepare; nothing is loaded before `run`.

        Args:
            supplies: what the trials need.
            device: such as `cpu` or `cuda:0`.
        """
        self._supplies = supplies
        self._device = device
        self._is_stopped = False

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        """Run trials one after another; see `Executor.run`."""
        worker = Worker(self._supplies, self._device)
        for assignment in assignments:
            if self._is_stopped:
                return
            assert assignment is not None, "no trial is running that could be waited for"
            for event in worker.run(assignment, lambda: self._is_stopped):
                yield Report(assignment.trial, event)

    def stop(self) -> None:
        """Pause the trial and end `run`; see `Executor.stop`."""
        self._is_stopped = True
