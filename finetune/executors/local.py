"""Trials in worker processes of this machine, each with the model and the data loaded once."""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from finetune.errors import SeedbedError
from finetune.events import Event
from finetune.executors.base import Assignment, Supplies
from finetune.executors.slots import DeadError, Slot, SlotExecutor, together
from finetune.executors.worker import Worker

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


class LocalExecutor(SlotExecutor["_Slot"]):
    """Runs trials in worker processes of this machine."""

    def __init__(
        self, supplies: Supplies, devices: Sequence[str] = ("cpu",), *, attempts: int = 3
    ) -> None:
        """Prepare; nothing is started before `run`.

        Args:
            supplies: what each worker needs.
            devices: that of each worker, such as `cpu` or `cuda:0`, at least one.
            attempts: how many workers a trial may cost before it is failed.
        """
        super().__init__(attempts)
        self._supplies = supplies
        self._devices = devices

    def _open(self) -> "list[_Slot]":
        return [_Slot(self._supplies, device) for device in self._devices]

    def _heard(self, busy: "Sequence[_Slot]", seconds: float) -> "Iterator[_Slot]":
        lines = {slot.connection: slot for slot in busy}
        for connection in wait([line for line in lines if line is not None], seconds):
            assert isinstance(connection, Connection)
            yield lines[connection]


class _Slot(Slot):
    """A place for a worker on a device: its process, where there is one, and what it does.

    Attributes:
        assignment: what the worker does; None where it is free.
        connection: the driver's end of the line to it; None where there is no process.
    """

    def __init__(self, supplies: Supplies, device: str) -> None:
        self._supplies = supplies
        self._device = device
        self._process: BaseProcess | None = None
        self._has_spoken = False
        self._is_pausing = False
        self.assignment: Assignment | None = None
        self.connection: Connection | None = None

    def take(self, assignment: Assignment) -> None:
        """Give the worker its next trial; start a process where there is none."""
        if self.connection is None:
            self._start()
        assert self.connection is not None
        self.assignment = assignment
        # A worker that has died already is noticed when it is listened to.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(assignment)

    def _start(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        arguments = (theirs, self._supplies, self._device)
        self._process = _context().Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._has_spoken = False

    def receive(self) -> list[Event]:
        """Return the next events.

        Raises:
            SeedbedError: which the worker met.
            DeadError: where it has died.
        """
        assert self.connection is not None
        assert self._process is not None
        try:
            received = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            self.dismiss()
            raise DeadError(
                f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            ) from None
        if isinstance(received, SeedbedError):
            raise received
        self._has_spoken = True
        events: list[Event] = received
        return events

    def pause(self) -> None:
        """Ask the worker to pause its trial; one that has not begun to is let go."""
        if not self._has_spoken:
            self.assignment = None
            self.close()
        elif not self._is_pausing:
            self._is_pausing = True
            with suppress(BrokenPipeError, ConnectionResetError):
                assert self.connection is not None
                self.connection.send(None)

    def dismiss(self) -> None:
        """Let a free worker go; it ends by itself."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def close(self) -> None:
        """See that the process ends: soon where it is free, else at once."""
        is_free = self.assignment is None
        self.dismiss()
        if self._process is not None:
            self._process.join(timeout=10 if is_free and self._has_spoken else 0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process = None


_IMPORTED = (
    "finetune.executors.worker",
    "finetune.training",
    # With all that models and tokenizers of any family have in common.
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
)
"""What a worker needs, and takes seconds to import."""


def _context() -> "SpawnContext | ForkServerContext":
    """Return how processes are started.

    A fork of this process would copy the locks of torch and of the tracking client as they stand,
    and a new process takes seconds to import what a worker needs. So workers are forked from a
    server that has imported it and done nothing else.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_IMPORTED))
    return context


def _work(connection: Connection, supplies: Supplies, device: str) -> None:
    """Run the trials that come through the connection until it is closed."""
    # Ctrl-C reaches every process of the terminal; the driver decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Tokenising would start threads of its own beside the one that computes.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        worker = Worker(supplies, device)
        while True:
            _run(worker, connection.recv(), connection)
    except SeedbedError as error:
        connection.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _run(worker: Worker, assignment: Assignment | None, connection: Connection) -> None:
    """Run a trial and send what happens."""
    if assignment is None:
        return  # It was to pause a trial that had ended by then.
    for events in together(worker.run(assignment, lambda: _is_told_to_pause(connection))):
        connection.send(events)


def _is_told_to_pause(connection: Connection) -> bool:
    """Whether the driver has spoken during a trial, which means that it is to pause."""
    if not connection.poll():
        return False
    try:
        connection.recv()
    except (EOFError, OSError):
        # The driver is gone, and nobody waits for this trial.
        raise SystemExit(1) from None
    return True
