"""A real tracking server that stops answering, is killed, and comes back: nothing is lost by it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from finetune.errors import SeedbedError
from finetune.grid import Grid
from finetune.tracking import Tracker

pytestmark = pytest.mark.slow

Play = Callable[..., None]
Content = Callable[[str], Any]


class Server:
    """`mlflow server` over a SQLite file, in a process group of its own."""

    def __init__(self, store: str, folder: Path) -> None:
        self._store = store
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server"),
                    *("--backend-store-uri", self._store),
                    *("--artifacts-destination", str(self._folder / "artifacts")),
                    *("--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"),
                ],
                stdout=log,
                stderr=log,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            time.sleep(0.3)
        raise AssertionError((self._folder / "server.log").read_text())

    def send(self, number: signal.Signals) -> None:
        """Send all of its processes a signal."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(store: str, tmp_path: Path) -> Iterator[Server]:
    server = Server(store, tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def expected(other_store: str, grid: Grid, play: Play, content_of: Content) -> Any:
    tracker = Tracker(other_store)
    tracker.prepare(grid)
    play(tracker, grid.trials(), steps=600)
    assert tracker.close()
    return content_of(other_store)


def test_a_server_that_stops_answering_and_one_that_is_killed_cost_nothing(
    server: Server,
    store: str,
    grid: Grid,
    play: Play,
    content_of: Content,
    expected: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    tracker = Tracker(server.uri)
    tracker.prepare(grid)
    longest = 0.0
    last = time.monotonic()

    def between(step: int) -> None:
        nonlocal longest, last
        longest = max(longest, time.monotonic() - last)
        time.sleep(0.01)
        match step:
            case 100:
                server.send(signal.SIGSTOP)
            case 250:  # hung for longer than a request waits, which is then made again
                time.sleep(5)
                server.send(signal.SIGCONT)
            case 400:
                server.kill()
        last = time.monotonic()

    play(tracker, grid.trials(), steps=600, between=between)
    assert longest < 1, "a trial waited for the server"
    waiting = tracker.waiting
    assert waiting is not None
    assert waiting.entries >= 4 * 200
    server.start()
    assert tracker.close(patience=60)
    assert content_of(store) == expected


def test_a_server_that_does_not_come_back_gets_all_when_the_study_is_next_run(
    server: Server,
    store: str,
    grid: Grid,
    play: Play,
    content_of: Content,
    expected: Any,
    recording: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(server.uri)
    tracker.prepare(grid)
    play(tracker, grid.trials()[:2], steps=600)
    server.kill()
    play(tracker, grid.trials()[2:], steps=600)
    assert not tracker.close(patience=1)
    with pytest.raises(SeedbedError, match=r"the server does not answer; .* entries wait for it"):
        tracker.trials("tiny")
    with pytest.raises(SeedbedError, match="server"):
        Tracker(server.uri).catch_up()
    server.start()
    again = Tracker(server.uri)
    assert again.left_behind() == again.catch_up() > 0
    assert content_of(store) == expected
    assert not (tmp_path / ".seedbed").exists()


def test_a_driver_that_is_killed_while_the_server_is_away_loses_nothing(
    server: Server,
    store: str,
    grid: Grid,
    recording: Callable[[str], str],
    content_of: Content,
    tmp_path: Path,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", recording(server.uri)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )
    assert process.stdout is not None
    said = int(process.stdout.readline())
    server.kill()
    while said < 2000:
        said = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    said = max([said, *(int(line) for line in process.stdout if line.endswith("\n"))])
    process.wait()
    process.stdout.close()
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert Tracker(server.uri).catch_up() >= said
    done, running = (trial.name for trial in grid.trials()[:2])
    steps = {run[0]: [step for _, step, *_ in run[-1]] for run in content_of(store)}
    assert steps[done] == list(range(1, 11))
    assert steps[running] == list(range(1, len(steps[running]) + 1))
    assert len(steps[running]) >= said
