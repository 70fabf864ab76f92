"""Slots: places for workers, wherever these are, and how trials are dealt to them."""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from finetune.contract import Status
from finetune.events import Ended, Event, Lost, Paused, Step
from finetune.executors.base import Assignment, Report

_TOGETHER = 25
"""Steps that a worker sends at once, at most."""

_SECONDS_TOGETHER = 1.0
"""Seconds that a step waits to be sent, at most."""

_ATTENTION = 0.2
"""Seconds after which the driver looks up from listening, to see whether it is to stop."""


class DeadError(Exception):
    """A worker has died; the message says how."""


class Slot(ABC):
    """A place for a worker, where there is one while there is something to do.

    Attributes:
        assignment: what the worker does; None where it is free.
    """

    assignment: Assignment | None = None

    @abstractmethod
    def take(self, assignment: Assignment) -> None:
        """Give the worker its next trial; start one where there is none."""

    @abstractmethod
    def receive(self) -> list[Event]:
        """Return the next events, which are there.

        Raises:
            SeedbedError: which the worker met.
            DeadError: where it has died; the next trial that is taken starts another.
        """

    @abstractmethod
    def pause(self) -> None:
        """Ask the worker to pause its trial; one that has not begun to is let go."""

    @abstractmethod
    def dismiss(self) -> None:
        """Let a free worker go."""

    @abstractmethod
    def close(self) -> None:
        """See that the worker ends: soon where it is free, else at once."""


_Slot = TypeVar("_Slot", bound=Slot)


class SlotExecutor(ABC, Generic[_Slot]):
    """Runs trials in the workers of some slots.

    A worker that dies is replaced, and its trial taken up from the state last saved; a trial whose
    workers keep dying is reported as failed.
    """

    def __init__(self, attempts: int) -> None:
        """Prepare; nothing is started before `run`.

        Args:
            attempts: how many workers a trial may cost before it is failed.
        """
        self._attempts = attempts
        self._died = Counter[str]()
        self._is_stopped = False

    @abstractmethod
    def _open(self) -> Sequence[_Slot]:
        """Return the slots; no worker is started yet."""

    @abstractmethod
    def _heard(self, busy: Sequence[_Slot], seconds: float) -> Iterable[_Slot]:
        """Return those of the slots whose workers have something to say; wait for it a little."""

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        """Run trials side by side; see `Executor.run`."""
        left = iter(assignments)
        slots = self._open()
        try:
            while not self._hand_out(left, slots):
                yield from self._listen(slots)
            while busy := [slot for slot in slots if slot.assignment is not None]:
                for slot in slots:
                    if slot.assignment is None:
                        slot.dismiss()
                    elif self._is_stopped:
                        slot.pause()
                yield from self._listen(busy)
        finally:
            for slot in slots:
                slot.close()

    def stop(self) -> None:
        """Pause all trials and end `run`; see `Executor.stop`."""
        self._is_stopped = True

    def _hand_out(self, left: Iterator[Assignment | None], slots: Sequence[_Slot]) -> bool:
        """Give each free worker its next trial; return whether there will be no more."""
        for slot in slots:
            if self._is_stopped:
                return True
            if slot.assignment is None:
                try:
                    upcoming = next(left)
                except StopIteration:
                    return True
                if upcoming is None:
                    busy = any(slot.assignment is not None for slot in slots)
                    assert busy, "no trial is running that could be waited for"
                    return False
                slot.take(upcoming)
        return False

    def _listen(self, slots: Sequence[_Slot]) -> Iterator[Report]:
        """Hear the workers that have something to say, or wait a little."""
        busy = [slot for slot in slots if slot.assignment is not None]
        for slot in self._heard(busy, _ATTENTION):
            assignment = slot.assignment
            assert assignment is not None
            try:
                events = slot.receive()
            except DeadError as death:
                events = self._bury(slot, assignment, str(death))
            for event in events:
                if isinstance(event, Ended | Paused):
                    slot.assignment = None
                yield Report(assignment.trial, event)

    def _bury(self, slot: _Slot, assignment: Assignment, reason: str) -> list[Event]:
        """Return what to say of a trial whose worker died; give it to another where it goes on."""
        trial = assignment.trial.id
        self._died[trial] += 1
        if self._died[trial] >= self._attempts:
            times = "" if self._attempts == 1 else f", the last of {self._attempts}"
            return [Ended(Status.FAILED, f"the worker process died ({reason}){times}")]
        if self._is_stopped:
            slot.assignment = None
        else:
            slot.take(assignment)
        return [Lost(f"the worker process died ({reason})")]


def together(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Put events together for the way to the driver: many small steps, the rest at once."""
    waiting: list[Event] = []
    due = time.monotonic() + _SECONDS_TOGETHER
    for event in events:
        waiting.append(event)
        now = time.monotonic()
        if not isinstance(event, Step) or len(waiting) >= _TOGETHER or now >= due:
            yield waiting
            waiting = []
            due = now + _SECONDS_TOGETHER
