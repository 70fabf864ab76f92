"""The modules that compute need nothing but numpy and scipy."""

import subprocess
import sys

HEAVY = ("torch", "transformers", "datasets", "mlflow", "matplotlib", "pandas", "pyarrow", "duckdb")

NOT_INSTALLED = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
"""
"""Makes imports fail as if the packages were not there."""


MODULES = (
    "analysis.anova_assumptions",
    "analysis.best_against_worst",
    "analysis.best_seed",
    "analysis.best_trial",
    "analysis.bootstrap",
    "analysis.comparison",
    "analysis.correlation",
    "analysis.curve_uncertainty",
    "analysis.density",
    "analysis.divergence",
    "analysis.early_stopping",
    "analysis.expected_performance",
    "analysis.finds",
    "analysis.good_seeds",
    "analysis.progress",
    "analysis.reference",
    "analysis.scores",
    "analysis.seed_grid",
    "analysis.seed_scores",
    "analysis.significance",
    "analysis.stopping_rules",
    "analysis.study_summary",
    "analysis.task_summary",
    "analysis.training_curves",
    "analysis.variance",
    "analysis.variance_components",
    "analysis.winners_curse",
)
"""The questions, and what they share."""


def test_questions_can_be_computed_where_nothing_else_is_installed() -> None:
    imports = "\n".join(f"import {module}" for module in MODULES)
    blocked = f"{NOT_INSTALLED.format(heavy=HEAVY)}\n{imports}"
    done = subprocess.run(
        [sys.executable, "-c", blocked], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
