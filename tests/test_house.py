"""The arrows of the architecture hold: who may know of whom, and what is loaded when."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("finetune", "analysis", "release", "mlruns_config")

CONTRACT = {"finetune", "finetune.contract", "finetune.errors", "finetune.files"}
"""What every room may import of training: the contract, and `finetune.__version__`."""

HEAVY = {"torch", "transformers", "datasets", "mlflow", "duckdb", "pyarrow", "pandas",
         "matplotlib", "scipy", "sklearn", "ray", "huggingface_hub", "jinja2"}  # fmt: skip


# ── Reading imports ──────────────────────────────────────────────────────────────────────────────
def name_of(path: Path) -> str:
    """Return the dotted name of a module's file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}


def imports(module: str, *, at_the_top: bool = False) -> set[str]:
    """Return the dotted names that a module imports; at its top only, or anywhere in it.

    `from a.b import c` counts as `a.b.c` where that is a module, else as `a.b`.
    """
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found = set()
    for node in _top(tree) if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: relative import"
            assert node.module
            for alias in node.names:
                deeper = f"{node.module}.{alias.name}"
                found.add(deeper if deeper in MODULES else node.module)
    return found


def _top(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node


def within(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def reached_from(module: str) -> set[str]:
    """Return all that a module imports, and what its own project's modules import in turn."""
    reached: set[str] = set()
    waiting = {module}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        # To import a module is to import the packages that it is in.
        parents = {name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)}
        new = parents | (imports(name) if name in MODULES else set())
        waiting |= {each for each in new - reached if each in MODULES}
        reached |= new
    return reached


# ── Arrows ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "analysis")])
def test_analysis_knows_nothing_of_training_but_the_contract(module: str) -> None:
    known = {name for name in imports(module) if within(name, "finetune", "release")}
    assert known <= CONTRACT


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "release")])
def test_release_knows_the_warehouse_and_nothing_of_training_or_figures(module: str) -> None:
    known = {name for name in imports(module) if within(name, "finetune", "analysis")}
    assert known <= CONTRACT | {"analysis.warehouse", "analysis.schema"}


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if within(name, "finetune")
     and not within(name, "finetune.cli", "finetune.doctor")],
)  # fmt: skip
def test_training_knows_nothing_of_what_is_done_with_its_results(module: str) -> None:
    assert not {name for name in imports(module) if within(name, "analysis", "release")}


def test_the_training_loop_knows_nothing_of_tracking_the_grid_or_where_it_runs() -> None:
    reached = reached_from("finetune.training")
    assert "finetune.optimizer" in reached
    # fmt: off
    forbidden = ("mlflow", "ray", "duckdb", "pyarrow", "rich", "typer", "finetune.cli",
                 "finetune.driver", "finetune.executors", "finetune.grid", "finetune.tracking")
    # fmt: on
    assert not {name for name in reached if within(name, *forbidden)}


def test_tracking_alone_writes_to_mlflow_and_runs_alone_reads_it() -> None:
    users = {name for name in MODULES if any(within(each, "mlflow") for each in imports(name))}
    assert {name for name in users if not within(name, "finetune.tracking")} <= {"analysis.runs"}


def test_the_contract_imports_the_standard_library_only() -> None:
    for module in ("finetune", "finetune.contract", "finetune.errors", "finetune.files"):
        roots = {name.partition(".")[0] for name in imports(module)}
        assert roots <= set(sys.stdlib_module_names)


def test_configuration_is_data_only() -> None:
    assert [name for name in MODULES if within(name, "mlruns_config")] == ["mlruns_config"]
    assert not imports("mlruns_config")


# ── Loading ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "finetune.cli")])
def test_no_command_module_imports_anything_heavy_at_its_top(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(module, at_the_top=True)}
    assert not roots & HEAVY


def test_the_command_line_is_imported_without_anything_heavy() -> None:
    code = "import sys, finetune.cli; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "typer" in loaded
    assert not loaded & (HEAVY | {"numpy", "pydantic"})


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_imported_without_the_network_a_message_or_a_file(
    room: str, tmp_path: Path
) -> None:
    code = f"import socket; socket.socket.connect = None; import {room}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path,
                          env=environment, capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout + done.stderr == ""
    assert not list(tmp_path.iterdir())


# ── What stands in the files ─────────────────────────────────────────────────────────────────────
def repository_files() -> list[Path]:
    """Return the files of the checkout that git would take, or all where there is no git."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        # Caches and environments are folders that begin with a dot.
        top = [p for p in ROOT.iterdir() if p.name == ".ci" or p.is_file() or p.name[0] != "."]
        return [path for each in top for path in (each, *each.rglob("*"))]
    return [ROOT / name for name in done.stdout.split("\0") if name]


def texts() -> Iterator[tuple[Path, str]]:
    for path in repository_files():
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                yield path.relative_to(ROOT), content.decode("utf-8")


PUBLIC_INDEXES = ("https://pypi.org/", "https://download.pytorch.org/")


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    # Made up people, to whom nothing belongs, stand in the tests of the leak scan.
    homes = re.compile(r"/(?:home|Users)/(?!alice\b|bob\b|\*|<)\w+")
    here = [str(place) + "/" for place in (ROOT, Path.home()) if len(place.parts) > 1]
    for path, text in texts():
        assert not homes.search(text), path
        for place in here:
            assert not re.search(rf"(?<![\w.]){re.escape(place)}", text), path


def test_no_file_names_a_registry_that_is_not_everybodys() -> None:
    options = re.compile(r"(?:index-url|find-links|TORCH_INDEX)[= ]+[\"']?((?:https?|file):\S*)")
    for path, text in texts():
        for address in options.findall(text):
            assert address.startswith(PUBLIC_INDEXES), f"{path}: {address}"
