"""What must hold of the rows of a release, whoever made them.

Each law is a query for the rows that break it. What is compared is the released tables alone, so
that a reader could do the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb

from finetune.contract import TASK_METRICS, Status
from release.layout import PARTITIONED, TASK_NAME


@dataclass(frozen=True)
class Law:
    """A law of the rows.

    Attributes:
        breaches: a query that finds what breaks it, each as one line of text.
        says: what is wrong with a breach, to stand before it.
    """

    breaches: str
    says: str


def broken(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Yield a sentence per law that does not hold, with the first breach and how many more.

    Args:
        connection: with views of the three tables, which also have a column `filename`.
    """
    laws = list(_laws())
    # One statement: its parts share what they read of the files.
    parts = (
        f"select {i} as law, count(*) as many, min(breach) as first "  # noqa: S608
        f"from ({law.breaches}) as breaches(breach)"
        for i, law in enumerate(laws)
    )
    sql = f"select * from ({' union all '.join(parts)}) where many > 0 order by law"  # noqa: S608
    for i, many, first in connection.execute(sql).fetchall():
        more = f", and {many - 1:,} more" if many > 1 else ""
        yield f"{laws[i].says} {first}{more}."


def _laws() -> Iterator[Law]:
    yield from _keys()
    yield from _counts()
    yield from _ranges()


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────
def _keys() -> Iterator[Law]:
    yield Law(
        "select trial_id from trials group by trial_id having count(*) > 1",
        "trials: more than one row has the trial_id",
    )
    for table in PARTITIONED:
        yield Law(
            f"select format('{{}} at step {{}}', trial_id, step) from {table} "  # noqa: S608
            "group by trial_id, step having count(*) > 1",
            f"{table}: more than one row is of trial",
        )
        yield Law(
            "select distinct format('{} of {}, {}', trial_id, study, task) "  # noqa: S608
            f"from {table} anti join trials using (trial_id, study, task)",
            f"{table}: trials does not have, of that study and task, the trial",
        )
        yield Law(
            "select distinct format('{} in task={}', task, path_task) "  # noqa: S608
            f"from (select *, {_PATH_TASK} as path_task from {table}) where task <> path_task",
            f"{table}: a file holds rows of another task than its path says:",
        )


_PATH_TASK = f"regexp_extract(filename, '/task=({TASK_NAME.pattern})/[^/]*$', 1)"


# ── Counts ───────────────────────────────────────────────────────────────────────────────────────
def _counts() -> Iterator[Law]:
    for table, column in (("evaluations", "evaluations"), ("train_steps", "steps")):
        yield Law(
            f"select format('{{}}: {{}}, not {{}}', t.trial_id, coalesce(n, 0), t.{column}) "  # noqa: S608
            f"from trials as t left join (select trial_id, count(distinct step) as n "
            f"from {table} group by all) as counted using (trial_id) "
            f"where coalesce(n, 0) <> t.{column}",
            f"{table}: there are not as many as `{column}` says of trial",
        )
    yield Law(
        "select format('{}: from {} to {}', trial_id, min(step), max(step)) from train_steps "
        "group by trial_id having min(step) <> 1 or max(step) <> count(distinct step)",
        "train_steps: the steps are not 1, 2, 3 and so on, without a gap, of trial",
    )
    yield Law(
        "select format('{} at step {}', e.trial_id, e.step) from evaluations as e "
        "join trials as t using (trial_id) where e.step > t.steps",
        "evaluations: the step was never trained, of trial",
    )
    # A score of NaN is never the best.
    yield Law(
        "select format('{} at step {}: {}, not {}', trial_id, step, best_score, best) from ("
        "  select *, max(score) filter (not isnan(score)) over so_far as best from evaluations"
        "  window so_far as (partition by trial_id order by step)"
        ") where best is not null and best_score is distinct from best",
        "evaluations: `best_score` is not the highest score up to there, of trial",
    )
    yield Law(
        "select format('{}: {}, not {}', trial_id, coalesce(t.best_score::varchar, 'none'), "
        "coalesce(best::varchar, 'none')) from trials as t join ("
        "  select trial_id, max(score) filter (not isnan(score)) as best"
        "  from evaluations group by all"
        ") using (trial_id) where t.best_score is distinct from best",
        "trials: `best_score` is not the highest score of its evaluations, of trial",
    )


# ── Ranges ───────────────────────────────────────────────────────────────────────────────────────
_ROUNDING = 1e-9
_SHARE = f"between {-_ROUNDING} and {1 + _ROUNDING}"
_CORRELATION = f"between {-1 - _ROUNDING} and {1 + _ROUNDING}"

_SHARES = ("accuracy", "f1", "accuracy_and_f1")

_RANGES: dict[str, dict[str, str]] = {
    "trials": {
        "status": f"in ({', '.join(repr(str(status)) for status in Status)})",
        **dict.fromkeys(("wi_seed", "do_seed", "dropout_seed"), ">= 0"),
        **dict.fromkeys(("best_score", "last_score", "majority_baseline"), _CORRELATION),
        **dict.fromkeys(("steps", "evaluations", "best_step", "seconds", "weight_decay"), ">= 0"),
        **dict.fromkeys(("total_steps", "steps_per_epoch", "epochs", "batch_size"), ">= 1"),
        **dict.fromkeys(("train_examples", "validation_examples", "labels", "threads"), ">= 1"),
        **dict.fromkeys(("warmup", "dropout"), _SHARE),
        **dict.fromkeys(("learning_rate", "adam_epsilon", "clip_norm"), ">= 0"),
        "max_length": ">= 1",
        "started_at": "> timestamptz '2018-01-01 00:00:00+00'",
    },
    "evaluations": {
        "step": ">= 0",
        "epoch": ">= 0",
        **dict.fromkeys(("score", "best_score"), _CORRELATION),
        **{metric: _SHARE if metric in _SHARES else _CORRELATION for metric in TASK_METRICS},
        "loss": ">= 0",
    },
    "train_steps": {"step": ">= 1", "epoch": "> 0", "loss": ">= 0"},
}
"""Per table and column what its values must be; null is for the schema to allow."""

_MAY_BE_NO_NUMBER = ("best_score", "last_score", "score", "loss", *TASK_METRICS)
"""Columns that are NaN or infinite where a trial diverged, and nowhere in one that finished."""


def _ranges() -> Iterator[Law]:
    for table, columns in _RANGES.items():
        which = "trial_id" if table == "trials" else "format('{} at step {}', trial_id, step)"
        for column, condition in columns.items():
            if column not in _MAY_BE_NO_NUMBER:
                yield _range(table, column, condition, f"{table}", which)
                continue
            number = f"(select * from {table} where isfinite({column}))"  # noqa: S608
            yield _range(table, column, condition, number, which)
            yield Law(
                f"select {which} from {table} where not isfinite({column}) and trial_id in "  # noqa: S608
                f"(select trial_id from trials where status = '{Status.FINISHED}')",
                f"{table}: `{column}` is NaN or infinite, though it finished, of trial",
            )


def _range(table: str, column: str, condition: str, rows: str, which: str) -> Law:
    return Law(
        f"select format('{{}}: {{}}', {which}, {column}) from {rows} "  # noqa: S608
        f"where not ({column} {condition})",
        f"{table}: `{column}` is not {_in_words(condition)}, of trial",
    )


def _in_words(condition: str) -> str:
    words = {_SHARE: "between 0 and 1", _CORRELATION: "between -1 and 1"}
    return words.get(condition) or condition.replace(">= ", "at least ").replace("> ", "above ")
