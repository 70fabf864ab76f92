"""What is shipped is whole, and the files that say versions agree."""

import hashlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


# ── Versions ─────────────────────────────────────────────────────────────────────────────────────
def constraints() -> dict[str, Version]:
    """Return the exact version of each package that `constraints.txt` names."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        [clause] = pin.specifier
        assert clause.operator == "=="
        assert pin.url is None
        versions[canonical(pin.name)] = Version(clause.version)
    return versions


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> list[Requirement]:
    lines = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["dev"],
    ]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_each_requirement_has_an_exact_version_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(constraints()[canonical(requirement.name)])


def test_exact_versions_hold_on_every_machine() -> None:
    # +cpu and the like are one index's own builds; elsewhere they are not to be had.
    assert all(version.local is None for version in constraints().values())


def test_python_is_as_new_as_the_makefile_and_the_classifiers_say() -> None:
    wanted = SpecifierSet(PROJECT["project"]["requires-python"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [oldest] = re.findall(r"sys\.version_info < \((\d+), (\d+)\)", makefile)
    assert str(wanted) == f">={'.'.join(oldest)}"
    assert f"Python {'.'.join(oldest)} or newer" in makefile
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["project"]["classifiers"]))
    assert named
    assert all(wanted.contains(version) for version in named)


# ── The wheel ────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


def package_files() -> set[str]:
    """Return every file of the packages, code or data, as a wheel names it."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*"))
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_all_of_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == package_files()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_every_package_of_the_repository_is_shipped() -> None:
    assert sorted(PACKAGES) == sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def test_the_data_that_the_program_reads_is_among_it(wheel: Path) -> None:
    kinds = {Path(name).suffix for name in zipfile.ZipFile(wheel).namelist()}
    assert kinds >= {".j2", ".sql", ".csv", ".yaml", ".safetensors", ".typed"}


@pytest.mark.slow
def test_an_installed_wheel_finds_its_data(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    # Isolated, so that neither the checkout nor the working folder is looked into.
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import finetune.cli as cli; "
        f"assert cli.__file__.startswith({str(site)!r}); cli.main()"
    )
    for arguments in (["--help"], ["tasks"], ["studies"], ["init", "study.yaml"]):
        done = subprocess.run(
            [sys.executable, "-I", "-c", code, *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "study.yaml").is_file()


def test_the_licence_is_apache_2_word_for_word() -> None:
    text = (ROOT / "LICENSE").read_bytes()
    # Of https://www.apache.org/licenses/LICENSE-2.0.txt
    expected = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    assert hashlib.sha256(text).hexdigest() == expected
    assert PROJECT["project"]["license"] == "Apache-2.0"


# ── The image ────────────────────────────────────────────────────────────────────────────────────
def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions, each with the rest of its line."""
    joined = re.sub(r"\\\n\s*", " ", dockerfile)
    lines = (line.strip() for line in joined.splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return [(word, rest) for word, rest in pairs]


@pytest.fixture
def image() -> list[tuple[str, str]]:
    return instructions((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def test_all_that_the_image_copies_is_there_and_is_sent_to_the_engine(
    image: list[tuple[str, str]],
) -> None:
    sent = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = set()
    for word, rest in image:
        if word == "COPY":
            copied |= set(shlex.split(rest)[:-1])
    assert all((ROOT / path).exists() for path in copied)
    assert sent == copied
    assert copied >= {*PACKAGES, "pyproject.toml", "constraints.txt"}


def test_the_image_has_a_python_that_the_package_takes(image: list[tuple[str, str]]) -> None:
    arguments = dict(rest.split("=", 1) for word, rest in image if word == "ARG")
    [base] = [rest for word, rest in image if word == "FROM"]
    assert base == "python:${PYTHON}-slim"
    assert SpecifierSet(PROJECT["project"]["requires-python"]).contains(arguments["PYTHON"])
    assert arguments["TORCH_INDEX"] == "https://download.pytorch.org/whl/cpu"


def test_the_image_installs_what_make_installs(image: list[tuple[str, str]]) -> None:
    [install] = [rest for word, rest in image if word == "RUN" and "pip install" in rest]
    words = shlex.split(install)
    assert words[:4] == ["python", "-m", "pip", "install"]
    assert words[-3:] == [".", "-c", "constraints.txt"]
    assert "-e '.[dev]' -c constraints.txt" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_image_runs_the_command_as_nobody_of_importance(image: list[tuple[str, str]]) -> None:
    words = [word for word, _ in image]
    assert dict(image)["USER"] == "seedbed"
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert dict(image)["ENTRYPOINT"] == '["finetune"]'
    assert "finetune" in PROJECT["project"]["scripts"]


# ── The tracking server ──────────────────────────────────────────────────────────────────────────
SERVER = ROOT / "mlruns_config" / "server"


@pytest.fixture
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((SERVER / "compose.yaml").read_text(encoding="utf-8"))
    return content


def test_the_server_has_the_mlflow_that_seedbed_is_tested_with(compose: dict[str, Any]) -> None:
    built = compose["services"]["tracking"]["build"]["dockerfile_inline"]
    [version] = re.findall(r'"mlflow\[auth\]==([\d.]+)"', built)
    assert Version(version) == constraints()["mlflow"]


MLFLOW_SERVER = """
import json, mlflow.cli
server = mlflow.cli.server
options = [name for option in server.params for name in option.opts]
print(json.dumps([server.name, options, [option.envvar for option in server.params]]))
"""


def test_what_the_server_is_started_with_is_what_mlflow_knows(compose: dict[str, Any]) -> None:
    # In a process of its own: mlflow.cli imports all of MLflow.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MLFLOW_SERVER],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    name, known, variables = json.loads(done.stdout.splitlines()[-1])
    tracking = compose["services"]["tracking"]
    program, command, *options = tracking["command"].split()
    assert (program, command) == ("mlflow", name)
    assert {option for option in options if option.startswith("--")} <= set(known)
    read_elsewhere = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_AUTH_ADMIN_USERNAME",
        "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY",
    }  # fmt: skip
    assert set(tracking["environment"]) - read_elsewhere <= set(variables)


def test_every_setting_of_the_server_is_in_the_example_and_explained(
    compose: dict[str, Any],
) -> None:
    text = (SERVER / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))
    example = (SERVER / "env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?(\w+)=", example, re.MULTILINE)) == used
    required = set(re.findall(r"\$\{(\w+):\?", text))
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == required
    readme = (SERVER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in used - {"POSTGRES_PASSWORD"})


def test_the_server_keeps_its_data_and_listens_to_this_machine_only(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    mounted = {v.split(":")[0] for service in services.values() for v in service["volumes"]}
    assert mounted == set(compose["volumes"])
    assert services["tracking"]["ports"] == ["${LISTEN:-127.0.0.1:5000}:5000"]
    assert "ports" not in services["database"]
