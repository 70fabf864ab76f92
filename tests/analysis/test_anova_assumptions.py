"""The assumptions are tested on the scores, and the verdict says what the tests do."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from analysis import anova_assumptions, seed_scores
from analysis.anova_assumptions import AnovaAssumptions
from analysis.reference import published_scores
from analysis.scores import TrialScores
from analysis.significance import holm

GridOf = Callable[..., TrialScores]


def examined(grid_of: GridOf, score: np.ndarray) -> AnovaAssumptions:
    return anova_assumptions.compute(seed_scores.compute(grid_of(score), "wi"))


def test_levene_is_an_analysis_of_variance_of_the_distances_from_the_medians(
    grid_of: GridOf,
) -> None:
    score = np.random.default_rng(0).random((5, 8))
    found = examined(grid_of, score)
    distances = np.abs(score - np.median(score, axis=1, keepdims=True))
    f, p = stats.f_oneway(*distances)
    assert (found.levene, found.levene_p) == pytest.approx((f, p))
    variance = score.var(axis=1, ddof=1)
    assert found.variance_ratio == pytest.approx(variance.max() / variance.min())


def test_seeds_that_are_not_normal_are_counted(grid_of: GridOf) -> None:
    rng = np.random.default_rng(1)
    score = rng.standard_normal((6, 30))
    score[:2] = np.exp(2 * score[:2])
    found = examined(grid_of, score)
    p = holm([stats.shapiro(row).pvalue for row in score])
    assert (found.not_normal, found.tested) == (int((p <= 0.05).sum()), 6) == (2, 6)
    assert found.shapiro_p == pytest.approx(p.min())
    assert found.normal is False
    assert "Scores: not normal." in found.verdict


def test_seeds_of_unlike_variance_are_found(grid_of: GridOf) -> None:
    score = np.random.default_rng(2).standard_normal((4, 30))
    score[0] *= 5
    found = examined(grid_of, score)
    assert found.equal_variances is False
    assert "Variances: not equal." in found.verdict


@pytest.mark.parametrize("name", ["equal_variances", "normal"])
def test_normal_scores_of_one_variance_are_seldom_suspected(grid_of: GridOf, name: str) -> None:
    rng = np.random.default_rng(3)
    held = [getattr(examined(grid_of, rng.standard_normal((5, 12))), name) for _ in range(200)]
    assert held.count(False) <= stats.binom.isf(1e-4, 200, 0.05)


def test_seeds_that_share_the_other_factors_seeds_are_not_independent(grid_of: GridOf) -> None:
    crossed = examined(grid_of, np.random.default_rng(4).random((3, 4)))
    assert crossed.shared
    assert "not between seeds: they share DO seeds" in crossed.verdict

    nested = np.full((2, 6), np.nan)
    nested[0, :3], nested[1, 3:] = [0.1, 0.3, 0.4], [0.2, 0.5, 0.3]
    apart = examined(grid_of, nested)
    assert not apart.shared
    assert "no two seeds share a DO seed" in apart.verdict


def test_what_cannot_be_tested_is_not_said_to_hold(grid_of: GridOf) -> None:
    for score in (np.full((3, 4), 0.5), np.array([[0.1, 0.2], [0.3, 0.5]])):
        found = examined(grid_of, score)
        assert found.normal is None
        assert found.equal_variances is None
        assert found.verdict.count("cannot be tested") == 2


def test_the_papers_sst_is_close_to_normal_and_its_smaller_tasks_are_not() -> None:
    # Appendix B says so in words.
    normal = {
        task: anova_assumptions.compute(seed_scores.compute(published_scores(task), "wi")).normal
        for task in ("mrpc", "rte", "cola", "sst2")
    }
    assert normal == {"mrpc": False, "rte": False, "cola": False, "sst2": True}
