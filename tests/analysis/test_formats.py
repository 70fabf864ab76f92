"""An answer as text: nothing lost where programs read it, nothing misleading where people do."""

import csv
import io
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.formats import FORMATS, Format, encode, format_table

TABLE = pa.table(
    {
        "task": ["rte", "cola", None],
        "n": [5, 1_000, None],
        "score": [0.5, 2 / 3, math.nan],
        "rate": [2e-5, math.inf, None],
        "ok": [True, False, None],
        "at": pa.array(
            [datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC), None, None],
            pa.timestamp("ms", tz="UTC"),
        ),
    }
)


def test_a_terminal_gets_aligned_columns_and_rounded_numbers() -> None:
    assert format_table(TABLE, "table").splitlines() == [
        "task     n   score   rate  ok     at",
        "────  ────  ──────  ─────  ─────  ───────────────────",
        "rte      5  0.5000  2e-05  true   2026-01-02 03:04:05",
        "cola  1000  0.6667    inf  false  null",
        "null  null     NaN   null  null   null",
        "(3 rows)",
    ]


def test_markdown_is_a_table_of_the_same_cells() -> None:
    assert format_table(TABLE, "markdown").splitlines() == [
        "| task | n | score | rate | ok | at |",
        "| --- | ---: | ---: | ---: | --- | --- |",
        "| rte | 5 | 0.5000 | 2e-05 | true | 2026-01-02 03:04:05 |",
        "| cola | 1000 | 0.6667 | inf | false | null |",
        "| null | null | NaN | null | null | null |",
    ]


def test_csv_has_every_digit_and_empty_nulls() -> None:
    assert format_table(TABLE, "csv").splitlines() == [
        "task,n,score,rate,ok,at",
        "rte,5,0.5,2e-05,true,2026-01-02T03:04:05.678000+00:00",
        "cola,1000,0.6666666666666666,inf,false,",
        ",,NaN,,,",
    ]


def test_json_is_an_object_a_row_with_null_for_what_json_has_not() -> None:
    assert json.loads(format_table(TABLE, "json")) == [
        {"task": "rte", "n": 5, "score": 0.5, "rate": 2e-5, "ok": True,
         "at": "2026-01-02T03:04:05.678000+00:00"},
        {"task": "cola", "n": 1000, "score": 2 / 3, "rate": None, "ok": False, "at": None},
        {"task": None, "n": None, "score": None, "rate": None, "ok": None, "at": None},
    ]  # fmt: skip


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(st.lists(st.tuples(texts, st.floats(allow_nan=False)), min_size=1))
def test_csv_is_read_back_as_it_was(rows: list[tuple[str, float]]) -> None:
    table = pa.table({"a": [text for text, _ in rows], "b": [number for _, number in rows]})

    read = list(csv.reader(io.StringIO(format_table(table, "csv"), newline="")))

    assert read[0] == ["a", "b"]
    assert [(text, float(number)) for text, number in read[1:]] == rows


def test_csv_tells_an_empty_string_from_null() -> None:
    table = pa.table({"a": ["", None], "b": [1, 2]})

    assert format_table(table, "csv") == 'a,b\n"",1\n,2'


@given(st.lists(st.tuples(texts, st.floats(allow_nan=False, allow_infinity=False))))
def test_json_is_read_back_as_it_was(rows: list[tuple[str, float]]) -> None:
    table = pa.table(
        {
            "a": pa.array([text for text, _ in rows], pa.string()),
            "b": pa.array([number for _, number in rows], pa.float64()),
        }
    )

    read = json.loads(format_table(table, "json"))

    assert [(row["a"], row["b"]) for row in read] == rows


