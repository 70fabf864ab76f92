"""How best to spend a budget? Start many, stop early, continue some (Section 5, Figs. 6 and 7).

A *setting* starts t trials, ranks them by their best score so far after a share f of the training,
and trains the best p of them to their end. In trainings it costs t·f + p·(1 − f). What it is
expected to find is computed in `analysis.finds`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis.finds import PAPERS_DRAWS, exact_finds, sampled_finds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.progress import Progress

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

Method = Literal["exact", "sample"]
"""In closed form, or by drawing as the paper does."""

Ties = Literal["averaged", "broken"]
"""Trials of equal score when stopping: averaged over all their orders, or put in one at random."""

POINTS = 30
"""Stopping points of a training, evenly spaced: the paper's ten in each of three epochs."""

MOST_STARTED = 200
"""The most trials that a setting starts."""


# ── Settings ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, order=True)
class Setting:
    """Start `started` trials, continue the best `continued` of them after `part` of `points`.

    Attributes:
        started: t ≥ 1.
        continued: p, from 0 to t; with 0 it counts what was reached when stopping.
        part: at which of the stopping points, from 1 to `points`; the last is the end.
        points: how many stopping points a training has, evenly spaced.
    """

    started: int
    continued: int
    part: int
    points: int = POINTS

    @property
    def stop(self) -> float:
        """The share f of the training after which trials are stopped."""
        return self.part / self.points

    @property
    def cost(self) -> float:
        """What it costs in full trainings."""
        parts = self.started * self.part + self.continued * (self.points - self.part)
        return parts / self.points


def settings(
    budget: int,
    *,
    points: int = POINTS,
    most_started: int = MOST_STARTED,
    least_continued: int = 0,
) -> Iterator[Setting]:
    """Yield every setting that meets a budget exactly, the one that stops none first.

    Those that stop at the end are all the same, whatever they continue: one of them stands for all.

    Args:
        budget: in full trainings, at least 1.
        points: how many stopping points a training has.
        most_started: the largest t.
        least_continued: the smallest p. The paper's Fig. 6 has p = 0 at a budget of 1.
    """
    if budget <= most_started:
        yield Setting(budget, budget, points, points)
    for continued in range(least_continued, budget):
        for part in range(1, points):
            # t·part + p·(points − part) = budget·points
            stopped, rest = divmod((budget - continued) * points, part)
            if not rest and continued + stopped <= most_started:
                yield Setting(continued + stopped, continued, part, points)


# ── The question ─────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, eq=False)
class EarlyStopping:
    """What every setting that meets a budget is expected to find, for budgets of 1 … B trainings.

    Attributes:
        budget: int64[B], ascending, in full trainings.
        started: int64[S], t of each setting, by budget.
        continued: int64[S], its p.
        part: int64[S], at which of the `points` stopping points it stops; the last is the end.
        meets: int64[S], the index in `budget` of the budget that it meets.
        mean: float64[S], the expected best score that it finds.
        deviation: float64[S], the standard deviation of that best score over draws of t trials.
        points: stopping points of a training, evenly spaced.
        epochs: epochs of a training.
        trials: N, the number of trials drawn from.
        replacement: whether a trial can be drawn twice.
        ties: how trials of equal score are ranked when stopping.
        draws: of a sampled estimate, how many for each setting; 0 for the closed form.
    """

    budget: Counts
    started: Counts
    continued: Counts
    part: Counts
    meets: Counts
    mean: Floats
    deviation: Floats
    points: int
    epochs: float
    trials: int
    replacement: bool
    ties: Ties
    draws: int

    @property
    def best(self) -> Counts:
        """int64[B], which setting is expected to find the best score at each budget.

        Of equal ones that which starts the fewest trials, and of these the one that stops last.
        """
        order = np.lexsort((-self.part, self.started, -self.mean.round(_DECIMALS), self.meets))
        return order[np.unique(self.meets[order], return_index=True)[1]]

    @property
    def full(self) -> Counts:
        """int64[B], the setting of each budget that trains every trial to its end."""
        return np.flatnonzero(self.part == self.points)

    @property
    def error_reduction(self) -> Floats:
        """float64[B], by what share the best setting reduces the error of full training (Fig. 7).

        The error is 1 less the expected best score; where full training has none, it is NaN.
        """
        error, left = 1 - self.mean[self.full], 1 - self.mean[self.best]
        share = np.full(len(error), np.nan)
        np.divide(error - left, error, out=share, where=error > 0)
        return share

    def limited(self, *, most_started: int, least_continued: int = 0) -> EarlyStopping:
        """Return the settings that start and continue so many, and all that stop none."""
        kept = (self.started <= most_started) & (self.continued >= least_continued)
        kept |= self.part == self.points
        columns = ("started", "continued", "part", "meets", "mean", "deviation")
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})

    @property
    def over(self) -> str:
        """What the expectations and deviations are over."""
        how = "with" if self.replacement else "without"
        ties = "" if self.ties == "broken" else ", and orders of equal scores"
        drawn = f", {self.draws:,} of them at random" if self.draws else ""
        return f"draws of t from {self.trials} trials, {how} replacement{ties}{drawn}"


