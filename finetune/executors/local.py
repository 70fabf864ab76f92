"""Trials in worker processes of this machine, each with the model and the data loaded once."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Event, Step
from finetune.executors.base import Assignment, Report, Supplies, Worker
from finetune.study import Trial

_STEPS_TOGETHER = 25
"""Steps that a worker sends at once: a second or so of a small model's training."""


class LocalExecutor:
    """Runs trials in worker processes.

    A worker that dies takes its trial with it, which is reported as failed; another replaces it.
    """

    def __init__(self, supplies: Supplies, workers: int) -> None:
        """Prepare; nothing is started before `run`.

        Args:
            supplies: what each worker needs.
            workers: how many processes, at least 1.
        """
        self._supplies = supplies
        self._workers = workers

    def run(self, assignments: Iterable[Assignment]) -> Iterator[Report]:
        """Run trials side by side; see `Executor.run`."""
        left = iter(assignments)
        workers: dict[Connection, _WorkerProcess] = {}
        try:
            for assignment in islice(left, self._workers):
                self._start(workers, assignment)
            while workers:
                for connection in wait(list(workers)):
                    assert isinstance(connection, Connection)
                    worker = workers[connection]
                    events = worker.receive()
                    for event in events:
                        yield Report(worker.trial, event)
                    if not isinstance(events[-1], Ended):
                        continue
                    upcoming = next(left, None)
                    if upcoming is not None and worker.process.is_alive():
                        worker.take(upcoming)
                        continue
                    workers.pop(connection).stop()
                    if upcoming is not None:
                        self._start(workers, upcoming)
        finally:
            for worker in workers.values():
                worker.stop(at_once=True)

    def _start(self, workers: dict[Connection, "_WorkerProcess"], assignment: Assignment) -> None:
        """Start a worker with its first trial."""
        # Spawned, not forked: a fork would copy the locks of torch and the tracking client as
        # they stand.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._supplies), daemon=True)
        process.start()
        theirs.close()
        workers[ours] = _WorkerProcess(process, ours, assignment.trial)
        workers[ours].take(assignment)


@dataclass
class _WorkerProcess:
    """The driver's end of a worker: its process, its connection and the trial that it runs."""

    process: BaseProcess
    connection: Connection
    trial: Trial

    def take(self, assignment: Assignment) -> None:
        """Give the worker its next trial."""
        self.trial = assignment.trial
        # A worker that has died already is noticed when it is listened to.
        with suppress(BrokenPipeError):
            self.connection.send(assignment)

    def receive(self) -> list[Event]:
        """Return the next events; where the worker has died, one that says so.

        Raises:
            SeedbedError: which the worker met when it loaded the model or the data.
        """
        try:
            received = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            code = self.process.exitcode or 0
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            return [Ended(Status.FAILED, f"the worker process died ({how})")]
        if isinstance(received, SeedbedError):
            raise received
        events: list[Event] = received
        return events

    def stop(self, *, at_once: bool = False) -> None:
        """Let the worker go; it ends by itself once it has nothing to do."""
        self.connection.close()
        self.process.join(timeout=0 if at_once else 10)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


def _work(connection: Connection, supplies: Supplies) -> None:
    """Run the trials that come through the connection until it is closed."""
    # Ctrl-C reaches every process of the terminal; the driver decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Tokenising would start threads of its own beside the one that computes.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        worker = Worker(supplies)
        while True:
            _run(worker, connection.recv(), connection)
    except SeedbedError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError):
        return


def _run(worker: Worker, assignment: Assignment, connection: Connection) -> None:
    waiting: list[Event] = []
    for event in worker.run(assignment):
        waiting.append(event)
        # Steps are many and small: they travel together, the rest at once.
        if not isinstance(event, Step) or len(waiting) >= _STEPS_TOGETHER:
            connection.send(waiting)
            waiting = []
