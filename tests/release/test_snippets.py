"""What the card tells its readers to type works, each time in a process that knows nothing yet.

DuckDB's extension `httpfs` is not tested: it asks huggingface.co alone, and has to be fetched from
DuckDB's server. The card's DuckDB reads through `HfFileSystem`, which is tested; the statement is
the same.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from release.bundle import Bundle
from release.leaks import Identity
from tests.hub import LocalHub

# huggingface_hub 2.4 sends large files in a way that its own HTTP library has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]

SHOWS = {
    "datasets": "print(trials.num_rows, sorted(trials['trial_id'])[0])",
    "pandas": "print(len(trials), trials.trial_id.min())",
    "polars": "print(len(trials), trials['trial_id'].min())",
    "duckdb": "print(len(curves), *curves.iloc[0])",
    "release.loader": "print(len(steps), steps.trial_id.min())",
}
"""What shows that each snippet has read what it says, by the module that it imports first."""

PRINTS = {
    "datasets": "8 cola11",
    "pandas": "8 cola11",
    "polars": "8 cola11",
    "duckdb": "24 cola 1 1 0 0.41",
    "release.loader": "40 cola11",
}


def snippets(page: str) -> dict[str, str]:
    """Return a page's snippets of Python by the module that they import first."""
    found = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        module = re.search(r"(?:from|import) ([\w.]+)", code)
        assert module, code
        found[module[1]] = code
    return found


def environment(hub: LocalHub, home: Path) -> dict[str, str]:
    """Return the environment of somebody with an empty cache and no token."""
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HF_", "HUGGING")) and not name.lower().endswith("_proxy")
    }
    return bare | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }


Python = Callable[[str], str]


@pytest.fixture
def python(published: LocalHub, tmp_path: Path) -> Python:
    """`python(code)`: what the code prints last, run by a stranger."""

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment(published, tmp_path / "hf"),
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    return run


def test_the_card_has_a_snippet_for_each_way_of_reading(bundle: Bundle) -> None:
    card = (bundle.folder / "README.md").read_text()
    assert set(snippets(card)) == set(SHOWS)


@pytest.mark.parametrize("module", SHOWS)
def test_a_snippet_of_the_card_reads_the_release(
    bundle: Bundle, published: LocalHub, python: Python, module: str
) -> None:
    code = snippets((bundle.folder / "README.md").read_text())[module]
    assert python(f"{code}\n{SHOWS[module]}") == PRINTS[module]
    # All of it came from the Hub, at the tag or its commit, and never from the branch.
    commit = published.repositories["seedlings/trials"].tags["v1.2.3"]
    assert any(request.path.startswith("/stored/") for request in published.requests)
    for request in published.requests:
        if "/resolve/" in request.path:
            assert re.search(rf"/resolve/({commit}|v1\.2\.3)/", request.path), request


def test_every_table_loads_by_its_name_and_trials_without_one(
    published: LocalHub, python: Python
) -> None:
    code = """
from datasets import get_dataset_config_names, load_dataset
names = get_dataset_config_names("seedlings/trials", revision="v1.2.3")
rows = {}
for name in (None, *names):
    rows[name] = len(load_dataset("seedlings/trials", name, split="train", revision="v1.2.3"))
print(rows)
"""
    assert python(code) == str({None: 8, "trials": 8, "evaluations": 24, "train_steps": 32})


def test_no_script_is_looked_for_and_found(published: LocalHub) -> None:
    head = published.repositories["seedlings/trials"].find("v1.2.3")
    assert head is not None
    assert not [path for path in head.files if path.endswith(".py")]


Build = Callable[..., Bundle]


def test_a_page_of_the_documentation_shows_what_the_card_shows(
    bundle: Bundle, identity: Identity
) -> None:
    card = snippets((bundle.folder / "README.md").read_text())
    page = snippets((ROOT / "docs" / "releases.md").read_text(encoding="utf-8"))
    assert page
    for module, code in page.items():
        shown = code.replace("OWNER/NAME", "seedlings/trials").replace("v1.0.0", "v1.2.3")
        assert shown == card[module]
