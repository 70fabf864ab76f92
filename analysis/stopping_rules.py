"""Which stopping rule finds the best for the same cost? Beyond Section 5, whose footnote 11 asks.

Each rule spends a budget of x full trainings, or as near below as whole trials allow:

- full training: x trials to their end;
- t/f/p: start t, continue the best p at a share f; as the paper advises, and as learnt here;
- successive halving (Jamieson and Talwalkar, 2016): the best half goes on at 1/8, 1/4 and 1/2;
- seed-wise stopping: start every pair of some WI and some DO seeds, and predict each trial by the
  mean of its WI seed plus that of its DO seed over what was started, not by its own score; the best
  by prediction go on.

All rank by the best score so far, and find the best score of all that they trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analysis.bootstrap import interval, units
from analysis.early_stopping import POINTS, evaluation_at, recommend, recommend_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from analysis.bootstrap import Over
    from analysis.early_stopping import EarlyStopping, Recommendation
    from analysis.progress import Progress

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

Rule = Literal[
    "full training",
    "t/f/p, the paper's advice",
    "t/f/p, learnt here",
    "successive halving",
    "seed-wise stopping",
]

_HALVING = (1 / 8, 1 / 4, 1 / 2)
"""Shares of the training at which half goes on: each rung costs about as much as the others."""


@dataclass(frozen=True)
class Plan:
    """What a rule does with a budget.

    Attributes:
        rule: which.
        started: how many trials it starts: of `full training` and t/f/p any; of seed-wise stopping
            WI seeds × DO seeds.
        rungs: when it stops trials: after which part of `points`, and how many go on.
        seeds: how many WI and DO seeds it starts; None where it draws trials.
        points: how many stopping points a training has.
    """

    rule: Rule
    started: int
    rungs: tuple[tuple[int, int], ...] = ()
    seeds: tuple[int, int] | None = None
    points: int = POINTS

    @property
    def cost(self) -> float:
        """What it costs in full trainings."""
        parts = [part for part, _ in self.rungs]
        alive = [self.started, *(number for _, number in self.rungs)]
        spans = np.diff([0, *parts, self.points])
        return float(np.dot(alive, spans) / self.points)

    @property
    def in_words(self) -> str:
        """What it does, in words."""
        started = f"start {self.started}"
        if self.seeds:
            started += f" ({self.seeds[0]} WI × {self.seeds[1]} DO seeds)"
        rungs = [f"continue {number} after {part / self.points:.0%}" for part, number in self.rungs]
        return ", ".join([started, *rungs])


@dataclass(frozen=True)
class RuleOutcome:
    """What a rule is expected to find.

    Attributes:
        plan: what it does.
        mean: the expected best score.
        gain: that less the expected best score of full training at the same budget.
        low: between this
        high: and this the gain lies, with the confidence of the comparison, for the same plan.
    """

    plan: Plan
    mean: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class StoppingRules:
    """Rules compared at one budget.

    Attributes:
        budget: in full trainings.
        outcomes: of each rule that the trials allow, full training first.
        trials: N, the number of trials drawn from.
        over: what was resampled for the intervals.
        units: how many of those there are.
        confidence: of the intervals, each by itself.
        draws: how often each rule was simulated; the closed form was used for full training.
        left_out: rules that the trials do not allow, and why.
    """

    budget: int
    outcomes: tuple[RuleOutcome, ...]
    trials: int
    over: Over
    units: int
    confidence: float
    draws: int
    left_out: dict[Rule, str]


def compute(
    progress: Progress,
    budget: int,
    rng: np.random.Generator,
    *,
    points: int = POINTS,
    draws: int = 10_000,
    repetitions: int = 200,
    confidence: float = 0.95,
    stopping: EarlyStopping | None = None,
) -> StoppingRules:
    """Return what each rule is expected to find with a budget.

    Intervals resample both seeds where there is one trial for each pair of them, else the trials.
    The plans stay what they are: that of `t/f/p, learnt here` was chosen for these very trials, and
    its gain is flattered by it.

    Args:
        progress: the scores of N trials at their evaluations.
        budget: in full trainings, from 1 to N.
        rng: draws the trials, and resamples.
        points: how many evenly spaced stopping points a training has.
        draws: how often each rule is simulated for its mean; a fortieth as often in each resample.
        repetitions: how many resamples.
        confidence: of the intervals, between 0 and 1.
        stopping: what `early_stopping.compute` has found for this budget among others, if known.

    Raises:
        ValueError: where the budget is not from 1 to the number of trials.
    """
    trials = len(progress)
    if not 1 <= budget <= trials:
        raise ValueError(f"budget must be from 1 to the number of trials, {trials}; got {budget}")
    cells = _cells(progress)
    plans, left_out = _plans(progress, budget, points, cells, stopping)
    columns = _columns(progress, points)
    mean = _simulated(progress, plans, columns, _everything(trials, cells), rng, draws)

    over: Over = "trials" if cells is None else "both seeds"
    few = max(100, draws // 40)
    gains = np.empty((repetitions, len(plans)))
    for repetition in range(repetitions):
        resample = _resampled(trials, cells, rng)
        found = _simulated(progress, plans, columns, resample, rng, few)
        gains[repetition] = found - found[0]
    # A resample has trials in it twice and thrice: the more a rule draws, the less it finds there;
    # the estimate itself is unbiased, drawn without replacement.
    gains += (mean - mean[0]) - gains.mean(axis=0)
    low, high = interval(gains, units(progress, over), confidence=confidence)
    return StoppingRules(
        budget=budget,
        outcomes=tuple(
            RuleOutcome(
                plan, float(mean[i]), float(mean[i] - mean[0]), float(low[i]), float(high[i])
            )
            for i, plan in enumerate(plans)
        ),
        trials=trials,
        over=over,
        units=units(progress, over),
        confidence=confidence,
        draws=draws,
        left_out=left_out,
    )


# ── Plans ────────────────────────────────────────────────────────────────────────────────────────
def _plans(
    progress: Progress,
    budget: int,
    points: int,
    cells: Counts | None,
    stopping: EarlyStopping | None,
) -> tuple[list[Plan], dict[Rule, str]]:
    """Return the plan of each rule that the trials allow, full training first; and the others."""
    trials = len(progress)
    plans = [Plan("full training", budget, points=points)]
    left_out: dict[Rule, str] = {}

    advice = recommend(budget, points=points)
    if advice.start > trials:
        left_out["t/f/p, the paper's advice"] = (
            f"it starts {advice.start} trials, and there are {trials}"
        )
    else:
        plans.append(_of(advice, "t/f/p, the paper's advice", points))
    (learnt,) = recommend_each([budget], progress, points=points, stopping=stopping)
    if learnt.is_papers:
        left_out["t/f/p, learnt here"] = f"{trials} trials are too few to learn from"
    else:
        plans.append(_of(learnt, "t/f/p, learnt here", points))

    plans.append(halve(budget, trials, points))
    if cells is None:
        left_out["seed-wise stopping"] = "not every pair of seeds has one trial"
    else:
        plans.append(_seedwise(budget, cells.shape, points))
    return plans, left_out


def _of(found: Recommendation, rule: Rule, points: int) -> Plan:
    rungs = ((round(found.stop * points), found.continue_best),) if found.stop < 1 else ()
    return Plan(rule, found.start, rungs, points=points)


def halve(budget: int, trials: int, points: int = POINTS) -> Plan:
    """Return successive halving's plan: it starts as many trials as the budget allows.

    Args:
        budget: in full trainings.
        trials: how many there are to start, at least the budget.
        points: how many stopping points a training has.
    """
    parts = sorted({max(1, round(share * points)) for share in _HALVING} - {points})

    def plan(started: int) -> Plan:
        alive = [max(1, started >> rung) for rung in range(1, len(parts) + 1)]
        rungs = tuple(zip(parts, alive, strict=True))
        return Plan("successive halving", started, rungs, points=points)

    affordable = (plan(n) for n in range(trials, 0, -1) if plan(n).cost <= budget)
    return next(affordable, Plan("successive halving", budget, points=points))


def _seedwise(budget: int, grid: tuple[int, ...], points: int) -> Plan:
    """Return seed-wise stopping's plan: start up to twice the budget, stop as the paper advises.

    The largest block of seeds at most twice as long as wide, so that seeds of both kinds are seen
    about equally often; of these the squarest.
    """
    part = max(1, round(0.3 * points))
    shapes = [
        (wi, do)
        for wi in range(1, grid[0] + 1)
        for do in range(1, grid[1] + 1)
        if budget <= wi * do <= 2 * budget and wi * do * part + points - part <= budget * points
    ]
    wi, do = min(
        shapes,
        key=lambda shape: (
            max(shape) > 2 * min(shape),
            -shape[0] * shape[1],
            abs(shape[0] - shape[1]),
        ),
    )
    started = wi * do
    continued = (budget * points - started * part) // (points - part)
    rungs = ((part, continued),) if continued < started else ()
    return Plan("seed-wise stopping", started, rungs, seeds=(wi, do), points=points)


# ── Simulation ───────────────────────────────────────────────────────────────────────────────────
def _cells(progress: Progress) -> Counts | None:
    """Return which trial each WI and DO seed has together, if each pair has one."""
    wi, row = np.unique(progress.wi_seed, return_inverse=True)
    do, column = np.unique(progress.do_seed, return_inverse=True)
    cells = np.full((len(wi), len(do)), -1)
    cells[row, column] = np.arange(len(progress))
    full = (cells >= 0).all() and cells.size == len(progress) and min(cells.shape) > 1
    return cells if full else None


def _everything(trials: int, cells: Counts | None) -> Counts:
    return np.arange(trials) if cells is None else cells


def _resampled(trials: int, cells: Counts | None, rng: np.random.Generator) -> Counts:
    """Return the trials of a resample: of both seeds where there is a grid, else of trials."""
    if cells is None:
        return rng.integers(trials, size=trials)
    rows, columns = cells.shape
    return cells[np.ix_(rng.integers(rows, size=rows), rng.integers(columns, size=columns))]


def _columns(progress: Progress, points: int) -> Counts:
    """Return which evaluation tells at each stopping point: the last one up to there."""
    known = evaluation_at(progress, points)
    return np.maximum.accumulate(known)


def _simulated(
    progress: Progress,
    plans: Sequence[Plan],
    columns: Counts,
    population: Counts,
    rng: np.random.Generator,
    draws: int,
) -> Floats:
    """Return the mean find of each plan over draws from a population of trials.

    Args:
        progress: the scores of the trials.
        plans: what the rules do; those that stop none have a closed form.
        columns: int64[points + 1], which evaluation tells at each stopping point.
        population: numbers of trials, int64[N] or laid out by seed.
        rng: draws.
        draws: how often.
    """
    from analysis import expected_performance

    best, final = progress.best, progress.final
    trials = population.ravel()
    found = np.zeros(len(plans))
    most = max((plan.started for plan in plans if plan.rungs and plan.seeds is None), default=1)
    for begin in range(0, draws, _DRAWS_AT_ONCE):
        size = min(_DRAWS_AT_ONCE, draws - begin)
        # Rules that draw trials draw the same: what one has by luck the other has too.
        order = _first_of_order(rng.random((size, len(trials))), most)
        for place, plan in enumerate(plans):
            if not plan.rungs:
                continue
            alive = (
                trials[order[:, : plan.started]]
                if plan.seeds is None
                else _block(population, plan.seeds, rng, size)
            )
            for part, number in plan.rungs:
                reached = best[alive, columns[part]]
                if plan.seeds:
                    reached = _by_seeds(reached, plan.seeds)
                behind = _TIE_BREAKER * rng.random(reached.shape) - reached
                chosen = np.argpartition(behind, number - 1, axis=1)[:, :number]
                alive = np.take_along_axis(alive, chosen, axis=1)
            found[place] += final[alive].max(axis=1).sum() / draws
    for place, plan in enumerate(plans):
        if not plan.rungs:
            curve = expected_performance.compute(
                final[trials], replacement=False, budget=plan.started
            )
            found[place] = curve.mean[-1]
    return found


def _first_of_order(keys: Floats, most: int) -> Counts:
    """Return the places of the lowest keys of each row in order, int64[rows, most]."""
    lowest = np.argpartition(keys, most - 1, axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(keys, lowest, axis=1), axis=1)
    return np.take_along_axis(lowest, order, axis=1)


_DRAWS_AT_ONCE = 2_000

_TIE_BREAKER = 1e-9
"""Less than any two different scores differ by."""


def _block(
    population: Counts, seeds: tuple[int, int], rng: np.random.Generator, draws: int
) -> Counts:
    """Return the trials of so many WI and DO seeds in each draw, int64[draws, started]."""
    rows, columns = (
        np.argsort(rng.random((draws, there)), axis=1)[:, :taken]
        for there, taken in zip(population.shape, seeds, strict=True)
    )
    return population[rows[:, :, None], columns[:, None, :]].reshape(draws, -1)


def _by_seeds(reached: Floats, seeds: tuple[int, int]) -> Floats:
    """Return what the means of a trial's two seeds predict for it, up to a constant."""
    block = reached.reshape(-1, *seeds)
    # A trial without a score yet counts as the worst that has one.
    worst = np.min(block, axis=(1, 2), where=np.isfinite(block), initial=np.inf, keepdims=True)
    known = np.where(np.isfinite(block), block, np.where(np.isfinite(worst), worst, 0.0))
    predicted: Floats = known.mean(axis=2, keepdims=True) + known.mean(axis=1, keepdims=True)
    return predicted.reshape(reached.shape)
