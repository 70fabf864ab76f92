"""`make` sets up once, again when it must, and says in a sentence what is wrong.

Run in a folder with a space in its name, on a stand-in for Python that notes what it is asked.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")

PYTHON = """#!/bin/sh
case "$*" in
    "-c "*) exit $FAKE_TOO_OLD ;;
    "-m venv "*) [ $FAKE_NO_VENV = 0 ] || { mkdir -p "$3"; echo "ensurepip is missing"; exit 1; }
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
esac
echo "$*" >> calls
[ "$2" != pip ] || { echo "what pip says"; exit $FAKE_PIP; }
"""

Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder / name)
    python = folder / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    return folder


@pytest.fixture
def make(checkout: Path) -> Make:
    def run(*arguments: str, **fakes: int) -> subprocess.CompletedProcess[str]:
        settings = {"FAKE_TOO_OLD": 0, "FAKE_NO_VENV": 0, "FAKE_PIP": 0} | fakes
        # Not as a part of the `make` that may be running these tests, nor with its settings.
        outer = ("MAKE", "MFLAGS", "PYTHON", "PIP_ARGS", "PYTEST_ARGS")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(outer)}
        environment = inherited | {key: str(value) for key, value in settings.items()}
        return subprocess.run(
            ["make", "PYTHON=./python", *arguments],
            cwd=checkout, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def calls(checkout: Path) -> list[str]:
    """Return what Python was asked since the last time."""
    path = checkout / "calls"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


INSTALL = "-m pip install --disable-pip-version-check -e .[dev] -c constraints.txt"


def test_the_first_make_sets_up_with_the_exact_versions_and_later_ones_do_not(
    checkout: Path, make: Make
) -> None:
    done = make("test")
    assert done.returncode == 0, done.stderr
    assert calls(checkout) == ["-m venv .venv", INSTALL, "-m pytest -n 2 -m not slow"]

    make("test-slow", "PYTEST_ARGS=-x")
    assert calls(checkout) == ["-m pytest -n 2 -m slow -x"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_set_up_is_made_again_when_what_it_installs_has_changed(
    checkout: Path, make: Make, name: str
) -> None:
    make("test")
    calls(checkout)
    later = (checkout / ".venv" / "ready").stat().st_mtime + 10
    os.utime(checkout / name, (later, later))
    make("test")
    assert calls(checkout)[0] == INSTALL


def test_an_index_for_torch_can_be_named(checkout: Path, make: Make) -> None:
    make("test", "PIP_ARGS=--extra-index-url https://download.pytorch.org/whl/cpu")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in calls(checkout)[1]


def test_a_python_that_is_too_old_is_refused_in_a_sentence(checkout: Path, make: Make) -> None:
    done = make("demo", FAKE_TOO_OLD=1)
    assert done.returncode != 0
    assert "Seedbed needs Python 3.11 or newer, and ./python is not." in done.stderr
    assert "make demo PYTHON=python3.12" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_refused_in_the_same_sentence(make: Make) -> None:
    done = make("test", "PYTHON=python-of-my-dreams")
    assert done.returncode != 0
    assert "Seedbed needs Python 3.11 or newer, and python-of-my-dreams is not." in done.stderr


def test_an_environment_that_cannot_be_made_is_not_left_half_made(
    checkout: Path, make: Make
) -> None:
    done = make("test", FAKE_NO_VENV=1)
    assert done.returncode != 0
    assert "ensurepip is missing" in done.stdout
    assert not (checkout / ".venv").exists()


def test_a_failed_set_up_shows_why_and_is_tried_again(checkout: Path, make: Make) -> None:
    done = make("test", FAKE_PIP=1)
    assert done.returncode != 0
    assert "what pip says" in done.stdout
    assert "The whole log is .venv/setup.log." in done.stderr
    assert "-m pytest" not in " ".join(calls(checkout))

    assert make("test").returncode == 0
    assert calls(checkout)[0] == INSTALL


def test_cleaning_leaves_studies_and_the_environment(checkout: Path, make: Make) -> None:
    kept = [checkout / "warehouse" / "trials.parquet", checkout / ".venv" / "ready"]
    gone = [checkout / "build" / "x", checkout / "a" / "__pycache__" / "x", checkout / "x.egg-info"]
    for path in (*kept, *gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert make("clean").returncode == 0
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)


def test_help_has_a_line_for_every_target(make: Make) -> None:
    lines = make("help").stdout.splitlines()
    assert lines == make().stdout.splitlines()
    targets = {"demo", "test", "test-slow", "check", "docs", "bench", "clean", "help"}
    assert {line.split()[1] for line in lines} >= targets
    assert all(line.endswith(".") and len(line.split()) > 3 for line in lines)
