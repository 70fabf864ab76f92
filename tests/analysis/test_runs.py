"""Reading runs: histories are whole and true, and a store is only ever read."""

import math
import socket
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from random import Random
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from analysis.database import DatabaseReader
from analysis.runs import ClientReader, History, shown
from finetune.errors import SeedbedError

# SQLAlchemy 2.1 warns of something in MLflow's models, once, when MLflow opens its first store.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

LARGEST = 1.7976931348623157e308
"""What MLflow's SQL stores make of infinity."""

logged = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2**41), st.floats(-10, 10)), max_size=30
)


# ── Histories ────────────────────────────────────────────────────────────────────────────────────
@given(logged)
def test_of_each_step_the_value_logged_last_is_kept(values: list[tuple[int, int, float]]) -> None:
    history = _history(values).last_of_each_step()

    last: dict[int, tuple[int, float]] = {}
    for step, timestamp, value in values:
        last[step] = max(last.get(step, (timestamp, value)), (timestamp, value))
    assert history.steps.tolist() == sorted(last)
    assert history.timestamps.tolist() == [last[step][0] for step in sorted(last)]
    assert history.values.tolist() == [last[step][1] for step in sorted(last)]


@given(logged, st.randoms())
def test_nothing_that_was_logged_is_lost_and_its_order_is_one(
    values: list[tuple[int, int, float]], random: Random
) -> None:
    history = _history(values)
    rows = list(zip(*(a.tolist() for a in vars(history).values()), strict=True))

    assert rows == sorted(values)
    random.shuffle(values)
    for name, array in vars(_history(values)).items():
        np.testing.assert_array_equal(array, getattr(history, name))


def test_of_two_values_of_the_same_time_nan_is_the_last() -> None:
    for values in ([1.0, math.nan], [math.nan, 1.0]):
        last = History.from_logged([3, 3], [7, 7], values).last_of_each_step()
        assert np.isnan(last.values).tolist() == [True]


def test_a_history_is_cut_after_a_step() -> None:
    cut = History.from_logged([1, 2, 2, 3], [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4]).up_to(2)

    assert cut.steps.tolist() == [1, 2, 2]
    assert cut.values.tolist() == [0.1, 0.2, 0.3]


def test_nan_and_infinities_are_what_they_were() -> None:
    history = History.from_logged(
        range(5), range(5), [math.nan, LARGEST, -LARGEST, 1.797e308, -0.5]
    )

    assert np.isnan(history.values[0])
    assert history.values[1:].tolist() == [math.inf, -math.inf, 1.797e308, -0.5]


def _history(logged: list[tuple[int, int, float]]) -> History:
    return History.from_logged(*zip(*logged, strict=True)) if logged else _empty()


def _empty() -> History:
    return History.from_logged((), (), ())


# ── Stores that cannot be read ───────────────────────────────────────────────────────────────────
READERS = {"client": ClientReader, "database": DatabaseReader}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> type[ClientReader | DatabaseReader]:
    return READERS[request.param]


def refusal(store: str, reader: type[ClientReader | DatabaseReader] = ClientReader) -> str:
    with pytest.raises(SeedbedError) as refused:
        reader(store)
    return str(refused.value)


def test_a_missing_file_is_not_made(
    reader: type[ClientReader | DatabaseReader], tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"

    assert "no tracking store at" in refusal(f"sqlite:///{file}", reader)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_stays_empty(
    reader: type[ClientReader | DatabaseReader], tmp_path: Path
) -> None:
    file = tmp_path / "mlflow.db"
    file.touch()

    assert "no MLflow store" in refusal(f"sqlite:///{file}", reader)
    assert file.read_bytes() == b""


def test_a_file_that_is_no_database_is_refused(
    reader: type[ClientReader | DatabaseReader], tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to look at" * 100)

    assert "file is not a database" in refusal(f"sqlite:///{file}", reader)


def test_a_store_of_another_mlflow_is_not_migrated(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file)
    for table in ("experiments", "runs", "metrics", "params", "tags"):
        connection.execute(f"create table {table} (id integer)")
    connection.close()
    before = file.read_bytes()

    message = refusal(f"sqlite:///{file}")

    assert "another version of MLflow" in message
    assert f"mlflow db upgrade sqlite:///{file}" in message
    assert file.read_bytes() == before


def test_what_is_no_tracking_uri_is_refused_with_examples() -> None:
    assert "such as sqlite:///mlflow.db" in refusal("mlflow.db")


def test_a_server_that_does_not_answer_is_named_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    message = refusal(f"http://127.0.0.1:{port}")

    assert f"http://127.0.0.1:{port} does not answer" in message


@pytest.fixture
def other_server() -> Iterator[str]:
    """A web server that is not MLflow's."""

    class NotFound(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), NotFound)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_that_is_not_mlflows_is_refused(other_server: str) -> None:
    reader = ClientReader(other_server)

    with pytest.raises(SeedbedError, match="MLflow could not read http://"):
        reader.runs()


def test_a_password_is_never_shown() -> None:
    uri = "postgresql://me:s3cret@localhost:5432/runs"

    assert shown(uri) == "postgresql://me:***@localhost:5432/runs"
    assert shown("sqlite:///a.db") == "sqlite:///a.db"


def test_a_password_is_not_shown_in_what_mlflow_complains_of(
    other_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = other_server.replace("//", "//me:s3cret@") + "/"
    reader = ClientReader(uri)

    def time_out(*_: object, **__: object) -> NoReturn:
        raise MlflowException(f"API request to {uri}api/2.0 failed with timeout exception 120 s.")

    monkeypatch.setattr(MlflowClient, "search_experiments", time_out)
    with pytest.raises(SeedbedError) as refused:
        reader.runs()

    assert "s3cret" not in str(refused.value)
    assert "//me:***@127.0.0.1" in str(refused.value)
    assert "failed with timeout exception 120 s. Check that" in str(refused.value)
