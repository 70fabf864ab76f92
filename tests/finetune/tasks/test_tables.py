"""The three forms of file: what they hold, and what is wrong with them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.errors import SeedbedError
from finetune.tasks.faults import Faults
from finetune.tasks.tables import MISSING, Table, read_table

WriteFiles = Callable[[Path, dict[str, str]], Path]


@pytest.fixture
def read(tmp_path: Path, write_files: WriteFiles) -> Callable[[str, str], Table]:
    """A function that reads a file of that name and content."""

    def read_content(name: str, content: str) -> Table:
        faults = Faults(name)
        table = read_table(write_files(tmp_path, {name: content}) / name, faults)
        faults.check()
        return table

    return read_content


Read = Callable[[str, str], Table]


def values(table: Table) -> list[list[object]]:
    return [list(row.values) for row in table.rows]


def error_of(read: Read, name: str, content: str) -> str:
    with pytest.raises(SeedbedError) as raised:
        read(name, content)
    return str(raised.value)


def test_csv_is_quoted_and_numbered_by_the_line_a_row_starts_on(read: Read) -> None:
    table = read("a.csv", '\ufefftext,label\r\n"a, ""b""\nc",1\r\n\r\nd,0')
    assert table.columns == ("text", "label")
    assert values(table) == [['a, "b"\nc', "1"], ["d", "0"]]
    assert [row.number for row in table.rows] == [2, 5]


def test_tsv_has_no_quoting(read: Read) -> None:
    assert values(read("a.tsv", 'text\tlabel\n"a\t1\nb "" c"\t0\n')) == [
        ['"a', "1"],
        ['b "" c"', "0"],
    ]


def test_jsonl_keeps_types_and_takes_columns_from_all_its_lines(read: Read) -> None:
    table = read("a.jsonl", '{"text": "a", "label": 1}\n\n{"label": true, "more": null}\n')
    assert table.columns == ("text", "label", "more")
    assert values(table) == [["a", 1, MISSING], [MISSING, True, None]]
    assert [row.number for row in table.rows] == [1, 3]


fields = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff\x00"), max_size=8
)


@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=6))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("written")
    with (folder / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("one", "two"), *rows])
    lines = [json.dumps({"one": one, "two": two}, ensure_ascii=False) for one, two in rows]
    (folder / "a.jsonl").write_bytes("\n".join(lines).encode())
    for name in ("a.csv", "a.jsonl"):
        faults = Faults(name)
        table = read_table(folder / name, faults)
        faults.check()
        assert table.columns == ("one", "two")
        assert [tuple(row.values) for row in table.rows] == rows


def test_faults_of_jsonl_are_told_with_their_lines(read: Read) -> None:
    assert error_of(read, "a.jsonl", '{"text": "a"}\n{"text": \n[1, 2]\n') == (
        "a.jsonl has 2 faults:\n"
        "  line 2: is not JSON (Expecting value at character 10)\n"
        "  line 3: is not a JSON object but [1, 2]"
    )
    assert error_of(read, "a.jsonl", "\n") == "a.jsonl: holds no examples: it is empty."


def test_an_open_quotation_mark_is_told_with_the_line_where_it_opens(read: Read) -> None:
    message = error_of(read, "a.csv", 'text,label\na,1\n"b,0\nc,1\n')
    assert message.startswith("a.csv: line 3: is not CSV from here on (unexpected end of data)")


def test_rows_of_another_length_are_told(read: Read) -> None:
    assert error_of(read, "a.csv", "text,label\na\nb,1,2\nc") == (
        "a.csv has 3 faults:\n"
        "  line 2: 1 column instead of 2\n"
        "  line 3: 3 columns instead of 2\n"
        "  line 4: 1 column instead of 2; the file seems cut off"
    )
    # A line that ends is not cut off, only wrong.
    assert error_of(read, "a.csv", "text,label\na\n") == "a.csv: line 2: 1 column instead of 2."


def test_of_many_faults_the_first_ten_are_spelt_out(read: Read) -> None:
    lines = error_of(read, "a.tsv", "text\tlabel\n" + "a\n" * 1234).splitlines()
    assert lines[0] == "a.tsv has 1,234 faults:"
    assert lines[1:3] == [f"  line {n}: 1 column instead of 2" for n in (2, 3)]
    assert lines[-1] == "  … and 1,224 more"
    assert len(lines) == 12


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, write_files: WriteFiles) -> None:
    def error(path: Path) -> str:
        with pytest.raises(SeedbedError) as raised:
            read_table(path, Faults(path.name))
        return str(raised.value)

    missing = tmp_path / "missing.csv"
    assert error(missing) == f"There is no file {missing}; check its name and folder."
    (tmp_path / "folder.csv").mkdir()
    assert (
        error(tmp_path / "folder.csv") == f"Cannot read {tmp_path / 'folder.csv'}: Is a directory."
    )
    wide = tmp_path / "wide.csv"
    wide.write_bytes("text,label\na,1\n".encode("utf-16"))
    assert error(wide) == f"{wide} is UTF-16; save it as UTF-8."
    sheet = write_files(tmp_path, {"sheet.xlsx": ""}) / "sheet.xlsx"
    assert error(sheet) == f"{sheet}: files of examples are .csv, .tsv, .jsonl, not '.xlsx'."


def test_a_column_that_is_missing_or_there_twice_is_not_selected(read: Read) -> None:
    table = read("a.csv", "text,text,label\na,b,1\n")
    faults = Faults("a.csv")
    assert list(table.select(["label"], faults)) == [(2, ["1"])]
    assert list(table.select(["text", "stars"], faults)) == []
    with pytest.raises(SeedbedError) as raised:
        faults.check()
    assert str(raised.value) == (
        "a.csv has 2 faults:\n"
        "  two columns are called 'text'\n"
        "  there is no column 'stars'; the columns are 'text', 'text', 'label'"
    )
