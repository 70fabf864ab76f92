"""Each law of the rows holds of what was recorded, and one breach of it is found and named."""

import duckdb
import pyarrow as pa
import pytest

from finetune.contract import TABLES
from release.laws import broken

Tables = dict[str, pa.Table]


@pytest.fixture
def database(tables: Tables) -> duckdb.DuckDBPyConnection:
    """The three tables, to be spoilt; each row knows the file that it would stand in."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for name in TABLES:
        connection.register("given", tables[name])
        connection.execute(
            f"create table {name} as "
            f"select *, format('data/{name}/task={{}}/{name}.parquet', task) as filename from given"
        )
    return connection


def test_every_law_holds_of_what_was_recorded(database: duckdb.DuckDBPyConnection) -> None:
    assert list(broken(database)) == []


# What is done to the rows, and all that is said of it.
BREACHES = {
    "delete from train_steps where trial_id = 'cola11' and step = 4": [
        "train_steps: there are not as many as `steps` says of trial cola11: 3, not 4.",
    ],
    "delete from train_steps where trial_id = 'cola11' and step = 2": [
        "train_steps: there are not as many as `steps` says of trial cola11: 3, not 4.",
        "train_steps: the steps are not 1, 2, 3 and so on, without a gap, of trial cola11: "
        "from 1 to 4.",
    ],
    "update train_steps set step = step + 1 where trial_id = 'cola11'": [
        "train_steps: the steps are not 1, 2, 3 and so on, without a gap, of trial cola11: "
        "from 2 to 5.",
    ],
    "delete from train_steps where trial_id = 'cola11'": [
        "train_steps: there are not as many as `steps` says of trial cola11: 0, not 4.",
    ],
    "delete from evaluations where trial_id = 'rte12' and step = 0": [
        "evaluations: there are not as many as `evaluations` says of trial rte12: 2, not 3.",
    ],
    "update evaluations set step = 9 where trial_id = 'rte12' and step = 4": [
        "evaluations: the step was never trained, of trial rte12 at step 9.",
    ],
    "update evaluations set best_score = 0.9 where trial_id = 'rte12' and step = 2": [
        "evaluations: `best_score` is not the highest score up to there, of trial rte12 at step 2: "
        "0.9, not 0.52.",
    ],
    "update trials set best_score = 0.63 where trial_id = 'rte12'": [
        "trials: `best_score` is not the highest score of its evaluations, of trial rte12: "
        "0.63, not 0.62.",
    ],
    "update trials set best_score = null where trial_id = 'rte12'": [
        "trials: `best_score` is not the highest score of its evaluations, of trial rte12: "
        "none, not 0.62.",
    ],
    "update trials set status = 'done' where trial_id = 'rte12'": [
        "trials: `status` is not in ('running', 'finished', 'diverged', 'stopped_early', 'failed', "
        "'interrupted'), of trial rte12: done.",
    ],
    "update trials set wi_seed = -1 where trial_id = 'rte12'": [
        "trials: `wi_seed` is not at least 0, of trial rte12: -1.",
    ],
    "update trials set dropout = 10 where trial_id = 'rte12'": [
        "trials: `dropout` is not between 0 and 1, of trial rte12: 10.0.",
    ],
    "update trials set majority_baseline = 66.4 where trial_id = 'rte12'": [
        "trials: `majority_baseline` is not between -1 and 1, of trial rte12: 66.4.",
    ],
    "update trials set started_at = timestamptz '1970-01-01 00:00:00+00'": [
        "trials: `started_at` is not above timestamptz '2018-01-01 00:00:00+00', of trial cola11: "
        "1970-01-01 00:00:00+00, and 7 more.",
    ],
    "update evaluations set accuracy = 62 where trial_id = 'rte12' and step = 4": [
        "evaluations: `accuracy` is not between 0 and 1, of trial rte12 at step 4: 62.0.",
    ],
    "update evaluations set matthews_correlation = -0.2, accuracy = null": [],
    "update evaluations set loss = -0.1 where trial_id = 'rte12' and step = 4": [
        "evaluations: `loss` is not at least 0, of trial rte12 at step 4: -0.1.",
    ],
    "update evaluations set loss = 'inf' where trial_id = 'rte12' and step = 4": [
        "evaluations: `loss` is NaN or infinite, though it finished, of trial rte12 at step 4.",
    ],
    "update train_steps set loss = 'nan' where trial_id = 'rte12' and step = 4": [
        "train_steps: `loss` is NaN or infinite, though it finished, of trial rte12 at step 4.",
    ],
    "update train_steps set loss = 'nan' where trial_id = 'rte22'": [],
    "update train_steps set epoch = 0 where trial_id = 'rte12' and step = 4": [
        "train_steps: `epoch` is not above 0, of trial rte12 at step 4: 0.0.",
    ],
}


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_found_and_named(database: duckdb.DuckDBPyConnection, breach: str) -> None:
    database.execute(breach)
    found = list(broken(database))
    assert found == BREACHES[breach]


def test_a_score_of_nan_is_never_the_best(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(
        "update trials set status = 'diverged', best_score = 0.52 where trial_id = 'rte12'"
    )
    database.execute("update evaluations set score = 'nan', best_score = 0.52 "
                     "where trial_id = 'rte12' and step = 4")  # fmt: skip
    assert list(broken(database)) == []
