"""The best setting for a budget is the best of all that meet it, and advice follows from it."""

import itertools
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis import early_stopping
from analysis.early_stopping import Setting, compute, evaluation_at, recommend
from analysis.finds import exact_finds
from analysis.progress import Progress


def progress_of(
    trials: int, *, seed: int = 0, epochs: int = 3, per_epoch: int = 10, examples: int = 277
) -> Progress:
    """Return generated trials: some fail, the others rise early or late to an end of their own."""
    rng = np.random.default_rng(seed)
    points = epochs * per_epoch
    end = np.where(rng.random(trials) < 0.25, 0.53, rng.normal(0.68, 0.03, trials))
    begin, takes = rng.uniform(0.05, 0.3, trials), rng.uniform(0.1, 0.3, trials)
    risen = np.clip((np.arange(points + 1) / points - begin[:, None]) / takes[:, None], 0, 1)
    score = 0.53 + (end - 0.53)[:, None] * risen + 0.01 * rng.standard_normal(risen.shape)
    number = np.arange(trials)
    return Progress(
        study="generated",
        task="rte",
        metric="accuracy",
        trial_id=number.astype(str),
        wi_seed=number // 5 + 1,
        do_seed=number % 5 + 1,
        step=np.arange(points + 1) * 16,
        epoch=np.arange(points + 1) / per_epoch,
        total_steps=points * 16,
        score=(score * examples).round() / examples,
    )


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("budget", [1, 2, 7, 20, 30])
@pytest.mark.parametrize("least", [0, 1])
def test_settings_are_all_those_that_meet_the_budget_exactly(budget: int, least: int) -> None:
    found = list(early_stopping.settings(budget, least_continued=least))
    by_search = {
        Setting(t, p, part)
        for t, p, part in itertools.product(range(1, 201), range(least, 31), range(1, 30))
        if p < t and t * part + p * (30 - part) == budget * 30
    }
    assert set(found) == by_search | {Setting(budget, budget, 30)}
    assert len(found) == len(set(found))
    assert all(setting.cost == pytest.approx(budget, abs=1e-12) for setting in found)


def test_a_setting_costs_t_f_plus_p_of_the_rest() -> None:
    setting = Setting(started=41, continued=11, part=9)
    assert setting.stop == pytest.approx(0.3)
    assert setting.cost == pytest.approx(41 * 0.3 + 11 * 0.7) == pytest.approx(20)


# ── What they find ───────────────────────────────────────────────────────────────────────────────
def test_the_best_setting_of_each_budget_is_the_best_of_all_that_meet_it() -> None:
    progress = progress_of(60)
    stopping = compute(progress, budgets=[1, 4, 9], points=6)
    for index, budget in enumerate((1, 4, 9)):
        found = {}
        for setting in early_stopping.settings(budget, points=6, most_started=60):
            column = setting.part * 5
            finds = exact_finds(
                progress.best[:, column], progress.final,
                most_started=setting.started, most_continued=setting.continued,
            )  # fmt: skip
            found[setting] = finds.mean[setting.started, setting.continued]
        best, full = stopping.best[index], stopping.full[index]
        assert stopping.mean[best] == pytest.approx(max(found.values()), abs=1e-12)
        chosen = Setting(
            int(stopping.started[best]), int(stopping.continued[best]), int(stopping.part[best]), 6
        )
        assert found[chosen] == pytest.approx(max(found.values()), abs=1e-12)
        assert stopping.mean[full] == pytest.approx(found[Setting(budget, budget, 6, 6)])
        assert len(found) == np.count_nonzero(stopping.meets == index)


def test_the_reduction_is_of_one_less_the_expected_best() -> None:
    stopping = compute(progress_of(60), budgets=[2, 8])
    full, best = 1 - stopping.mean[stopping.full], 1 - stopping.mean[stopping.best]
    assert_allclose(stopping.error_reduction, (full - best) / full)
    assert (stopping.error_reduction > 0).all()


def test_where_seeds_do_not_matter_nothing_is_stopped() -> None:
    progress = progress_of(20)
    same = Progress(**{**vars(progress), "score": np.tile(progress.score[:1], (20, 1))})
    stopping = compute(same, budgets=[1, 5])
    assert stopping.best.tolist() == stopping.full.tolist()
    assert_allclose(stopping.error_reduction, 0, atol=1e-12)


