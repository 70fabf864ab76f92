"""How fast a study leaves MLflow, beside the ways that people leave it today.

python benchmarks/export.py                       on a store of the paper's size: 2,100 trials
python benchmarks/export.py --trials 40           on a small one, to try it out
python benchmarks/export.py --page docs/benchmarks.md    renews the section of the page as well

The store is generated; it is measured as MLflow leaves it, and as `finetune.tracking` keeps it.
Each export is a process of its own, imports included, and its memory that process's highest. The
loop over `search_runs` and `get_metric_history` would run for half an hour: it is measured on a
sample of runs, drawn at random, and multiplied by the number of values. So is mlflow-export-import,
where its package is named by --export-import; it has to be installed by itself:
pip install --no-deps --target FOLDER mlflow-export-import tabulate
"""

import argparse
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from analysis.warehouse import Warehouse  # noqa: E402
from benchmarks._measuring import add_page, machine, show, spread, table  # noqa: E402
from benchmarks._store import PAPER, generate  # noqa: E402
from finetune.contract import METRIC_SCORE, METRIC_TRAIN_LOSS  # noqa: E402

EXPORT = """
import json, resource, sys, time
began = time.perf_counter()
from pathlib import Path
from analysis.export import export
summary = export(sys.argv[1], Path(sys.argv[2]))
print(json.dumps({
    "seconds": time.perf_counter() - began,
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    "read": summary.read, "left_out": len(summary.left_out), "trials": summary.trials,
}))
"""

EXPORT_IMPORT = """
import sys
from mlflow import MlflowClient
from mlflow_export_import.run.export_run import RunExporter
exporter = RunExporter(MlflowClient())
for number, run in enumerate(sys.argv[2:]):
    exporter.export_run(run, f"{sys.argv[1]}/{number}")
"""


@dataclass
class Line:
    """A line of the table.

    Attributes:
        what: what was done.
        goal: how long it should take at most, as text.
        remark: what it was measured on.
        seconds: how long it took, of each time.
        beside: how many times as long as the full export of the tuned store in the same round.
    """

    what: str
    goal: str = ""
    remark: str = ""
    seconds: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)

    def cells(self) -> list[str]:
        """Return its cells, as text."""
        ratio = spread(self.beside, 1 if min(self.beside) < 10 else 0) if self.beside else ""
        return [self.what, spread(self.seconds), self.goal, ratio, self.remark]