_DECIMALS = 12
"""To which expectations are told apart: further than that they are rounding."""


def compute(
    progress: Progress,
    *,
    budgets: Sequence[int] = range(1, 31),
    points: int = POINTS,
    most_started: int = MOST_STARTED,
    least_continued: int = 0,
    replacement: bool = False,
    ties: Ties = "averaged",
    method: Method = "exact",
    draws: int = PAPERS_DRAWS,
    rng: np.random.Generator | None = None,
) -> EarlyStopping:
    """Return what all settings that meet the budgets exactly are expected to find.

    Trials are ranked at a stopping point by their best score over the evaluations up to there. At a
    point without an evaluation since the one before, nothing is known that was not known at less
    cost, and no setting stops there.

    Args:
        progress: the scores of N trials at their evaluations.
        budgets: in full trainings; those above what may be started are left out.
        points: how many evenly spaced stopping points a training has.
        most_started: the largest t; settings never start more than the N trials there are.
        least_continued: the smallest p; 0 as in the paper's Fig. 6.
        replacement: whether a trial can be drawn twice.
        ties: whether equal scores at a stopping point are averaged over their orders, or put in one
            random order for each point.
        method: in closed form, or by sampling as the paper does.
        draws: how often a sampled setting is drawn.
        rng: draws, and breaks ties; needed for these alone.

    Raises:
        ValueError: where there is no trial, no budget that can be spent on full trainings, or no
            `rng` where one is needed.
    """
    trials = len(progress)
    most_started = min(most_started, trials)
    met = [budget for budget in sorted(set(budgets)) if 1 <= budget <= most_started]
    if not met:
        raise ValueError(f"no budget is from 1 to {most_started}, the most trials to start")
    if rng is None and (ties == "broken" or method == "sample"):
        raise ValueError("breaking ties and sampling need a generator")

    # All settings by budget.
    at_part = evaluation_at(progress, points)
    reached = [progress.best[:, column] for column in at_part]
    met_by = [
        (index, setting)
        for index, budget in enumerate(met)
        for setting in settings(
            budget,
            points=points,
            most_started=most_started,
            least_continued=least_continued,
        )
        if setting.part == points
        or (at_part[setting.part] >= 0 and _can_be_found(setting, reached[setting.part]))
    ]
    meets = np.array([index for index, _ in met_by])
    started, continued, part = np.array(
        [(setting.started, setting.continued, setting.part) for _, setting in met_by]
    ).T

    # What they find, by the point where they stop.
    mean, deviation = np.empty(len(met_by)), np.empty(len(met_by))
    for stop in np.unique(part):
        at_stop = progress.final if stop == points else reached[stop]
        order = rng.permutation(trials) if rng is not None and ties == "broken" else None
        own = part == stop
        t, p = started[own], continued[own]
        if method == "exact":
            finds = exact_finds(
                at_stop,
                progress.final,
                most_started=int(t.max()),
                most_continued=int(p.max()),
                replacement=replacement,
                tie_order=order,
            )
        else:
            assert rng is not None
            finds = sampled_finds(
                at_stop,
                progress.final,
                list(zip(t.tolist(), p.tolist(), strict=True)),
                rng,
                draws=draws,
                replacement=replacement,
                tie_order=order,
            )
        mean[own], deviation[own] = finds.mean[t, p], finds.deviation[t, p]

    return EarlyStopping(
        budget=np.array(met),
        started=started,
        continued=continued,
        part=part,
        meets=meets,
        mean=mean,
        deviation=deviation,
        points=points,
        epochs=progress.epochs,
        trials=trials,
        replacement=replacement,
        ties=ties,
        draws=draws if method == "sample" else 0,
    )


