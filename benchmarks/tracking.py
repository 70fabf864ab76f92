"""How fast metrics reach MLflow, and what share of a trial's time tracking costs.

python benchmarks/tracking.py                             prints both tables
python benchmarks/tracking.py --page docs/benchmarks.md   renews the section of the page as well

Metrics a second: what a user would write, `log_metric` at each step, beside what `finetune run`
does, into a SQLite file and into a tracking server over one. The share: the same trials run with
what happens in them tracked and thrown away. Rounds go through all ways in turn; ratios are taken
within a round, and the tables show their median and range over rounds.
"""

import argparse
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from benchmarks._measuring import add_page, machine, run, show, spread, study, table  # noqa: E402
from finetune import contract  # noqa: E402
from finetune.contract import Status  # noqa: E402
from finetune.events import Ended, Started, Step  # noqa: E402
from finetune.executors import Report  # noqa: E402
from finetune.grid import Plan  # noqa: E402
from finetune.tracking import Tracker  # noqa: E402

OURS = "Seedbed"
THEIRS = "`log_metric` at each step"


def main() -> None:
    """Measure and show."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        speeds = _speeds(Path(folder), arguments)
        share = _share(Path(folder), arguments)
    show(arguments.page, _section(speeds, share, arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways")
    parser.add_argument("--metrics", type=int, default=20_000, help="tracked by Seedbed in a round")
    parser.add_argument("--calls", type=int, default=500, help="of log_metric in a round")
    parser.add_argument("--no-server", action="store_true", help="leave the server out")
    parser.add_argument("--trials", type=int, default=8, help="for the share, in a round")
    parser.add_argument("--epochs", type=int, default=3, help="of each of them")
    parser.add_argument("--workers", type=int, default=2, help="that run them")
    add_page(parser)
    return parser.parse_args()


# ── Metrics a second ─────────────────────────────────────────────────────────────────────────────
def _speeds(folder: Path, arguments: argparse.Namespace) -> str:
    rows = []
    with _server(folder, asked=not arguments.no_server) as uri:
        stores = {"SQLite file": f"sqlite:///{folder}/speed.db"}
        if uri is not None:
            stores["server, one worker"] = uri
        for name, store in stores.items():
            ways: dict[str, Callable[[], float]] = {
                THEIRS: partial(_log_metric, store, arguments.calls),
                OURS: partial(_track, store, arguments.metrics),
            }
            for way in ways.values():
                way()  # warms up
            rounds = [{key: way() for key, way in ways.items()} for _ in range(arguments.rounds)]
            for key in ways:
                speeds = [found[key] for found in rounds]
                ratios = [found[key] / found[THEIRS] for found in rounds]
                rows.append([name, key, spread(speeds, 0), spread(ratios, 1)])
    return table(("store", "way", "metrics a second", "times log_metric"), rows)


def _log_metric(store: str, count: int) -> float:
    """Return metrics a second of one call per metric, as `mlflow.log_metric` makes it."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    name = "log_metric"
    experiment = client.get_experiment_by_name(name)
    experiment_id = (
        client.create_experiment(name) if experiment is None else (experiment.experiment_id)
    )
    run_id = client.create_run(experiment_id).info.run_id
    begun = time.perf_counter()
    for step in range(1, count + 1):
        client.log_metric(run_id, contract.METRIC_TRAIN_LOSS, 1 / step, step=step)
    return count / (time.perf_counter() - begun)