def test_json_keeps_columns_of_the_same_name_apart() -> None:
    table = pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "a_1"])

    assert json.loads(format_table(table, "json")) == [{"a": 1, "a_2": 2, "a_1": 3}]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.5, 0.25], ["0.50", "0.25"]),
        ([1.0, 3.0], ["1.0", "3.0"]),
        ([0.0], ["0.0"]),
        ([0.123456, 1.0], ["0.1235", "1.0000"]),
        ([2e-5, 0.1], ["2e-05", "0.1"]),
        ([12345678.9], ["1.235e+07"]),
        ([-0.5, math.nan], ["-0.5", "NaN"]),
    ],
)
def test_floats_of_a_column_have_the_same_sensible_digits(
    values: list[float], shown: list[str]
) -> None:
    lines = format_table(pa.table({"x": values}), "table").splitlines()

    assert [line.strip() for line in lines[2 : 2 + len(values)]] == shown


def test_a_long_answer_shows_its_ends_and_says_so() -> None:
    text = format_table(pa.table({"x": range(2_100)}), "table")

    lines = text.splitlines()
    assert [line.strip() for line in lines[2:5]] == ["0", "1", "2"]
    assert [line.strip() for line in lines[31:34]] == ["29", "…", "2070"]
    assert lines[-2].strip() == "2099"
    assert lines[-1] == "(2,100 rows, 60 shown: csv, json and markdown have all)"
    assert len(format_table(pa.table({"x": range(2_100)}), "markdown").splitlines()) == 2_102


def test_an_answer_of_no_rows_still_shows_its_columns() -> None:
    empty = TABLE.slice(0, 0)

    assert format_table(empty, "table").splitlines()[0].split() == TABLE.column_names
    assert format_table(empty, "table").endswith("(no rows)")
    assert format_table(empty, "csv") == "task,n,score,rate,ok,at"
    assert format_table(empty, "json") == "[]"
    assert len(format_table(empty, "markdown").splitlines()) == 2


def test_what_would_break_a_table_does_not() -> None:
    table = pa.table({"a": ["one | two\nthree", "back\\slash"]})

    assert format_table(table, "markdown").splitlines()[2:] == [
        "| one \\| two three |",
        "| back\\\\slash |",
    ]
    assert format_table(table, "table").splitlines()[2] == "one | two three"


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("select sum(x) from range(3) t(x)", 3),
        ("select 0.25", 0.25),
        ("select 1.0", 1.0),
        ("select [1, 2.5]", [1, 2.5]),
        ("select {'a': 1, 'b': ['x']}", {"a": 1, "b": ["x"]}),
        ("select date '2026-01-02'", "2026-01-02"),
        ("select time '03:04:05'", "03:04:05"),
        ("select '\\xAB'::blob", "ab"),
        ("select ['nan'::double]", [None]),
        ("select {'a': 'inf'::double}", {"a": None}),
        ("select interval '2 months 1 day'", [2, 1, 0]),
    ],
)
def test_what_duckdb_can_answer_can_be_written(sql: str, value: Any) -> None:
    with duckdb.connect() as connection:
        answer = connection.sql(sql)
        assert answer is not None
        table = answer.to_arrow_table()

    assert list(json.loads(format_table(table, "json"))[0].values()) == [value]
    for format_ in FORMATS:
        assert format_table(table, format_)


def test_a_decimal_with_decimals_is_a_number() -> None:
    table = pa.table({"x": pa.array([Decimal("1.50")])})

    assert format_table(table, "json") == '[\n{"x": 1.5}\n]'


# ── Files ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_of_text_ends_with_its_last_line(format_: Format) -> None:
    table = pa.table({"x": ["µ"]})

    assert encode(table, format_) == (format_table(table, format_) + "\n").encode("utf-8")


def test_parquet_gives_back_what_was_answered() -> None:
    table = pa.table([[1, None], [math.nan, 0.1], ["a", "b"]], ["x", "y", "x"])

    read = pq.read_table(io.BytesIO(encode(table, "parquet")))

    assert read.column_names == ["x", "y", "x_1"]
    np.testing.assert_equal([c.to_pylist() for c in read], [c.to_pylist() for c in table])


def test_duckdb_finds_the_nans_of_a_parquet_answer(tmp_path: Path) -> None:
    path = tmp_path / "answer.parquet"
    path.write_bytes(encode(pa.table({"score": [0.5, math.nan, 0.7]}), "parquet"))

    found = duckdb.read_parquet(str(path)).filter("isnan(score)").count("*").fetchall()

    assert found == [(1,)]