def test_scores_without_an_error_have_no_reduction_to_speak_of() -> None:
    progress = progress_of(5)
    perfect = Progress(**{**vars(progress), "score": np.ones_like(progress.score)})
    assert np.isnan(compute(perfect, budgets=[2]).error_reduction).all()


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("ties", ["averaged", "broken"])
def test_sampling_gives_the_same_settings_about_the_same_scores(
    ties: early_stopping.Ties, replacement: bool
) -> None:
    progress, draws = progress_of(40), 1_000
    both = [
        compute(
            progress, budgets=[3], points=6, replacement=replacement, ties=ties, method=method,
            draws=draws, rng=np.random.default_rng(4),
        )
        for method in ("exact", "sample")
    ]  # fmt: skip
    exact, sampled = both
    for name in ("budget", "started", "continued", "part", "meets"):
        assert getattr(exact, name).tolist() == getattr(sampled, name).tolist()
    error = 5 * exact.deviation / np.sqrt(draws) + 1e-12
    if ties == "averaged":  # orders broken at random differ between the two
        assert (np.abs(exact.mean - sampled.mean) <= error).all()
    else:
        assert_allclose(exact.mean, sampled.mean, atol=0.02)
    assert (exact.draws, sampled.draws) == (0, draws)


def test_the_stated_seed_breaks_ties_the_same_way_each_time() -> None:
    progress = progress_of(40, examples=20)
    one, same, other = (
        compute(progress, budgets=[3], ties="broken", rng=np.random.default_rng(seed)).mean
        for seed in (1, 1, 2)
    )
    assert one.tolist() == same.tolist() != other.tolist()


def test_broken_ties_average_to_averaged_ones() -> None:
    progress = progress_of(12, examples=10)
    rng = np.random.default_rng(8)
    averaged = compute(progress, budgets=[3], points=6)
    broken = np.array(
        [compute(progress, budgets=[3], points=6, ties="broken", rng=rng).mean for _ in range(60)]
    )
    error = 5 * broken.std(axis=0) / np.sqrt(len(broken)) + 1e-12
    assert (np.abs(broken.mean(axis=0) - averaged.mean) <= error).all()


def test_it_says_what_it_is_over() -> None:
    progress = progress_of(20)
    rng = np.random.default_rng(0)
    assert compute(progress, budgets=[1]).over == (
        "draws of t from 20 trials, without replacement, and orders of equal scores"
    )
    sampled = compute(
        progress, budgets=[1], replacement=True, ties="broken", method="sample", draws=50, rng=rng
    )
    assert sampled.over == "draws of t from 20 trials, with replacement, 50 of them at random"


def test_budgets_beyond_what_may_be_started_are_left_out() -> None:
    assert compute(progress_of(3)).budget.tolist() == [1, 2, 3]
    stopping = compute(progress_of(9), most_started=4)
    assert stopping.budget.tolist() == [1, 2, 3, 4]
    assert len(stopping.full) == len(stopping.best) == len(stopping.error_reduction) == 4
    assert stopping.started.max() == 4


@pytest.mark.parametrize("trials", [0, 3])
def test_it_refuses_where_no_budget_can_be_met(trials: int) -> None:
    with pytest.raises(
        ValueError, match=f"no budget is from 1 to {trials}, the most trials to start"
    ):
        compute(progress_of(trials), budgets=[4])


@pytest.mark.parametrize("wanted", [{"ties": "broken"}, {"method": "sample"}])
def test_chance_needs_a_generator(wanted: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="need a generator"):
        compute(progress_of(3), **wanted)  # type: ignore[arg-type]


@pytest.mark.slow
def test_all_settings_of_a_task_take_less_than_20_seconds_on_one_core() -> None:
    progress = progress_of(625)
    distinct = progress.score + 1e-6 * np.random.default_rng(0).random(progress.score.shape)
    begin = time.process_time()
    stopping = compute(Progress(**{**vars(progress), "score": distinct}))
    assert time.process_time() - begin < 20
    assert len(stopping.budget) == 30
    assert stopping.started.max() == 200


# ── Stopping points ──────────────────────────────────────────────────────────────────────────────
def test_a_stopping_point_sees_the_last_evaluation_up_to_it() -> None:
    assert evaluation_at(progress_of(2)) == list(range(31))