# ── Stores ───────────────────────────────────────────────────────────────────────────────────────
def stores(folder: Path, trials: int) -> tuple[Path, Path]:
    """Generate a store; return it as MLflow leaves it, and a copy as tracking keeps it."""
    total = sum(size.seeds**2 for size in PAPER)
    share = (trials / total) ** 0.5
    sizes = tuple(replace(size, seeds=max(1, round(size.seeds * share))) for size in PAPER)
    raw, tuned = folder / "raw.db", folder / "tuned.db"
    generate(raw, sizes)
    shutil.copy(raw, tuned)
    with closing(sqlite3.connect(tuned)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("ANALYZE")
    return raw, tuned


def uri(file: Path) -> str:
    """Return the tracking URI of a SQLite store."""
    return f"sqlite:///{file}"


def runs_of(file: Path) -> dict[str, int]:
    """Return how many values each run has."""
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT run_uuid, count(*) FROM metrics GROUP BY run_uuid")
        return dict(rows.fetchall())


# ── Ways out ─────────────────────────────────────────────────────────────────────────────────────
def export(file: Path, warehouse: Path) -> dict[str, float]:
    """Export in a process of its own; return its seconds, its megabytes and what it read."""
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, uri(file), str(warehouse)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    assert not found["left_out"]
    return found


def loop(file: Path, runs: list[str]) -> float:
    """Return the seconds of what people write: a request per run and metric."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(file))
    client.search_experiments()
    began = time.perf_counter()
    for id_ in runs:
        run = client.get_run(id_)
        for key in run.data.metrics:
            [(m.step, m.value, m.timestamp) for m in client.get_metric_history(id_, key)]
    return time.perf_counter() - began


def export_import(file: Path, runs: list[str], packages: Path, folder: Path) -> float:
    """Return the seconds of mlflow-export-import on some runs, less its start."""

    def seconds(chosen: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", EXPORT_IMPORT, str(folder), *chosen],
            env=os.environ | {"PYTHONPATH": str(packages), "MLFLOW_TRACKING_URI": uri(file)},
            cwd=folder,
            capture_output=True,
            check=True,
        )
        return time.perf_counter() - began

    return seconds(runs) - seconds([])


# ── The chart of `mlflow ui` ─────────────────────────────────────────────────────────────────────
@contextmanager
def serving(file: Path) -> Iterator[str]:
    """Run `mlflow server` over a store; give its address."""
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port),
         "--backend-store-uri", uri(file)],
        cwd=file.parent,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait()


def charts(file: Path, runs: list[str], times: int = 5) -> list[float]:
    """Return the seconds that the page waits for the losses of ten runs, of ten others each time.

    Args:
        file: the store.
        runs: ten for each time, and one more for the page to have been open for a while.
        times: how often.
    """

    def ask(address: str, metric: str, chosen: list[str]) -> None:
        asked = [("run_ids", run) for run in chosen]
        asked += [("metric_key", metric), ("max_results", "320")]
        path = f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?{urlencode(asked)}"
        with urlopen(address + path, timeout=600) as answer:
            assert json.load(answer)["metrics"]

    with serving(file) as address:
        ask(address, METRIC_SCORE, runs[-1:])
        measured = []
        for first in range(0, 10 * times, 10):
            began = time.perf_counter()
            ask(address, METRIC_TRAIN_LOSS, runs[first : first + 10])
            measured.append(time.perf_counter() - began)
        return measured


# ── Questions ────────────────────────────────────────────────────────────────────────────────────
def questions(warehouse: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the pivots and curves of the report, and how to put each to the warehouse."""
    opened = Warehouse(warehouse)
    study, *_ = opened.studies()
    task = opened.tasks(study)[-1]
    both = {"study": study, "task": task}
    yield "the WI × DO pivot of all tasks", lambda: opened.query("from seed_grid")
    yield "the curves of all trials", lambda: opened.query("from curves")
    yield "the best score of each trial", lambda: opened.query("from best_scores")
    for name in ("training_curves", "trial_scores"):
        yield f"{name}.sql, {task}", partial(opened.ask, name, both)
    yield "overview.sql", lambda: opened.ask("overview")
    sql = "select task, step // 100 as at, avg(loss) from train_steps group by all"
    yield "the mean loss of all steps by task", lambda: opened.query(sql)


def seconds_of(do: Callable[[], object], times: int = 5) -> list[float]:
    """Return what some times took; the first, which warms up, is left out."""
    measured = []
    for _ in range(times + 1):
        began = time.perf_counter()
        do()
        measured.append(time.perf_counter() - began)
    return measured[1:]


# ── All of it ────────────────────────────────────────────────────────────────────────────────────
def exports(arguments: argparse.Namespace, raw: Path, tuned: Path, folder: Path) -> list[Line]:
    """Measure the ways out of both stores in turn, some rounds of them all."""
    values = runs_of(raw)
    total = sum(values.values())
    rng = random.Random(0)
    sampled = f"{arguments.sample} runs a round, multiplied"
    full, whole = Line("full export, store tuned", "10 s"), Line("full export, store untuned")
    again = Line("second export, nothing new", "1 s")
    loops = Line("loop of requests, store tuned", "", sampled)
    untuned = Line("loop of requests, store untuned", "", sampled)
    others = Line("mlflow-export-import, store tuned", "", sampled)
    most = 0.0
    for turn in range(arguments.rounds):
        chosen = rng.sample(sorted(values), min(arguments.sample, len(values)))
        share = sum(values[run] for run in chosen) / total
        first = export(tuned, folder / f"tuned-{turn}")
        second = export(tuned, folder / f"tuned-{turn}")
        assert not second["read"]
        measured = [
            (full, first["seconds"]),
            (whole, export(raw, folder / f"raw-{turn}")["seconds"]),
            (again, second["seconds"]),
            (loops, loop(tuned, chosen) / share),
            (untuned, loop(raw, chosen) / share),
        ]
        if arguments.export_import:
            packages = arguments.export_import.absolute()
            measured.append((others, export_import(tuned, chosen, packages, folder) / share))
        for line, seconds in measured:
            line.seconds.append(seconds)
            if line is not full and line is not again:
                line.beside.append(seconds / first["seconds"])
            print(f"{seconds:9.2f} s  {line.what}", flush=True)
        most = max(most, first["megabytes"])
    full.remark = f"{first['trials']:,.0f} trials, {total:,} values; {most:.0f} MB at most"
    return [line for line in (full, whole, again, loops, untuned, others) if line.seconds]


def measure(arguments: argparse.Namespace, folder: Path) -> list[Line]:
    """Return the lines of the table."""
    raw, tuned = stores(folder, arguments.trials)
    lines = exports(arguments, raw, tuned, folder)
    values = runs_of(raw)
    longest = sorted(values, key=lambda run: -values[run])[:51]
    lines += [
        Line("chart of ten runs, store tuned", "0.5 s", "", charts(tuned, longest)),
        Line("chart of ten runs, store untuned", "", "", charts(raw, longest)),
    ]
    for name, do in questions(folder / "tuned-0"):
        lines.append(Line(name, "0.3 s", "", seconds_of(do)))
    return lines


def section(lines: list[Line], arguments: argparse.Namespace) -> str:
    """Return the section of the page."""
    head = ("what", "seconds", "at most", "times the full export", "measured on")
    return f"""\
## Leaving MLflow

{table(head, [line.cells() for line in lines])}

- **Store**: generated, in SQLite; untuned is as MLflow leaves it, tuned as Seedbed's tracking keeps
  it (write-ahead log, statistics for the planner).
- **Measured**: {arguments.rounds} rounds of all exports in turn, each a process of its own with its
  imports; each question six times, the first left out. Medians with the range.
- **Loop of requests**: `get_run` and `get_metric_history` for each of its metrics.
- **Chart**: of the training losses of ten of the longest runs, the answer that the page of
  `mlflow ui` waits for; five times, of other runs each time.
- **Script**: `benchmarks/export.py`.
- **Machine**: {machine("mlflow", "duckdb", "pyarrow")}.
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=2_100, help="of the generated store")
    parser.add_argument("--sample", type=int, default=10, help="runs that the slow ways read")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all exports")
    parser.add_argument("--export-import", type=Path, help="folder with mlflow-export-import")
    add_page(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = measure(arguments, Path(folder))
    show(arguments.page, section(lines, arguments))


if __name__ == "__main__":
    main()
