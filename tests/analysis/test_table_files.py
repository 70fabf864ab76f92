"""A table's file has the same bytes however its rows come, and gives each trial's rows back."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import table_files
from analysis.schema import arrow_schema
from analysis.table_files import TableWriter, TrialReader, file_of


def steps_of(trials: list[tuple[str, int]]) -> pa.Table:
    """Return rows of `train_steps`: of each trial so many."""
    rows = [
        {"trial_id": trial, "study": "s", "task": "t", "step": step, "loss": step / 7,
         "epoch": None, "logged_at": step}
        for trial, count in trials
        for step in range(count)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema("train_steps"))


def written(path: Path, parts: list[pa.Table]) -> bytes:
    with TableWriter(path, "train_steps") as file:
        for part in parts:
            file.add(part)
    return path.read_bytes()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 500), max_size=8))
def test_how_the_rows_come_does_not_change_the_bytes(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_files, "ROWS_PER_GROUP", 64)
        folder = tmp_path_factory.mktemp("cuts")
        table = steps_of([("a", 200), ("b", 300)])
        places = [0, *sorted(cuts), 500]
        parts = [table.slice(i, j - i) for i, j in pairwise(places)]

        assert written(folder / "parts", parts) == written(folder / "whole", [table])

    groups = pq.ParquetFile(folder / "whole").metadata
    sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert sizes == [64] * 7 + [52]
    assert pq.ParquetFile(folder / "whole").read() == table


def test_no_rows_are_no_file(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "deep" / "file", "train_steps") as file:
        file.add(steps_of([]))

    assert list(tmp_path.iterdir()) == []
    assert file.rows == 0


def test_the_rows_of_each_trial_are_given_back_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_files, "ROWS_PER_GROUP", 64)
    counts = {"a": 3, "c": 200, "d": 1, "f": 64}
    written(tmp_path / "file", [steps_of(list(counts.items()))])

    reader = TrialReader(tmp_path / "file", "train_steps")

    for trial in ("a", "b", "c", "f", "g"):  # two without rows, and one left out
        rows = reader.take("s", trial)
        assert rows == steps_of([(trial, counts.get(trial, 0))])


def test_where_there_is_no_file_no_trial_has_rows(tmp_path: Path) -> None:
    assert TrialReader(tmp_path / "nothing", "train_steps").take("s", "a").num_rows == 0


@pytest.mark.parametrize("task", ["rte", "a/b", "..", "ünï", "100%", ""])
def test_every_task_has_a_file_of_its_own_within_the_folder(task: str) -> None:
    path = file_of("evaluations", task)

    assert len(path.parts) == 3
    assert path.parts[0] == "evaluations"
    assert np.unique([str(file_of("evaluations", t)) for t in ("a/b", "a%2Fb", "a b")]).size == 3