@pytest.mark.parametrize("per_epoch", range(30, 50, 3))
def test_evaluations_at_rounded_tenths_of_an_epoch_have_a_stopping_point_each(
    per_epoch: int,
) -> None:
    steps = [epoch * per_epoch + round(per_epoch * part / 10)
             for epoch in range(3) for part in range(1, 11)]  # fmt: skip
    progress = progress_of(2)
    uneven = Progress(
        **{**vars(progress), "step": np.array([0, *steps]), "total_steps": 3 * per_epoch}
    )
    assert evaluation_at(uneven) == list(range(31))


def test_no_trial_is_stopped_where_nothing_new_is_known() -> None:
    progress = progress_of(30, epochs=1, per_epoch=5)
    assert evaluation_at(progress)[::6] == [0, 1, 2, 3, 4, 5]
    assert evaluation_at(progress).count(-1) == 25
    assert set(compute(progress, budgets=[2, 6]).part.tolist()) == {6, 12, 18, 24, 30}


def test_before_the_first_score_no_trial_is_all_there_is() -> None:
    progress = progress_of(6)
    late = progress.score.copy()
    late[0, :12] = np.nan
    stopping = compute(Progress(**{**vars(progress), "score": late}), budgets=[1])
    assert np.isfinite(stopping.mean).all()
    assert stopping.part[stopping.continued == 0].min() >= 12


# ── The recommendation ───────────────────────────────────────────────────────────────────────────
def test_it_recommends_the_best_setting_of_the_tasks_own_trials() -> None:
    progress = progress_of(200)
    advice = recommend(10, progress)
    stopping = compute(progress, budgets=[10], most_started=50, least_continued=1)
    (best,) = stopping.best
    assert (advice.start, advice.continue_best) == (
        stopping.started[best],
        stopping.continued[best],
    )
    assert advice.expected == stopping.mean[best]
    assert advice.expected_full == stopping.mean[stopping.full[0]]
    assert advice.error_reduction == stopping.error_reduction[0]
    assert advice.stop_epoch == pytest.approx(3 * advice.stop)
    assert advice.cost_epochs == pytest.approx(30)
    assert (advice.trials, advice.over) == (200, stopping.over)
    assert not advice.is_papers


@pytest.mark.parametrize("progress", [None, progress_of(0), progress_of(83)])
def test_from_too_few_trials_it_is_the_papers_advice(progress: Progress | None) -> None:
    advice = recommend(20, progress)
    # On MRPC, with a budget of 20, the paper has the very same (Fig. 6).
    assert (advice.start, advice.continue_best, advice.stop) == (41, 11, 0.3)
    assert advice.stop_epoch == pytest.approx(0.9)
    assert advice.cost_epochs == pytest.approx(60)
    assert advice.is_papers
    assert advice.expected is advice.expected_full is advice.error_reduction is None
    assert not recommend(20, progress_of(84)).is_papers


def test_trials_evaluated_only_at_their_end_teach_nothing_of_stopping() -> None:
    progress = progress_of(200)
    once = Progress(
        **{
            **vars(progress),
            "score": progress.score[:, -1:],
            "step": progress.step[-1:],
            "epoch": progress.epoch[-1:],
        }
    )
    assert recommend(10, once).is_papers


def test_budgets_are_recommended_alike_alone_and_together() -> None:
    progress = progress_of(84)
    together = early_stopping.recommend_each([1, 5, 20, 21], progress)
    assert list(together) == [recommend(budget, progress) for budget in (1, 5, 20, 21)]
    assert [advice.is_papers for advice in together] == [False, False, False, True]


@pytest.mark.parametrize("budget", range(2, 31))
def test_the_papers_advice_meets_every_budget(budget: int) -> None:
    advice = recommend(budget, epochs=2)
    assert advice.cost_epochs == pytest.approx(2 * budget)
    assert 0.2 <= advice.stop <= 0.3
    assert abs(advice.continue_best - budget / 2) <= max(0.5, budget / 20)
    assert advice.start >= 2 * budget


def test_no_more_are_started_than_may_be() -> None:
    assert recommend(10, progress_of(100), most_started=12).start <= 12
    assert recommend(10, progress_of(100), most_started=5).is_papers


def test_one_training_is_not_divided() -> None:
    assert (recommend(1).start, recommend(1).continue_best, recommend(1).stop) == (1, 1, 1.0)


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one training; got 0"):
        recommend(0)
