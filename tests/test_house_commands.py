"""The commands, their help and the pages about them cannot drift apart."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from finetune.cli import app

ROOT = Path(__file__).resolve().parents[1]


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _load(ROOT / "docs" / "generate.py")
ROOT_COMMAND: Any = typer.main.get_command(app)
HELPS: dict[str, str] = dict(GENERATE.helps("finetune", ROOT_COMMAND, None))
COMMANDS = [path for path in HELPS if path != "finetune"]


def test_the_commands_of_the_house_are_all_there() -> None:
    assert {path.removeprefix("finetune ") for path in COMMANDS} >= {
        "run", "trial", "status", "export", "query", "sql", "report", "release", "tasks", "studies",
        "init", "ui", "doctor", "demo",
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_opens_with_a_sentence(command: str) -> None:
    _usage, _blank, first, *_ = HELPS[command].splitlines()
    assert re.match(r"  [A-Z]", first)
    paragraph = HELPS[command].split("\n\n")[1]
    assert paragraph.rstrip().endswith(".")


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example_that_can_be_typed(command: str) -> None:
    examples = re.findall(r"^  Example: (.+)$", HELPS[command], re.MULTILINE)
    assert examples
    for example in examples:
        assert command in example


@pytest.mark.parametrize("name", ["", *ROOT_COMMAND.commands])
def test_every_option_and_argument_is_explained(name: str) -> None:
    command = ROOT_COMMAND.commands[name] if name else ROOT_COMMAND
    assert not [parameter.name for parameter in command.params if not parameter.help]


@pytest.mark.parametrize("command", list(HELPS))
def test_a_command_stands_in_the_reference_as_its_help_shows_it(command: str) -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert f"## `{command}`\n\n```text\n{HELPS[command]}\n```\n" in page


def test_help_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    before = GENERATE.commands_markdown()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert GENERATE.commands_markdown() == before
    assert max(map(len, before.splitlines())) <= GENERATE.WIDTH
    assert "\x1b" not in before


def test_the_generated_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert GENERATE.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_page_is_named_and_then_put_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(GENERATE, "ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "tables.md").write_text("something old", encoding="utf-8")
    assert GENERATE.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Out of date: docs/commands.md, docs/tables.md, docs/minilm-cola/")
    assert said.endswith("docs/minilm-cola/README.md. Run `make docs`.\n")
    assert (tmp_path / "docs" / "tables.md").read_text(encoding="utf-8") == "something old"

    assert GENERATE.main([]) == 0
    assert GENERATE.main(["--check"]) == 0


def test_another_argument_is_refused() -> None:
    assert GENERATE.main(["--chekc"]) == 2
