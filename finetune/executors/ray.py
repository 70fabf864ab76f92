"""Trials on a Ray cluster, in as many workers as its nodes have room for.

Needs the extra `ray`, here and on every node. What trials need besides must be where the nodes find
it under the same name: the model and the data, from the Hub or on a file system that all share; and
the work folder on such a one, if the trials of a lost node are to go on from where they stood
rather than from their start. A model that is kept comes back through Ray.
"""

import logging
import os
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.errors import SeedbedError
from finetune.events import Ended, Event, SavedModel
from finetune.executors.base import Assignment, Supplies
from finetune.executors.slots import DeadError, Slot, SlotExecutor, together

_AHEAD = 2
"""Answers that a worker is asked for at once, so that it does not wait for the driver."""


class RayExecutor(SlotExecutor["_Slot"]):
    """Runs trials in the actors of a Ray cluster; those of a lost node go on elsewhere."""

    def __init__(
        self,
        supplies: Supplies,
        workers: int | None = None,
        *,
        gpus: float = 0.0,
        address: str | None = None,
        attempts: int = 3,
    ) -> None:
        """Prepare; nothing is started before `run`.

        Args:
            supplies: what each worker needs.
            workers: how many, each with a core of its own; None for all that the cluster has room
                for.
            gpus: what each worker has of a GPU, such as 0.5; none if it is 0.
            address: of the cluster; None for the one that RAY_ADDRESS names or that runs here, or
                else for one of this machine alone.
            attempts: how many workers a trial may cost before it is failed.
        """
        super().__init__(attempts)
        self._supplies = supplies
        self._workers = workers
        self._gpus = gpus
        self._address = address

    def _open(self) -> "list[_Slot]":
        ray = connect(self._address)
        count = self._workers or room(self._gpus)
        supplies = ray.put(self._supplies)
        return [_Slot(supplies, self._gpus) for _ in range(count)]

    def _heard(self, busy: "Sequence[_Slot]", seconds: float) -> "Iterator[_Slot]":
        import ray

        slots = {slot.upcoming: slot for slot in busy}
        if slots:
            ready, _ = ray.wait(list(slots), num_returns=len(slots), timeout=0, fetch_local=False)
            if not ready:
                ready, _ = ray.wait(list(slots), timeout=seconds, fetch_local=False)
            yield from (slots[answer] for answer in ready)


def connect(address: str | None = None) -> Any:
    """Join a Ray cluster, where this process has not yet, and return the module `ray`.

    Raises:
        SeedbedError: where Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A worker on a CPU is not to be told that it has no GPU; Ray is to do so in future.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise SeedbedError(
            "Ray is not installed: pip install 'seedbed[ray]', here and on every node."
        ) from error
    if not ray.is_initialized():
        try:
            _reach(address or os.environ.get("RAY_ADDRESS", ""))
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise SeedbedError(
                f"Ray: {str(error).strip().splitlines()[0]} Start a cluster with `ray start "
                "--head`, or name one in RAY_ADDRESS."
            ) from error
    return ray


def _reach(address: str) -> None:
    """See that somebody answers at an address with a port: Ray itself would try for minutes.

    Raises:
        OSError: where nobody does.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except OSError as error:
            raise OSError(
                f"there is no cluster at {address} ({error.strerror or error})."
            ) from error


def room(gpus: float) -> int:
    """Return how many workers the cluster has room for, each with a core and a share of a GPU.

    Raises:
        SeedbedError: where it has room for none.
    """
    resources = connect().cluster_resources()
    cores, cards = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    # A share of a GPU is always of one: three of a third each, but of 0.4 only two.
    count = min(int(cores), int(cards) * int(1 / gpus) if 0 < gpus <= 1 else int(cores))
    if count < 1:
        raise SeedbedError(
            f"the Ray cluster has {cores:.0f} cores and {cards:.0f} GPUs: no room for a worker "
            f"with a core and {gpus:g} GPUs."
        )
    return count


