"""The shell answers one statement after another, and says what is wrong with one."""

import io

import pytest

from analysis.shell import HELP, run_shell
from analysis.warehouse import Warehouse


def shell(warehouse: Warehouse, text: str) -> tuple[str, bool]:
    answers = io.StringIO()
    understood = run_shell(warehouse, io.StringIO(text), answers)
    return answers.getvalue(), understood


def test_each_statement_is_answered(synthetic_warehouse: Warehouse) -> None:
    answers, understood = shell(
        synthetic_warehouse, "select 1 as a; select 2\nas b\n;\n\nselect 3 as c"
    )

    assert answers == "a\n─\n1\nb\n─\n2\nc\n─\n3\n"
    assert understood


@pytest.mark.parametrize(
    "sql", ["select ';' as x;", 'select 1 as ";";', "select 1 -- ;\n as x;", "select /* ; */ 1;"]
)
def test_a_semicolon_within_quotes_or_a_remark_ends_nothing(
    sql: str, synthetic_warehouse: Warehouse
) -> None:
    answers, understood = shell(synthetic_warehouse, sql)

    assert understood, answers
    assert len(answers.splitlines()) == 3


def test_a_mistake_is_explained_and_the_next_statement_answered(
    synthetic_warehouse: Warehouse,
) -> None:
    answers, understood = shell(synthetic_warehouse, "from trails;\nselect 1 as a;\n")

    assert not understood
    assert answers.startswith("Error: Catalog Error")
    assert answers.endswith("a\n─\n1\n")


def test_the_shell_only_reads(synthetic_warehouse: Warehouse) -> None:
    answers, understood = shell(synthetic_warehouse, "create table t as from trials;")

    assert "A query reads, and this would do more" in answers
    assert not understood


def test_commands_show_what_there_is(synthetic_warehouse: Warehouse) -> None:
    assert "best_scores" in shell(synthetic_warehouse, ".tables\n")[0].split()
    assert "epoch" in shell(synthetic_warehouse, ".schema curves\n")[0]
    assert "overview: What there is" in shell(synthetic_warehouse, ".queries\n")[0]
    assert "from trials" in shell(synthetic_warehouse, ".query overview\n")[0]
    assert shell(synthetic_warehouse, ".help\n")[0] == HELP + "\n"
    assert shell(synthetic_warehouse, ".quit\nselect 1;\n") == ("", True)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (".nothing", "There is no command .nothing; .help"),
        (".schema x", "There is no 'x': the tables are trials"),
        (".query x", "There is no query 'x'"),
    ],
)
def test_a_command_that_is_not_there_is_answered_with_those_that_are(
    command: str, said: str, synthetic_warehouse: Warehouse
) -> None:
    answers, understood = shell(synthetic_warehouse, command)

    assert said in answers
    assert not understood
