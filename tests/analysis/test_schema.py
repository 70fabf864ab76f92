"""The schemas say what the contract says."""

import pyarrow as pa
import pytest

from analysis.schema import SORT_KEYS, VERSION_KEY, arrow_schema, released_schema, tables_markdown
from finetune.contract import SCHEMA_VERSION, TABLES, WAREHOUSE_TABLES


@pytest.mark.parametrize("table", TABLES)
def test_a_schema_has_the_contracts_columns_in_its_order(table: str) -> None:
    assert arrow_schema(table).names == [column.name for column in TABLES[table]]


@pytest.mark.parametrize("table", TABLES)
def test_only_columns_that_a_trial_may_lack_are_nullable(table: str) -> None:
    nullable = {field.name for field in arrow_schema(table) if field.nullable}

    assert nullable == {column.name for column in TABLES[table] if column.nullable}


def test_types_are_those_of_the_contract() -> None:
    schema = arrow_schema("trials")

    assert schema.field("best_step").type == pa.int64()
    assert schema.field("best_score").type == pa.float64()
    assert schema.field("bias_correction").type == pa.bool_()
    assert schema.field("trial_id").type == pa.string()
    assert schema.field("started_at").type == pa.timestamp("ms", tz="UTC")


@pytest.mark.parametrize("table", TABLES)
def test_a_schema_carries_its_version(table: str) -> None:
    assert arrow_schema(table).metadata == {VERSION_KEY.encode(): str(SCHEMA_VERSION).encode()}


def test_what_is_not_for_others_is_not_in_the_released_schema() -> None:
    withheld = set(arrow_schema("trials").names) - set(released_schema("trials").names)

    assert withheld == {"run_id", "error"}
    assert released_schema("evaluations") == arrow_schema("evaluations")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_sorted_by_columns_that_it_has(table: str) -> None:
    assert set(SORT_KEYS[table]) <= set(arrow_schema(table).names)


def test_the_page_describes_every_column_once_in_its_table() -> None:
    sections = dict(section.split("\n", 1) for section in tables_markdown().split("\n## ")[1:])

    assert list(sections) == [f"`{table}`" for table in WAREHOUSE_TABLES]
    for table, columns in WAREHOUSE_TABLES.items():
        rows = [line for line in sections[f"`{table}`"].splitlines() if line.startswith("| `")]
        assert [row.split("`")[1] for row in rows] == [column.name for column in columns]
        for row, column in zip(rows, columns, strict=True):
            assert column.meaning in row
            assert ("may be null" in row) == column.nullable
            assert row.endswith("| yes |" if column.released else "| no |")


def test_the_page_has_rows_of_as_many_cells_as_its_header() -> None:
    rows = [line for line in tables_markdown().splitlines() if line.startswith("|")]

    assert {row.count("|") for row in rows} == {7}