def share_of_gpu(device: str, per_gpu: int) -> float:
    """Return what each worker has of a GPU.

    Args:
        device: `cpu`, `cuda`, or `auto` for GPUs where the cluster has some.
        per_gpu: how many workers share a GPU.

    Raises:
        SeedbedError: where one device is named: on a cluster Ray chooses.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SeedbedError(f"device {device}: on a Ray cluster say auto, cpu or cuda.")
    has_gpus = connect().cluster_resources().get("GPU", 0.0) > 0
    return 1 / per_gpu if device == "cuda" or (device == "auto" and has_gpus) else 0.0


class _Slot(Slot):
    """A place for an actor, somewhere on the cluster.

    Attributes:
        upcoming: what the actor answers next.
    """

    def __init__(self, supplies: Any, gpus: float) -> None:
        self._supplies = supplies
        self._gpus = gpus
        self._actor: Any = None
        self._answers: deque[Any] = deque()
        self._has_spoken = False
        self._is_pausing = False

    @property
    def upcoming(self) -> Any:
        return self._answers[0]

    def take(self, assignment: Assignment) -> None:
        """Give the actor its next trial; see `Slot.take`."""
        import ray

        if self._actor is None:
            options = {"num_cpus": 1, "num_gpus": self._gpus, "scheduling_strategy": "SPREAD"}
            device = "cuda" if self._gpus else "cpu"
            self._actor = (
                ray.remote(Actor).options(**options).remote(self._supplies, device, Path.cwd())
            )
            self._has_spoken = False
        self.assignment = assignment
        self._actor.begin.remote(assignment)
        self._answers = deque(self._ask() for _ in range(_AHEAD))

    def _ask(self) -> Any:
        return self._actor.advance.remote(pause=self._is_pausing)

    def receive(self) -> list[Event]:
        """Return the next events; see `Slot.receive`."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            events, error, files = ray.get(self._answers.popleft())
        except RayTaskError:
            raise  # a defect
        except RayError as lost:
            self.close()
            raise DeadError(_reason(lost)) from lost
        if error is not None:
            raise error
        self._has_spoken = True
        self._answers.append(self._ask())
        if files is None:
            return list(events)
        return [*events[:-1], self._unpack(events[-1], files)]

    def _unpack(self, ended: Ended, files: dict[str, bytes]) -> Ended:
        """Write the files of a model where they are wanted."""
        assert self.assignment is not None
        assert self.assignment.model is not None
        assert ended.model is not None
        folder = self.assignment.model
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return replace(ended, model=SavedModel(folder, ended.model.step, ended.model.score))

    def pause(self) -> None:
        """Ask the actor to pause its trial; see `Slot.pause`."""
        if not self._has_spoken:
            self.close()
            self.assignment = None
        self._is_pausing = True

    def dismiss(self) -> None:
        """Let the actor go; see `Slot.dismiss`."""
        self.close()

    def close(self) -> None:
        """End the actor."""
        if self._actor is not None:
            import ray

            with suppress(Exception):  # where it has died, or the cluster has
                ray.kill(self._actor)
        self._actor = None
        self._answers.clear()


def _reason(lost: Exception) -> str:
    text = str(lost)
    if "node" in text and ("died" in text or "dead" in text or "terminated" in text):
        return "its node was lost"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else type(lost).__name__


Answer = tuple[list[Event], SeedbedError | None, dict[str, bytes] | None]
"""Events; what keeps the worker from going on; the files of a model that ends with them."""


class Actor:
    """A worker on a node of the cluster: goes on with its trial whenever it is asked to."""

    def __init__(self, supplies: Supplies, device: str, directory: Path) -> None:
        """Load nothing yet.

        Args:
            supplies: what the trials need.
            device: `cpu` or `cuda`.
            directory: the driver's own, in which relative paths are meant; where it is there.
        """
        from finetune.executors.worker import Worker

        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        with suppress(OSError):
            os.chdir(directory)
        self._worker = Worker(supplies, device)
        self._scratch = Path(tempfile.mkdtemp(prefix="seedbed-model-"))
        self._batches: Iterator[list[Event]] = iter(())
        self._is_to_pause = False

    def begin(self, assignment: Assignment) -> None:
        """Take up a trial; nothing happens before `advance`."""
        self._is_to_pause = False
        if assignment.model is not None:
            assignment = replace(assignment, model=self._scratch / assignment.trial.id)
        self._batches = together(self._worker.run(assignment, lambda: self._is_to_pause))

    def advance(self, *, pause: bool = False) -> Answer:
        """Go on until there is something to tell; nothing is where the trial is over.

        Args:
            pause: whether the trial is to pause as soon as it can.
        """
        self._is_to_pause |= pause
        try:
            events = next(self._batches, [])
        except SeedbedError as error:
            return [], error, None
        last = events[-1] if events else None
        if not isinstance(last, Ended) or last.model is None:
            return events, None, None
        folder = last.model.folder
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        shutil.rmtree(folder)
        return events, None, files
