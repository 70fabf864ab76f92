"""The writer: a thread that brings a journal into the store, however long the store is away."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from finetune.errors import SeedbedError
from finetune.tracking.entries import Entry, Values
from finetune.tracking.journal import Journal
from finetune.tracking.runs import BATCH, Runs
from finetune.tracking.store import Store

_PATIENCE = 5.0
"""Seconds that a metric waits at most before it is written."""

_AT_ONCE = 5 * BATCH
"""Entries taken from the journal at a time."""

_PAUSES = (0.25, 15.0)
"""Seconds before the first further attempt of a call, and at most before any; they double."""

_BEAT = 60.0
"""Seconds between two signs of life in the journal, at most."""

_TUNED_EVERY = 60.0
"""Seconds after which it is looked whether the store has outgrown its statistics."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Waiting:
    """What the store does not have yet.

    Attributes:
        entries: how many.
        seconds: since when the store has taken nothing.
        trouble: why, as far as it is known; None while it is only being written.
        folder: where they wait.
    """

    entries: int
    seconds: float
    trouble: str | None
    folder: Path


class _GivenUp(Exception):  # noqa: N818 — it is no error
    """Nobody waits for the store any longer."""


class Writer:
    """Writes a journal to a store, in a thread of its own, in batches.

    Metrics are written after 5 seconds or 1,000 of them, all else at once. What may pass is tried
    again for ever; all calls are such that trying again does nothing twice.
    """

    def __init__(self, journal: Journal, store: Store, *, is_rest: bool = False) -> None:
        """Start to write.

        Args:
            journal: is the writer's from now on.
            store: where to.
            is_rest: whether the journal is left over from a process that has died.
        """
        self._journal = journal
        self._store = store
        self._runs = Runs(store, self._call, is_rest=is_rest)
        self._changed = threading.Condition()
        self._give_up = threading.Event()
        self._is_closing = False
        self._is_due = is_rest
        self._oldest = self._last_success = self._last_tuned = time.monotonic()
        self._trouble: str | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    @property
    def notes(self) -> list[str]:
        """What could not be written and never will be, in sentences."""
        return self._runs.notes

    @property
    def waiting(self) -> Waiting | None:
        """What the store does not have yet; None where it has all."""
        entries, now = self._journal.waiting, time.monotonic()
        if not entries:
            return None
        since = max(self._oldest, self._last_success)
        return Waiting(entries, now - since, self._trouble, self._journal.folder)

    def put(self, *entries: Entry) -> None:
        """Have entries written; returns as soon as they are in the journal.

        Raises:
            SeedbedError: where the journal cannot be written, or the store refuses for good.
        """
        with self._changed:
            if self._failure is not None:
                with self._store.faults():
                    raise self._failure
            if was_empty := not self._journal.waiting:
                self._oldest = time.monotonic()
            for entry in entries:
                try:
                    self._journal.append(entry)
                except OSError as error:
                    raise SeedbedError(
                        f"journal {self._journal.folder}: cannot be written ({error.strerror}). "
                        "Make room on the disk; the same command then goes on from here."
                    ) from error
                self._is_due |= not isinstance(entry, Values)
            self._is_due |= self._journal.waiting >= BATCH
            if self._is_due or was_empty:
                self._changed.notify_all()

    def take_model(self, trial_id: str, folder: Path) -> Path:
        """Move a model's folder to where it waits to be written; return where that is."""
        return self._journal.take_model(trial_id, folder)

    def settle(self, patience: float) -> bool:
        """Wait until all is written, or nothing could be for so many seconds; return whether."""
        with self._changed:
            self._is_due = True
            self._changed.notify_all()
            begun = time.monotonic()
            while self._journal.waiting and self._failure is None:
                since = max(begun, self._last_success)
                left = since + patience - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.5))
            return not self._journal.waiting

    def close(self, patience: float) -> bool:
        """Settle and end; return whether all is written. What is not stays in the journal."""
        try:
            return self.settle(patience)
        finally:
            with self._changed:
                self._is_closing = True
                self._give_up.set()
                self._changed.notify_all()
            # Where it hangs in a call it is left to it: what that writes can be written again.
            self._thread.join(timeout=1.0)
            self._journal.close()

    # ── In the thread ────────────────────────────────────────────────────────────────────────────
    def _work(self) -> None:
        try:
            while self._wait_until_due():
                self._write_all()
                self._keep_tuned()
        except _GivenUp:
            pass
        except Exception as error:  # noqa: BLE001 — whatever it is, the driver must know of it
            with self._changed:
                self._failure = error
                self._trouble = self._store.reason(error)
                self._changed.notify_all()

    def _wait_until_due(self) -> bool:
        """Wait until something is to be written; return False once nothing will be."""
        with self._changed:
            while not self._is_closing:
                left = self._oldest + _PATIENCE - time.monotonic()
                if self._journal.waiting and (self._is_due or left <= 0):
                    self._is_due = False
                    return True
                self._journal.touch()
                self._changed.wait(min(left, _BEAT) if self._journal.waiting else _BEAT)
            return False

    def _write_all(self) -> None:
        while True:
            with self._changed:
                entries = self._journal.read(_AT_ONCE)
            if not entries:
                return
            self._runs.write(entries)
            with self._changed:
                if self._give_up.is_set():
                    raise _GivenUp
                self._journal.remove(entries)
                self._oldest = time.monotonic()
                self._changed.notify_all()

    def _keep_tuned(self) -> None:
        if time.monotonic() - self._last_tuned >= _TUNED_EVERY:
            self._last_tuned = time.monotonic()
            self._store.analyze()

    def _call(
        self,
        function: Callable[_Parameters, _Result],
        *args: _Parameters.args,
        **kwargs: _Parameters.kwargs,
    ) -> _Result:
        """Call MLflow, again and again while what goes wrong may pass."""
        pause, longest = _PAUSES
        while not self._give_up.is_set():
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                if not self._store.may_pass(error):
                    raise
                self._trouble = self._store.reason(error)
                self._journal.touch()
                self._give_up.wait(pause)
                pause = min(2 * pause, longest)
            else:
                self._trouble = None
                self._last_success = time.monotonic()
                return result
        raise _GivenUp
