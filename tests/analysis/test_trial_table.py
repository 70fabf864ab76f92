"""A table says what its cells say, by whatever names its columns go."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import trial_table
from analysis.trial_table import FIELDS, TrialTable
from finetune.contract import Status
from finetune.errors import SeedbedError


def table_of(folder: Path, text: str) -> TrialTable:
    file = folder / "table.csv"
    file.write_text(text, encoding="utf-8")
    return trial_table.read(file, columns={}, values={}, percent=False)


def test_fields_are_the_columns_of_the_contract_that_say_something_of_a_trial() -> None:
    assert {"task", "wi_seed", "do_seed", "dropout_seed", "score", "step", "epochs"} <= set(FIELDS)
    assert not {"best_score", "run_id", "started_at", "study"} & set(FIELDS)


@pytest.mark.parametrize(
    "header",
    [
        "task,wi_seed,do_seed,step,score",
        "params.task,params.wi_seed,params.do_seed,step,metrics.score",
        "config/task,config/wi_seed,config/do_seed,_step,summary/score",
        " Task,WI_seed,DO_seed,global_step,Score ",
    ],
)
def test_columns_are_found_by_the_names_that_trackers_give_them(
    tmp_path: Path, header: str
) -> None:
    table = table_of(tmp_path, f"{header}\nrte,3,4,10,0.5\n")
    ((where, row),) = table.rows
    assert where == "line 2"
    assert (row["task"], row["wi_seed"], row["do_seed"]) == ("rte", 3, 4)
    assert (row["step"], row["score"]) == (10, 0.5)
    assert table.has_steps
    assert list(table.columns.values()) == header.split(",")[:3] + header.split(",")[3:]


def test_a_column_of_the_very_name_goes_before_those_that_are_like_it(tmp_path: Path) -> None:
    text = "run_id,trial_id,config.task,task,wi_seed,do_seed,score\na,b,cola,rte,1,1,0.5\n"
    table = table_of(tmp_path, text)
    assert (table.rows[0][1]["trial_id"], table.rows[0][1]["task"]) == ("b", "rte")
    assert table.unused == ("run_id", "config.task")


def test_cells_are_of_the_types_of_their_fields(tmp_path: Path) -> None:
    said = {
        "wi_seed": "1.0", "do_seed": "-2", "score": "1e-1", "epochs": "", "dropout": "null",
        "bias_correction": "False", "status": "Completed", "learning_rate": "nan", "loss": "NaN",
    }  # fmt: skip
    text = "task," + ",".join(said) + "\nrte," + ",".join(said.values()) + "\n"
    ((_, row),) = table_of(tmp_path, text).rows
    assert (row["wi_seed"], row["do_seed"], row["score"]) == (1, -2, 0.1)
    assert (row["epochs"], row["dropout"], row["learning_rate"]) == (None, None, None)
    assert row["bias_correction"] is False
    assert row["status"] is Status.FINISHED
    assert np.isnan(row["loss"])


def test_a_byte_order_mark_and_empty_lines_are_no_data(tmp_path: Path) -> None:
    table = table_of(tmp_path, "\ufefftask,wi_seed,do_seed,score\n\nrte,1,1,0.5\n\n")
    assert [where for where, _ in table.rows] == ["line 3"]


def test_quoted_cells_may_hold_commas_and_line_breaks(tmp_path: Path) -> None:
    text = 'task,wi_seed,do_seed,score,note\n"r,te",1,1,0.5,"two\nlines"\nrte,1,2,0.5,\n'
    table = table_of(tmp_path, text)
    assert [row["task"] for _, row in table.rows] == ["r,te", "rte"]
    assert [where for where, _ in table.rows] == ["line 3", "line 4"]
    assert table.unused == ("note",)


@pytest.mark.parametrize("text", ["1.5", "one", "9" * 30, "1e400", "0x1"])
def test_what_is_no_whole_number_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SeedbedError, match=r"line 2: wi_seed is .*, which is no whole number"):
        table_of(tmp_path, f"task,wi_seed,do_seed,score\nrte,{text},1,0.5\n")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seeds=st.tuples(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32)),
    score=st.floats(-1, 1),
)
def test_numbers_come_back_as_they_were_written(
    tmp_path: Path, seeds: tuple[int, int], score: float
) -> None:
    text = f"task,wi_seed,do_seed,score\nrte,{seeds[0]},{seeds[1]},{score!r}\n"
    ((_, row),) = table_of(tmp_path, text).rows
    assert (row["wi_seed"], row["do_seed"], row["score"]) == (*seeds, score)
