"""The contract of the readers: whichever way a store is read, what was logged comes out, and alike.

Each claim is put to a SQLite file and to PostgreSQL, both through the database and through MLflow's
client, and to a real tracking server over HTTP.
"""

import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric

from analysis.database import DatabaseReader
from analysis.export import ExportSummary, export, export_from
from analysis.runs import ClientReader, Unread
from analysis.warehouse import Warehouse
from finetune.contract import (
    METRIC_BEST_SCORE,
    METRIC_EPOCH,
    METRIC_LOSS,
    METRIC_SCORE,
    METRIC_TRAIN_LOSS,
    TAG_TRIAL_ID,
    Status,
    experiment_name,
)
from finetune.errors import SeedbedError
from tests.logged_runs import (
    BEGINNING,
    BROKEN,
    LONG,
    RUNNING,
    SPECIAL,
    TRIALS_IN_STORE,
    Logged,
    Memory,
    Run,
    contents,
    fill,
    log,
)

ROOT = Path(__file__).resolve().parents[2]

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

Reader = type[DatabaseReader | ClientReader]
NewStore = Callable[[Path], str]


@pytest.fixture(scope="session")
def sqlite_store(new_store: NewStore, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("store")
    uri = new_store(folder)
    fill(uri, folder)
    return uri


@pytest.fixture(scope="session")
def postgresql_store(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    fill(postgresql, tmp_path_factory.mktemp("artifacts"))
    return postgresql


@pytest.fixture(scope="session")
def server(
    sqlite_store: str,
    serve: Callable[[str, Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(sqlite_store.removeprefix("sqlite:///"), folder / "mlflow.db")
    return serve(f"sqlite:///{folder / 'mlflow.db'}", folder)


WAYS: dict[str, tuple[str, Reader]] = {
    "sqlite, database": ("sqlite_store", DatabaseReader),
    "sqlite, client": ("sqlite_store", ClientReader),
    "postgresql, database": ("postgresql_store", DatabaseReader),
    "postgresql, client": ("postgresql_store", ClientReader),
    "server, client": ("server", ClientReader),
}


@dataclass(frozen=True)
class Way:
    """A store, how it is read, and what came out of it."""

    uri: str
    reader: Reader
    summary: ExportSummary
    warehouse: Warehouse


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(way, marks=() if way.startswith("sqlite") else pytest.mark.slow)
        for way in WAYS
    ],
)
def way(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Way:
    store, reader = WAYS[request.param]
    uri = request.getfixturevalue(store)
    summary = export_through(reader, uri, tmp_path_factory.mktemp("exported") / "warehouse")
    return Way(uri, reader, summary, Warehouse(summary.folder))


def export_through(reader: Reader, uri: str, folder: Path) -> ExportSummary:
    with closing(reader(uri)) as opened:
        return export_from(opened, uri, folder)


# ── The contract ─────────────────────────────────────────────────────────────────────────────────
def test_a_store_gives_what_was_logged_in_it(way: Way, tmp_path: Path) -> None:
    """MLflow gives back what was logged: as if the runs had been read from memory."""
    export_from(Memory(*TRIALS_IN_STORE), "memory", tmp_path / "warehouse")
    of_memory = Warehouse(tmp_path / "warehouse")

    for name in ("evaluations", "train_steps"):
        np.testing.assert_equal(
            way.warehouse.table(name).to_pylist(), of_memory.table(name).to_pylist()
        )
    for row, expected in zip(
        way.warehouse.table("trials").to_pylist(),
        of_memory.table("trials").to_pylist(),
        strict=True,
    ):
        ended = row["status"] != "running"
        assert row == expected | {"run_id": row["run_id"], "seconds": 9.5 if ended else None}


def test_every_run_of_a_store_is_accounted_for(way: Way) -> None:
    summary = way.summary

    assert summary.runs == len(TRIALS_IN_STORE) + 2  # a failed one run again, and a broken one
    assert (summary.trials, summary.superseded) == (len(TRIALS_IN_STORE), 1)
    assert [(run.run_name, run.reason) for run in summary.left_out] == [
        (BROKEN.name, "its param epochs is missing")
    ]
    assert summary.relogged == 1
    assert summary.evaluations == sum(len(run.scores) for run in TRIALS_IN_STORE)
    assert summary.train_steps == sum(len(run.losses) for run in TRIALS_IN_STORE)
    assert way.warehouse.manifest["rows"] == {
        "trials": summary.trials,
        "evaluations": summary.evaluations,
        "train_steps": summary.train_steps,
        "unmapped": summary.unmapped,
    }
    logged = sum(len(run.logged()) for run in TRIALS_IN_STORE)
    assert way.warehouse.manifest["source"]["metric_values"] == logged


def test_what_was_deleted_or_is_not_ours_stays_out(way: Way) -> None:
    assert way.warehouse.studies() == ["first", "second"]
    assert "first-cola-9-9" not in way.warehouse.table("trials")["trial_id"].to_pylist()


def test_nan_and_infinities_come_out_as_what_they_were(way: Way) -> None:
    losses = way.warehouse.query(
        "select loss from train_steps where trial_id = ? order by step", [SPECIAL.trial_id]
    )

    np.testing.assert_equal(losses["loss"].to_pylist(), [0.9, math.inf, -math.inf, math.nan])


def test_a_trial_that_is_being_trained_is_there_as_far_as_it_is(way: Way) -> None:
    [row] = way.warehouse.query(
        "select status, steps, seconds from trials where trial_id = ?", [RUNNING.trial_id]
    ).to_pylist()

    assert row == {"status": "running", "steps": len(RUNNING.losses), "seconds": None}


def test_every_way_to_read_a_store_gives_the_same_bytes(way: Way, tmp_path: Path) -> None:
    other = ClientReader if way.reader is DatabaseReader else way.reader

    again = export_through(other, way.uri, tmp_path / "warehouse")

    assert contents(again.folder) == contents(way.summary.folder)


def test_a_server_gives_the_bytes_of_its_store_in_pages_and_parallel(
    sqlite_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = export_through(DatabaseReader, sqlite_store, tmp_path / "expected")
    monkeypatch.setattr("analysis.runs._PAGE", 3)
    monkeypatch.setattr(
        "mlflow.tracking._tracking_service.client.GET_METRIC_HISTORY_MAX_RESULTS", 100
    )

    paged = export_through(ClientReader, sqlite_store, tmp_path / "paged")

    assert contents(paged.folder) == contents(expected.folder)


def test_the_way_is_chosen_by_the_store(
    sqlite_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.export.ClientReader", None)

    assert export(sqlite_store, tmp_path / "warehouse").trials == len(TRIALS_IN_STORE)


class Busy:
    """Stands before a server, and answers some requests with "service unavailable".

    Args:
        server: where requests are passed on to.
        refuses: says by the number of a request, from 1, and its path whether it is not passed on.

    Attributes:
        address: where it stands.
        refused: how many requests it did not pass on.
        most: how many requests were under way at the same time, at most.
    """

    def __init__(self, server: str, refuses: Callable[[int, str], bool]) -> None:
        self.refused = self.most = self._asked = self._under_way = 0
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:  # noqa: N805
                with lock:
                    self._asked += 1
                    is_refused = refuses(self._asked, handler.path)
                    self.refused += is_refused
                    self._under_way += 1
                    self.most = max(self.most, self._under_way)
                try:
                    handler.answer(is_refused)
                finally:
                    with lock:
                        self._under_way -= 1

            do_POST = do_GET  # noqa: N815

            def answer(handler, is_refused: bool) -> None:  # noqa: N805
                length = int(handler.headers.get("Content-Length") or 0)
                body = handler.rfile.read(length) or None
                status, content = 503, b"busy"
                if not is_refused:
                    kind = {"Content-Type": "application/json"}
                    asked = Request(server + handler.path, body, kind, method=handler.command)
                    with urlopen(asked, timeout=60) as answer:
                        status, content = answer.status, answer.read()
                handler.send_response(status)
                handler.send_header("Content-Length", str(len(content)))
                handler.end_headers()
                handler.wfile.write(content)

            def log_message(handler, format: str, *args: object) -> None:  # noqa: A002, N805
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have MLflow's client ask again without the pauses that it makes."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0.1")


@pytest.mark.slow
@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_is_busy_is_asked_again_by_several_at_a_time(
    server: str, sqlite_store: str, tmp_path: Path
) -> None:
    expected = export_through(DatabaseReader, sqlite_store, tmp_path / "expected")

    with closing(Busy(server, lambda number, _: number % 3 == 0)) as busy:
        found = export_through(ClientReader, busy.address, tmp_path / "found")

    assert contents(found.folder) == contents(expected.folder)
    assert busy.refused > 20
    assert 2 <= busy.most <= 8


@pytest.mark.slow
@pytest.mark.usefixtures("quick_retries")
def test_a_run_that_a_server_never_gives_is_named_and_the_others_exported(
    server: str, tmp_path: Path
) -> None:
    [refused] = [
        run for run in ClientReader(server).runs() if run.tags[TAG_TRIAL_ID] == LONG.trial_id
    ]

    with closing(Busy(server, lambda _, path: "get-history" in path and refused.id in path)) as it:
        summary = export_through(ClientReader, it.address, tmp_path / "warehouse")

    assert it.refused > len(refused.metrics), "it was asked again"
    left_out = {run.run_id: run.reason for run in summary.left_out}
    assert left_out[refused.id].endswith("could not be read (too many 503 error responses)")
    assert len(left_out) == 2, "and the broken one"
    assert summary.trials == len(TRIALS_IN_STORE) - 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_goes_away_ends_the_export_and_leaves_the_last_one(
    server: str, tmp_path: Path
) -> None:
    folder = export_through(ClientReader, server, tmp_path / "warehouse").folder
    before = contents(folder)
    asked: list[str] = []

    def goes_away(_: int, path: str) -> bool:
        asked.append(path)
        return len([path for path in asked if "get-history" in path]) > 20

    with (
        closing(Busy(server, goes_away)) as busy,
        pytest.raises(SeedbedError) as ended,
    ):
        export_through(ClientReader, busy.address, folder)

    assert str(ended.value) == (
        f"MLflow could not read {busy.address}: too many 503 error responses. "
        "Check that this is the store of your runs, and that you may read it."
    )
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse"]


# ── What is logged while a store is read ─────────────────────────────────────────────────────────
@pytest.fixture(params=["database", "client"])
def small_store(
    request: pytest.FixtureRequest, new_store: NewStore, tmp_path: Path
) -> tuple[str, Reader, list[str]]:
    """A store of two running trials: its URI, a reader's class and the runs' ids."""
    uri = new_store(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment(experiment_name("demo", "rte"), str(tmp_path))
    runs = [Run(do_seed=do, status=Status.RUNNING) for do in (1, 2)]
    ids = [log(client, experiment, run) for run in runs]
    return uri, DatabaseReader if request.param == "database" else ClientReader, ids


WRITER = """
import json, sqlite3, sys
from contextlib import closing
from mlflow import MlflowClient
from mlflow.entities import Metric
for line in sys.stdin:
    uri, run, metrics = json.loads(line)
    try:
        if metrics:
            MlflowClient(uri).log_batch(run, [Metric(*metric) for metric in metrics])
        else:  # within 2 seconds or not at all, where MLflow's would wait for 20
            with closing(sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=2)) as connection:
                connection.execute("insert or replace into tags values ('note', 'x', ?)", [run])
                connection.commit()
        print("written", flush=True)
    except Exception as error:
        print(error, flush=True)
"""


@pytest.fixture(scope="session")
def write() -> Iterator[Callable[[str, str, list[Logged]], str]]:
    """`write(uri, run, metrics)` writes to a store in another process; `written`, or the error.

    Two copies of SQLite in one process do not see each other's locks.
    """
    with subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        reports, orders = process.stdout, process.stdin

        def order(uri: str, run: str, metrics: list[Logged]) -> str:
            print(json.dumps([uri, run, metrics]), file=orders, flush=True)
            return reports.readline().strip()

        yield order
        process.stdin.close()


Write = Callable[[str, str, list[Logged]], str]


def set_wal(uri: str, has_wal: bool) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        [mode] = connection.execute(f"pragma journal_mode = {'wal' if has_wal else 'delete'}")
    assert mode == ("wal" if has_wal else "delete",)


@pytest.mark.parametrize("has_wal", [True, False], ids=["wal", "no wal"])
def test_what_is_logged_after_the_runs_were_listed_waits_for_the_next_export(
    small_store: tuple[str, Reader, list[str]],
    has_wal: bool,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, reader, ids = small_store
    monkeypatch.setattr("analysis.database.SECONDS_TO_BLOCK", 0.0)
    set_wal(uri, has_wal)

    with closing(reader(uri)) as opened:
        runs = opened.runs()
        late = 2_000_000_000_000
        new = [(METRIC_TRAIN_LOSS, 0.1, late, 7), ("new", 0.1, late, 7), (METRIC_SCORE, 1, late, 8)]
        for id_ in ids:
            assert write(uri, id_, new) == "written"
        found = [histories for _, histories in opened.histories(runs)]

    run = Run(status=Status.RUNNING)
    for histories in found:
        assert not isinstance(histories, Unread)
        assert sum(map(len, histories.values())) == len(run.logged())
        assert "new" not in histories


@pytest.mark.slow
def test_postgresql_tells_of_a_later_value_of_an_earlier_step(
    postgresql_store: str, tmp_path: Path
) -> None:
    """As SQLite does, see `test_last_export`: so the next export reads the run again."""
    client = MlflowClient(postgresql_store)
    # It has no trials, so that the other claims about this store do not see it.
    experiment = client.create_experiment("marked", str(tmp_path))
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("loss", 0.5, BEGINNING + step, step) for step in (1, 2)])

    def mark() -> str | None:
        with closing(DatabaseReader(postgresql_store)) as reader:
            return next(each.mark for each in reader.runs(lambda name: name == "marked")
                        if each.id == run)  # fmt: skip

    before = mark()
    assert mark() == before
    client.log_batch(run, [Metric("loss", 0.4, BEGINNING - 1, 1)])
    assert mark() != before


@pytest.mark.parametrize("has_wal", [True, False], ids=["wal", "no wal"])
def test_an_export_never_holds_up_the_trainer(
    small_store: tuple[str, Reader, list[str]],
    has_wal: bool,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, reader, ids = small_store
    monkeypatch.setattr("analysis.database.SECONDS_TO_BLOCK", 0.0)
    set_wal(uri, has_wal)

    with closing(reader(uri)) as opened:
        runs = opened.runs()
        histories = opened.histories(runs)
        reports = [write(uri, ids[0], []) for _ in histories]

    assert reports == ["written"] * len(runs)


# ── Export ∘ log = identity ──────────────────────────────────────────────────────────────────────
values = st.floats(width=64) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0])
times = st.integers(0, 2**41)
logged = st.dictionaries(
    st.tuples(st.integers(1, 40)), st.tuples(values, times), min_size=1, max_size=12
)


@st.composite
def studies_of_runs(draw: st.DrawFn) -> list[Run]:
    """Trials of any scores, losses and further metrics, each in some order of logging."""
    runs = []
    for do_seed in range(1, draw(st.integers(1, 3)) + 1):
        extra = draw(st.lists(st.tuples(st.sampled_from(["lr", "µ/ü"]), values, times,
                                        st.integers(-3, 3)), max_size=6))  # fmt: skip
        scores = draw(st.lists(st.floats(-1, 1) | st.just(math.nan), max_size=4))
        losses = draw(st.lists(values, max_size=6))
        runs.append(
            Run(
                do_seed=do_seed,
                scores=tuple(scores),
                losses=tuple(losses),
                more=tuple(extra),
                status=draw(st.sampled_from([Status.FINISHED, Status.RUNNING, Status.DIVERGED])),
                params={"note": draw(st.text(st.characters(codec="utf-8", exclude_characters="\0",
                                                           exclude_categories=["Cs"]),
                                             min_size=1, max_size=5))},
            )
        )  # fmt: skip
    return runs


LARGEST = 1.7976931348623157e308
"""What MLflow's stores make of infinity."""


@pytest.fixture(scope="session")
def property_store(new_store: NewStore, tmp_path_factory: pytest.TempPathFactory) -> MlflowClient:
    return MlflowClient(new_store(tmp_path_factory.mktemp("property")))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=studies_of_runs())
def test_what_is_exported_is_what_was_logged(
    property_store: MlflowClient, runs: list[Run], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is logged comes out once, in some table; and both readers agree on it."""
    folder = tmp_path_factory.mktemp("identity")
    study = folder.name
    runs = [replace(run, study=study) for run in runs]
    experiment = property_store.create_experiment(f"{study}/rte", str(folder))
    for run in runs:
        log(property_store, experiment, run)

    export(property_store.tracking_uri, folder / "w", studies=[study])
    warehouse = Warehouse(folder / "w")

    for run in runs:
        np.testing.assert_equal(exported_values(warehouse, run.trial_id), logged_values(run))
        [text] = warehouse.query(
            "select text from unmapped where trial_id = ? and key = 'note'", [run.trial_id]
        )["text"].to_pylist()
        assert text == run.params["note"]
    with closing(ClientReader(property_store.tracking_uri)) as reader:
        export_from(reader, "store", folder / "client", [study])
    assert contents(folder / "client") == contents(folder / "w")


Values = Mapping[str, list[tuple[int, float, datetime]]]


def logged_values(run: Run) -> Values:
    """Return what a run logged: by key its steps, values and times, by step and then time."""
    found: dict[str, set[Any]] = {}
    for key, value, at, step in run.logged():
        kept = math.copysign(math.inf, value) if abs(value) >= LARGEST else value
        # As a text, in which NaN equals NaN; MLflow does not keep the sign of 0.
        found.setdefault(key, set()).add((step, at, repr(kept + 0.0)))
    return {key: sorted(rows) for key, rows in sorted(found.items())}


def exported_values(warehouse: Warehouse, trial_id: str) -> Values:
    """Return the same of a trial, out of all tables."""
    columns = {
        METRIC_EPOCH: ("evaluations", "epoch"),
        METRIC_LOSS: ("evaluations", "loss"),
        METRIC_SCORE: ("evaluations", "score"),
        METRIC_BEST_SCORE: ("evaluations", "best_score"),
        "eval/accuracy": ("evaluations", "accuracy"),
        METRIC_TRAIN_LOSS: ("train_steps", "loss"),
    }
    parts = [
        f"select '{key}' as key, step, epoch_ms(logged_at) as at, {column} as value from {table} "
        "where trial_id = $id"
        for key, (table, column) in columns.items()
    ]
    parts.append(
        "select key, step, epoch_ms(logged_at), value from unmapped "
        "where trial_id = $id and kind = 'metric'"
    )
    found: dict[str, list[Any]] = {}
    for row in warehouse.query(" union all ".join(parts), {"id": trial_id}).to_pylist():
        found.setdefault(row["key"], []).append((row["step"], row["at"], repr(row["value"] + 0.0)))
    return {key: sorted(rows) for key, rows in sorted(found.items())}


# ── What an export leaves behind ─────────────────────────────────────────────────────────────────
def test_the_same_store_gives_the_same_bytes(sqlite_store: str, tmp_path: Path) -> None:
    one, other = (export(sqlite_store, tmp_path / name) for name in ("one", "other"))

    assert contents(one.folder) == contents(other.folder)


def test_an_export_prints_nothing_and_leaves_nothing_beside_the_warehouse(
    sqlite_store: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from analysis.export import export;"
        "export(sys.argv[1], Path('warehouse'))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, sqlite_store],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert (done.stdout, done.stderr) == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse"]


def test_a_store_is_only_read(sqlite_store: str, tmp_path: Path) -> None:
    file = Path(sqlite_store.removeprefix("sqlite:///"))
    before = file.read_bytes()

    export(sqlite_store, tmp_path / "warehouse")

    assert file.read_bytes() == before
    assert [path.name for path in file.parent.glob("mlflow.db*")] == ["mlflow.db"]


def test_a_folder_of_something_else_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(SeedbedError, match="is not a warehouse, so it is not overwritten"):
        export("sqlite:///not-there.db", tmp_path)

    assert (tmp_path / "thesis.tex").read_text() == "years of work"
