"""The modules that compute need nothing but numpy and scipy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "datasets", "mlflow", "matplotlib", "pandas", "pyarrow", "duckdb")


@pytest.mark.parametrize(
    "module",
    [
        "analysis.best_trial",
        "analysis.expected_performance",
        "analysis.reference",
        "analysis.scores",
        "analysis.seed_grid",
        "analysis.study_summary",
        "analysis.task_summary",
        "analysis.training_curves",
        "analysis.variance",
    ],
)
def test_a_question_can_be_computed_where_nothing_else_is_installed(module: str) -> None:
    # None in sys.modules makes an import fail as if the package were not there.
    blocked = f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r})); import {module}"
    done = subprocess.run(
        [sys.executable, "-c", blocked], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