def _track(store: str, count: int) -> float:
    """Return metrics a second of Seedbed's tracker, two trials side by side, all written."""
    laid_out = study(trials=2, epochs=1)
    tracker = Tracker(store)
    for grid in laid_out.grids:
        tracker.prepare(grid)
    trials = laid_out.trials()
    for trial in trials:
        tracker.record(trial, Started({}, {}))
    tracker.settle()
    begun = time.perf_counter()
    for step in range(1, count // 2 + 1):
        for trial in trials:
            tracker.record(trial, Step(step, 1 / step))
    tracker.settle()
    seconds = time.perf_counter() - begun
    for trial in trials:
        tracker.record(trial, Ended(Status.FINISHED))
    tracker.close()
    return count / seconds


@contextmanager
def _server(folder: Path, *, asked: bool) -> Iterator[str | None]:
    """Run a tracking server of one worker over a SQLite file of its own."""
    if not asked:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{folder}/served.db"),
                *("--artifacts-destination", str(folder / "artifacts")),
                *("--host", "127.0.0.1", "--port", str(port)),
            ],
            stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=5):
                break
            if process.poll() is not None:
                raise SystemExit((folder / "server.log").read_text())
            time.sleep(0.5)
        yield uri
    finally:
        os.killpg(process.pid, 15)
        process.wait()


# ── The share of a trial ─────────────────────────────────────────────────────────────────────────
def _share(folder: Path, arguments: argparse.Namespace) -> str:
    laid_out = study(arguments.trials, arguments.epochs)
    _study_seconds(study(1, 1), 1, f"sqlite:///{folder}/warm-up.db")  # with all imported
    without, tracked, ratios, processor, of_a_step = [], [], [], [], []
    for number in range(arguments.rounds):
        # Which goes first takes turns, too.
        found = {}
        for is_tracked in (True, False) if number % 2 else (False, True):
            store = f"sqlite:///{folder}/share-{number}.db" if is_tracked else None
            found[is_tracked] = _study_seconds(laid_out, arguments.workers, store)
        without.append(found[False][0])
        tracked.append(found[True][0])
        ratios.append(100 * (found[True][0] / found[False][0] - 1))
        driver = found[True][1] - found[False][1]
        processor.append(100 * driver / (found[False][0] * arguments.workers))
        of_a_step.append(1000 * driver / found[True][2])
    return table(
        (
            "seconds, not tracked",
            "seconds, tracked",
            "longer by, %",
            "processor time of tracking, % of the workers'",
            "of it for an optimiser step, ms",
        ),
        [[*(spread(each, 1) for each in (without, tracked, ratios, processor)), spread(of_a_step)]],
    )


def _study_seconds(laid_out: Plan, workers: int, store: str | None) -> tuple[float, float, int]:
    """Return how long a study took, what processor time its driving process, and its steps."""
    tracker = None if store is None else Tracker(store)
    if tracker is not None:
        for grid in laid_out.grids:
            tracker.prepare(grid)
    steps = 0

    def listen(report: Report) -> None:
        nonlocal steps
        steps += isinstance(report.event, Step)
        if tracker is not None:
            tracker.record(report.trial, report.event)

    begun = time.process_time()
    seconds = run(laid_out, workers, listen)
    if tracker is not None:
        tracker.close()
    return seconds, time.process_time() - begun, steps


def _section(speeds: str, share: str, arguments: argparse.Namespace) -> str:
    return f"""\
## Tracking

{speeds}

- **Measured**: {arguments.rounds} rounds of {arguments.calls:,} calls of `log_metric`, and of
  {arguments.metrics:,} training losses of two trials that Seedbed is told of, from the first to
  when the store has the last. Medians over rounds, with the range.
- **Server**: `mlflow server` with one worker over a SQLite file, on the same machine.

What tracking costs a trial: {arguments.trials} trials of the built-in encoder, {arguments.epochs}
epochs each, on {arguments.workers} workers, with all that happens tracked in a SQLite file, and
with it thrown away.

{share}

- **Measured**: {arguments.rounds} rounds, each way first in turn; from the first trial's start to
  the last one's end. The built-in encoder is the smallest there is, so its trials have the most
  steps a second, and the share is the largest: of a larger model's step it is the milliseconds of
  the last column, beside those in the table of trials above.
- **Script**: `benchmarks/tracking.py`.
- **Machine**: {machine("mlflow", "torch")}.
"""


if __name__ == "__main__":
    main()
