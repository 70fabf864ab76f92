"""Claims: which driving process runs which trials, noted in the store, where every other sees it.

Several drivers may work on one study, each on trials of its own. None takes up a trial that another
is running, and none calls a run abandoned whose driver lives.
"""

import base64
import json
import os
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from finetune import contract
from finetune.errors import SeedbedError
from finetune.grid import Grid, Plan
from finetune.study import Trial
from finetune.tracking import Tracker

_BEAT = 30.0
"""Seconds between two signs of life of a driver."""

_SILENCE = 300.0
"""Seconds without one after which a driver of another machine is taken for dead."""


@dataclass(frozen=True)
class Process:
    """A process, told from all others there are or were.

    Attributes:
        host: the name of its machine, for people.
        machine: tells its machine, and the container on it, from others of that name.
        number: its process id.
        born: when it started, as its machine counts; empty where that is not to be had.
    """

    host: str
    machine: str
    number: int
    born: str

    @classmethod
    def own(cls) -> Self:
        """Return this process."""
        host = socket.gethostname()
        return cls(host, _machine(host), os.getpid(), _born(os.getpid()))

    @property
    def is_alive(self) -> bool | None:
        """Whether it still is; None for a process of another machine."""
        if self.machine != _machine(socket.gethostname()):
            return None
        try:
            os.kill(self.number, 0)
        except ProcessLookupError:
            return False
        except OSError:
            pass  # it is somebody else's
        return self.born == _born(self.number)


def _machine(host: str) -> str:
    parts = [host]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _born(number: int) -> str:
    try:
        # The name of the program, in brackets, may hold blanks; the rest are numbers.
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    has_ended = fields[0] in "ZX"  # though its parent has not asked for its exit status
    return "" if has_ended else fields[19]


@dataclass(frozen=True)
class Claim:
    """What a driver has noted in an experiment.

    Attributes:
        process: the driver.
        heard: when it last gave a sign of life, in seconds since the epoch.
        grid: a grid that its trials are of, as JSON.
        chosen: which of the grid's trials are its own: a bit each, compressed.
    """

    process: Process
    heard: float
    grid: str
    chosen: str

    @classmethod
    def on(cls, grid: Grid, trials: Sequence[Trial], process: Process) -> Self:
        """Claim those of the trials that are of the grid."""
        own = {trial.id for trial in trials}
        bits = bytes(trial.id in own for trial in grid.trials())
        chosen = base64.b85encode(zlib.compress(bits, 9)).decode("ascii")
        return cls(process, time.time(), grid.to_json(), chosen)

    @property
    def trials(self) -> frozenset[str]:
        """The ids of the trials claimed."""
        bits = zlib.decompress(base64.b85decode(self.chosen))
        planned = Grid.from_json(self.grid).trials()
        return frozenset(trial.id for trial, bit in zip(planned, bits, strict=True) if bit)

    @property
    def holds(self) -> bool:
        """Whether the driver lives, as far as it can be known from here."""
        is_alive = self.process.is_alive
        return time.time() - self.heard < _SILENCE if is_alive is None else is_alive

    def to_json(self) -> str:
        """Write the claim, for the tag of its experiment."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        return cls(**content | {"process": Process(**content["process"])})


def living_drivers(study: str, tracker: Tracker) -> list[Claim]:
    """Return the claims of the drivers that are at work on a study; nothing is written.

    Args:
        study: its name.
        tracker: the store.
    """
    claims = tracker.notes_of(study, contract.TAG_DRIVER).values()
    return [claim for claim in map(Claim.from_json, claims) if claim.holds]


class Claims:
    """The claims on a study's trials: those of other drivers, and our own."""

    def __init__(self, plan: Plan, trials: Sequence[Trial], tracker: Tracker) -> None:
        """Prepare; nothing is written.

        Args:
            plan: the study.
            trials: those that this process is to run.
            tracker: the store.
        """
        process = Process.own()
        self._tracker = tracker
        self._key = f"{contract.TAG_DRIVER}{secrets.token_hex(4)}"
        self._trials = frozenset(trial.id for trial in trials)
        self._studies = {grid.study for grid in plan.grids}
        self._own = {
            contract.experiment_name(grid.study, grid.task): Claim.on(grid, trials, process)
            for grid in plan.grids
        }

    def check(self) -> None:
        """See that no other driver runs any of our trials.

        Raises:
            SeedbedError: where one does.
        """
        for (experiment, _), claim in self._others():
            shared = len(claim.trials & self._trials)
            if shared:
                heard = round(time.time() - claim.heard)
                raise SeedbedError(
                    f"study {experiment.partition('/')[0]}: {shared} of these trials "
                    f"{'is' if shared == 1 else 'are'} being run by process "
                    f"{claim.process.number} on {claim.process.host}, last heard of {heard} s ago. "
                    "Wait for it or stop it; to divide a study among several, give each --shard. "
                    f"Should that machine have died, its claim ends after {_SILENCE / 60:.0f} "
                    "minutes of silence."
                )

    @contextmanager
    def made(self) -> Iterator[None]:
        """Claim our trials until the block ends, whose experiments are there by now.

        Runs that dead drivers have left as running are noted as interrupted.

        Raises:
            SeedbedError: where another driver runs any of them.
        """
        is_over = threading.Event()
        # Noted before it is looked whether there are others: of two that begin at once, both may
        # give way, but never do both go on.
        self._note(time.time())
        beating = threading.Thread(target=self._beat, args=(is_over,), daemon=True, name="claims")
        try:
            self.check()
            self._close_abandoned()
            beating.start()
            yield
        finally:
            is_over.set()
            if beating.is_alive():
                beating.join(timeout=5)
            with suppress(SeedbedError):
                # Where the store is away, the claim of a process that is no more says nothing.
                self._note(None)

    def _others(self) -> Iterator[tuple[tuple[str, str], Claim]]:
        """Yield the claims of drivers that live; remove those of dead ones."""
        for study in self._studies:
            for (experiment, key), text in self._tracker.notes_of(
                study, contract.TAG_DRIVER
            ).items():
                if key == self._key:
                    continue
                claim = Claim.from_json(text)
                if claim.holds:
                    yield (experiment, key), claim
                else:
                    self._tracker.note(experiment, key, None)

    def _close_abandoned(self) -> None:
        # The runs first: a run that is there now has its driver's claim beside it.
        running = [run for study in self._studies for run in self._tracker.running(study)]
        if running:
            alive = {trial for _, claim in self._others() for trial in claim.trials}
            for run in running:
                if run.trial_id not in alive:
                    self._tracker.abandon(run, "the driving process died")

    def _note(self, heard: float | None) -> None:
        for experiment, claim in self._own.items():
            text = None if heard is None else replace(claim, heard=heard).to_json()
            self._tracker.note(experiment, self._key, text)

    def _beat(self, is_over: threading.Event) -> None:
        while not is_over.wait(_BEAT):
            with suppress(SeedbedError):
                self._note(time.time())