def evaluation_at(progress: Progress, points: int = POINTS) -> list[int]:
    """Return for each stopping point 0 … `points` which evaluation tells how far trials have come.

    It is the last one up to there; −1 where there is none that is not known one point earlier.
    A point lies at the first whole step after its share of the training.
    """
    limits = [-(-part * progress.total_steps // points) for part in range(points + 1)]
    before = [-1, *limits[:-1]]
    columns = np.searchsorted(progress.step, limits, side="right") - 1
    return [
        int(column) if column >= 0 and progress.step[column] > earlier else -1
        for column, earlier in zip(columns, before, strict=True)
    ]


def _can_be_found(setting: Setting, reached: Floats) -> bool:
    """Whether a setting finds a score for sure: one that continues none needs one by then."""
    return bool(setting.continued or np.isfinite(reached).all())


# ── The recommendation ───────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Recommendation:
    """How to spend a budget: start so many, stop then, continue so many.

    Attributes:
        budget: in full trainings.
        start: how many trials to start.
        continue_best: how many of them, the best by their best score so far, to train to the end.
        stop: after which share of the training to stop the others; 1 where none is to be stopped.
        stop_epoch: the same in epochs.
        cost_epochs: what it takes in all, in epochs; never more than the budget.
        expected: the expected best score; None where it is the paper's advice.
        expected_full: the same where `budget` trials are trained to the end instead.
        error_reduction: by what share that reduces the error, 1 less the expected best score.
        over: what the expectations are over; empty where it is the paper's advice.
        trials: from how many trials of the task it was learnt; 0 where it is the paper's advice.
    """

    budget: int
    start: int
    continue_best: int
    stop: float
    stop_epoch: float
    cost_epochs: float
    expected: float | None
    expected_full: float | None
    error_reduction: float | None
    over: str
    trials: int

    @property
    def is_papers(self) -> bool:
        """Whether it is the paper's advice, there being too few trials to learn from."""
        return not self.trials


_TRIALS_PER_STARTED = 4
"""So many trials must be known for each that a recommendation starts.

With a setting that draws nearly all trials it is known what it would have found among these, not
what it finds among others. Studied on generated courses to the published final scores of the four
tasks, at budgets of 5, 10 and 20, in the mean of six studies each: chosen from 100 trials without
this limit, the setting often lost against full training, once 70 % of its error; chosen from 100 to
300 with it, it lost 0.1 % at the worst, and mostly kept more than half of what the best setting
gains.
"""


def recommend(
    budget: int,
    progress: Progress | None = None,
    *,
    epochs: float = 3.0,
    points: int = POINTS,
    most_started: int = MOST_STARTED,
) -> Recommendation:
    """Return how to spend a budget on a task; see `recommend_each`."""
    (found,) = recommend_each(
        [budget], progress, epochs=epochs, points=points, most_started=most_started
    )
    return found


def recommend_each(
    budgets: Sequence[int],
    progress: Progress | None = None,
    *,
    epochs: float = 3.0,
    points: int = POINTS,
    most_started: int = MOST_STARTED,
    stopping: EarlyStopping | None = None,
) -> tuple[Recommendation, ...]:
    """Return how to spend each of some budgets on a task.

    Learnt from the task's own trials, where there are four times more than the budget and they were
    evaluated before their end; else the advice of Section 5, that of its authors over four tasks:
    train about half the budget to the end and stop the rest after 20 to 30 % of the training.

    Args:
        budgets: in full trainings, at least 1 each.
        progress: the scores of trials of the task at their evaluations, if there are any.
        epochs: of a training; those of `progress` where it is given and has any.
        points: how many evenly spaced stopping points a training has.
        most_started: the most trials to start.
        stopping: what `compute` has found for the budgets among others, if it is known already.

    Raises:
        ValueError: where a budget is less than 1.
    """
    if wrong := [budget for budget in budgets if budget < 1]:
        raise ValueError(f"a budget is at least one training; got {wrong[0]}")
    if progress is not None and len(progress):
        epochs = progress.epochs or epochs
    learnable = [
        budget for budget in _learnable(progress, budgets, points) if budget <= most_started
    ]
    if progress is None or not learnable:
        return tuple(_papers_advice(budget, epochs, points, most_started) for budget in budgets)

    most = min(most_started, len(progress) // _TRIALS_PER_STARTED)
    if stopping is None:
        stopping = compute(progress, budgets=learnable, points=points, most_started=most)
    known = _learnt(stopping.limited(most_started=most, least_continued=1), epochs)
    learnt = {budget: known[budget] for budget in learnable}
    return tuple(
        learnt.get(budget) or _papers_advice(budget, epochs, points, most_started)
        for budget in budgets
    )


def _learnable(progress: Progress | None, budgets: Sequence[int], points: int) -> list[int]:
    """Return the budgets for which the trials tell how to spend them."""
    if progress is None or max(evaluation_at(progress, points)[1:-1], default=-1) < 0:
        return []
    return [budget for budget in budgets if len(progress) // _TRIALS_PER_STARTED > budget]


def _learnt(stopping: EarlyStopping, epochs: float) -> dict[int, Recommendation]:
    """Return the best setting of each budget as a recommendation."""
    found = {}
    for index, budget in enumerate(stopping.budget.tolist()):
        best, full = stopping.best[index], stopping.full[index]
        started, continued, part = (
            int(each[best]) for each in (stopping.started, stopping.continued, stopping.part)
        )
        setting = Setting(started, continued, part, stopping.points)
        found[budget] = Recommendation(
            budget=budget,
            start=setting.started,
            continue_best=setting.continued,
            stop=setting.stop,
            stop_epoch=setting.stop * epochs,
            cost_epochs=setting.cost * epochs,
            expected=float(stopping.mean[best]),
            expected_full=float(stopping.mean[full]),
            error_reduction=float(stopping.error_reduction[index]),
            over=stopping.over,
            trials=stopping.trials,
        )
    return found


def _papers_advice(budget: int, epochs: float, points: int, most_started: int) -> Recommendation:
    """Return a setting that meets the budget exactly and follows the paper's advice.

    Of those that continue half the budget, give or take a tenth of that, and stop at 20 to 30 %:
    the one that stops last, since trials that fail are better known by then. A budget of one
    training cannot be divided so.
    """
    setting = min(
        (
            setting
            for setting in settings(
                budget, points=points, most_started=most_started, least_continued=1
            )
            if abs(setting.continued - budget / 2) <= max(0.5, budget / 20)
            and 0.2 <= setting.stop <= 0.3
        ),
        key=lambda setting: (-setting.part, abs(setting.continued - budget / 2), setting),
        default=Setting(budget, budget, points, points),
    )
    return Recommendation(
        budget=budget,
        start=setting.started,
        continue_best=setting.continued,
        stop=setting.stop,
        stop_epoch=setting.stop * epochs,
        cost_epochs=setting.cost * epochs,
        expected=None,
        expected_full=None,
        error_reduction=None,
        over="",
        trials=0,
    )
