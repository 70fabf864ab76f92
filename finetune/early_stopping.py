"""Early stopping, live: start many trials, stop the poor ones early, continue the rest (Section 5).

A rule has rungs. At each, after a share of the training, the trials that have come so far are
ranked and some are stopped. With one rung it is the paper's: t trials are started, and after the
share f the best p of them go on, which takes (t·f + p·(1 − f))·s optimiser steps where s is those
of a whole trial. With several it is successive halving.
"""

import json
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean
from typing import Protocol, TypeVar

from finetune import contract
from finetune.contract import Status
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, Paused, Started, Step
from finetune.executors import Report
from finetune.grid import Grid, Plan
from finetune.study import Trial
from finetune.tracking import TrackedTrial, Tracker

Scores = Mapping[Trial, float]
"""Of each trial its best score so far."""


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────
class Choice(Protocol):
    """Which trials go on."""

    def choose(self, scores: Scores) -> set[Trial]:
        """Return the trials that go on. Of equal ones those come first that the scores name first.

        Args:
            scores: of the trials that came so far, in the order of the plan.
        """
        ...

    def count(self, trials: Sequence[Trial]) -> int:
        """Return how many of so many trials go on."""
        ...


@dataclass(frozen=True)
class BestTrials:
    """The trials with the best scores so far.

    Attributes:
        trials: how many, at least 1.
    """

    trials: int

    def choose(self, scores: Scores) -> set[Trial]:
        """Return the trials that go on; see `Choice`."""
        return set(_best(scores, self.trials))

    def count(self, trials: Sequence[Trial]) -> int:
        """Return how many of these trials go on."""
        return min(self.trials, len(trials))


@dataclass(frozen=True)
class BestSeeds:
    """The trials both of whose seeds are good: poor seeds are dropped whole.

    A seed is ranked by the mean score of its trials, over all the seeds that they meet. The paper
    leaves this to future work (footnote 11).

    Attributes:
        wi_seeds: how many seeds of the weight initialisation go on, at least 1.
        do_seeds: how many seeds of the data order go on, at least 1.
    """

    wi_seeds: int
    do_seeds: int

    def choose(self, scores: Scores) -> set[Trial]:
        """Return the trials that go on; see `Choice`."""
        wi_scores, do_scores = defaultdict(list), defaultdict(list)
        for trial, score in scores.items():
            wi_scores[trial.wi_seed].append(score)
            do_scores[trial.do_seed].append(score)
        wi_kept = _best({seed: fmean(own) for seed, own in wi_scores.items()}, self.wi_seeds)
        do_kept = _best({seed: fmean(own) for seed, own in do_scores.items()}, self.do_seeds)
        return {trial for trial in scores if trial.wi_seed in wi_kept and trial.do_seed in do_kept}

    def count(self, trials: Sequence[Trial]) -> int:
        """Return how many of these trials go on, where they are a whole grid."""
        wi_seeds = min(self.wi_seeds, len({trial.wi_seed for trial in trials}))
        do_seeds = min(self.do_seeds, len({trial.do_seed for trial in trials}))
        pairs = len({(trial.wi_seed, trial.do_seed) for trial in trials})
        return wi_seeds * do_seeds * len(trials) // pairs


_Ranked = TypeVar("_Ranked")


def _best(scores: Mapping[_Ranked, float], count: int) -> list[_Ranked]:
    return sorted(scores, key=lambda each: scores[each], reverse=True)[:count]


@dataclass(frozen=True)
class Rung:
    """A point of the training at which trials are ranked, and poor ones stopped.

    Attributes:
        at: the share of the training, above 0 and below 1.
        choice: which trials go on.
    """

    at: Fraction
    choice: BestTrials | BestSeeds

    def step(self, total_steps: int) -> int:
        """Return the optimiser step at which it lies: the first whole one after its share."""
        return math.ceil(self.at * total_steps)


@dataclass(frozen=True)
class Rule:
    """The rungs that trials have to pass, from the first to the last.

    Attributes:
        rungs: without any, all trials are trained to their end.
    """

    rungs: tuple[Rung, ...]

    def __post_init__(self) -> None:
        shares = [rung.at for rung in self.rungs]
        if any(not 0 < share < 1 for share in shares):
            raise SeedbedError(
                f"trials are stopped after a share of the training above 0 and below 1: found "
                f"{', '.join(map(str, shares))}."
            )
        if sorted(set(shares)) != shares:
            raise SeedbedError(
                f"the shares after which trials are stopped must rise: found "
                f"{', '.join(f'{float(share):g}' for share in shares)}."
            )

    def counts(self, trials: Sequence[Trial]) -> list[int]:
        """Return how many of the trials go on after each rung."""
        counts, field = [], len(trials)
        for rung in self.rungs:
            field = min(field, rung.choice.count(trials))
            counts.append(field)
        return counts

    def steps(self, trials: Sequence[Trial], total_steps: int) -> int:
        """Return how many optimiser steps it takes in all, where no trial ends by itself.

        With one rung at the step f·s that is (t·f + p·(1 − f))·s.

        Args:
            trials: of one task, all that are started.
            total_steps: s, of a whole trial.
        """
        steps, field, before = 0, len(trials), 0
        for rung, count in zip(self.rungs, self.counts(trials), strict=True):
            step = rung.step(total_steps)
            steps += field * (step - before)
            field, before = count, step
        return steps + field * (total_steps - before)

    def to_json(self) -> str:
        """Write the rule, for the tag of its experiment."""
        rungs = [{"at": str(rung.at), **vars(rung.choice)} for rung in self.rungs]
        return json.dumps(rungs, separators=(",", ":"))


def successive_halving(started: int, keep_one_in: int = 2) -> Rule:
    """Return the rule of successive halving (Jamieson and Talwalkar, 2016).

    Of the trials at a rung one in `keep_one_in` goes on, to so many times as much training, until
    the last one is trained to its end.

    Raises:
        SeedbedError: where so few trials are started that there is nothing to halve.
    """
    rungs: list[Rung] = []
    field = started
    while field >= keep_one_in:
        field //= keep_one_in
        rungs.append(Rung(Fraction(1), BestTrials(field)))
    if not rungs:
        raise SeedbedError(
            f"successive halving of {started} trials: start at least {keep_one_in}, of which one "
            "goes on."
        )
    # Each rung at so many times the training of the one before it, the end being the last.
    shares = [Fraction(1, keep_one_in**power) for power in range(len(rungs), 0, -1)]
    return Rule(tuple(Rung(at, rung.choice) for at, rung in zip(shares, rungs, strict=True)))


# ── Stopping, live ───────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Stretch:
    """A part of a trial's training.

    Attributes:
        trial: the trial.
        until: the optimiser step that it ends with; None for the trial's end.
        is_last: whether the trial is over there, as stopped early.
    """

    trial: Trial
    until: int | None = None
    is_last: bool = False


class EarlyStopping:
    """What to train next, by the rule of each task, given what has come of it so far.

    Which trials go on depends on the scores alone, not on which came first; so a study taken up
    again after whatever interruption stops the same trials.
    """

    def __init__(self, ladders: Mapping[str, "Ladder"]) -> None:
        """Begin.

        Args:
            ladders: of each task.
        """
        self._ladders = ladders

    def __iter__(self) -> Iterator[Stretch | None]:
        """Yield what to train; None while that depends on what is being trained."""
        while not all(ladder.is_over for ladder in self._ladders.values()):
            ready = (ladder for ladder in self._ladders.values() if ladder.is_ready)
            ladder = next(ready, None)
            yield None if ladder is None else ladder.take()

    def rule(self, task: str) -> Rule:
        """Return the rule of a task."""
        return self._ladders[task].rule

    @property
    def left(self) -> dict[str, float]:
        """How much is left to train of each task, in whole trials' worth, where none fails."""
        return {task: ladder.left for task, ladder in self._ladders.items()}

    def add(self, report: Report) -> None:
        """Take in what has happened."""
        self._ladders[report.trial.task].add(report)


class Ladder:
    """The trials of one task on their way from rung to rung.

    Attributes:
        rule: what they have to pass.
    """

    def __init__(self, trials: Sequence[Trial], rule: Rule, total_steps: int) -> None:
        """Begin with all trials at their start.

        Args:
            trials: of one task, in the order of the plan.
            rule: what they have to pass.
            total_steps: of a whole trial.
        """
        self.rule = rule
        self._total_steps = total_steps
        self._steps = [rung.step(total_steps) for rung in rule.rungs]
        self._rung = 0
        self._field = list(trials)
        self._best: dict[Trial, dict[int, float]] = {trial: {} for trial in trials}
        self._step = dict.fromkeys(trials, 0)
        self._stands = dict.fromkeys(trials, 0)
        self._ended: set[Trial] = set()
        self._ready: deque[Stretch] = deque()
        self._under_way: set[Trial] = set()

    def begin(self, known: Iterable[tuple[Trial, Mapping[int, float], int]] = ()) -> None:
        """Have what is left of the trials trained.

        Args:
            known: the trials that are over already: each with its best score so far by the step of
                the evaluation, and the number of steps that it made.
        """
        for trial, best, step in known:
            self._best[trial] = dict(best)
            self._stands[trial] = step
            self._ended.add(trial)
        first = self._steps[0] if self._steps else None
        self._ready.extend(
            Stretch(trial, first) for trial in self._field if trial not in self._ended
        )
        self._decide()

    @property
    def left(self) -> float:
        """How much is left to train, in whole trials' worth, where none ends by itself."""
        steps = self.rule.steps(list(self._stands), self._total_steps)
        return max(steps - sum(self._stands.values()), 0) / self._total_steps

    @property
    def is_ready(self) -> bool:
        """Whether there is something to train now."""
        return bool(self._ready)

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to train, and nothing more will come."""
        return not self._ready and not self._under_way

    def take(self) -> Stretch:
        """Return what to train next."""
        stretch = self._ready.popleft()
        self._under_way.add(stretch.trial)
        return stretch

    def add(self, report: Report) -> None:
        """Take in what has happened."""
        trial = report.trial
        match report.event:
            case Started(step=step) | Step(step=step):
                self._step[trial] = step
            case Evaluation(step=step, best_score=best):
                self._best[trial][step] = best
            case Paused(step=step):
                self._stands[trial] = step
                self._under_way.discard(trial)
                self._decide()
            case Ended():
                self._stands[trial] = self._step[trial]
                self._ended.add(trial)
                self._under_way.discard(trial)
                self._decide()
            case _:
                pass

    def _decide(self) -> None:
        """Rank the trials at each rung where all have come that will."""
        while self._rung < len(self._steps):
            step = self._steps[self._rung]
            here = [trial for trial in self._field if self._stands[trial] >= step]
            if not self._ended.issuperset(set(self._field).difference(here)):
                return
            scores = {trial: self._best_until(trial, step) for trial in here}
            chosen = self.rule.rungs[self._rung].choice.choose(scores)
            self._rung += 1
            is_last = self._rung == len(self._steps)
            upcoming = None if is_last else self._steps[self._rung]
            for trial in here:
                if trial in self._ended:
                    continue
                goes_on = trial in chosen
                self._ready.append(
                    Stretch(trial, upcoming) if goes_on else Stretch(trial, step, True)
                )
            self._field = [trial for trial in here if trial in chosen]

    def _best_until(self, trial: Trial, step: int) -> float:
        known = [best for evaluated, best in self._best[trial].items() if evaluated <= step]
        return max(known, default=-math.inf)


def early_stopping(
    plan: Plan, rules: Mapping[str, Rule], trials: Sequence[Trial], tracker: Tracker
) -> EarlyStopping:
    """Return the early stopping of a study as far as it has come.

    Args:
        plan: the study.
        rules: of each task.
        trials: those that the store does not hold as over.
        tracker: the store.

    Raises:
        SeedbedError: where trials were stopped by another rule, the data of a task has faults, or
            a rung is so early that no trial has been evaluated by then.
    """
    ladders = {}
    left = set(trials)
    for grid in plan.grids:
        rule, all_trials = rules[grid.task], grid.trials()
        tracked = tracker.trials(grid.study)
        _check_rule(grid, rule, tracker, [tracked[t.id] for t in all_trials if t.id in tracked])
        ladder = ladders[grid.task] = Ladder(all_trials, rule, total_steps(plan, grid, rule))
        ladder.begin(
            (trial, *_course(tracked[trial.id], tracker))
            for trial in all_trials
            if trial not in left and trial.id in tracked
        )
    return EarlyStopping(ladders)


def _course(run: TrackedTrial, tracker: Tracker) -> tuple[dict[int, float], int]:
    """Return a trial's best scores so far, by step, and how many steps it made."""
    best = tracker.history(run.run_id, contract.METRIC_BEST_SCORE)
    steps = tracker.history(run.run_id, contract.METRIC_TRAIN_LOSS)
    return {step: score for step, score, _ in best}, max((step for step, *_ in steps), default=0)


def total_steps(plan: Plan, grid: Grid, rule: Rule | None = None) -> int:
    """Return how many optimiser steps a whole trial of a grid makes.

    Args:
        plan: the study.
        grid: one of its grids.
        rule: is checked against the steps after which trials are evaluated.

    Raises:
        SeedbedError: where the data has faults, or by the first rung no trained model has been
            evaluated.
    """
    data = plan.tasks[grid.task].source.read().limited(grid.train_limit, grid.validation_limit)
    steps_per_epoch = grid.recipe.steps_per_epoch(len(data.train))
    total = steps_per_epoch * grid.recipe.epochs
    if rule is not None and rule.rungs:
        first = grid.recipe.evaluation_steps(steps_per_epoch)[1]
        step = rule.rungs[0].step(total)
        if step < first:
            raise SeedbedError(
                f"task {grid.task}: after {float(rule.rungs[0].at):g} of the training, {step} "
                f"steps, no trial has been evaluated; the first evaluation is after {first} of "
                f"{total} steps. Stop later, or evaluate more often (--set evaluate=…)."
            )
    return total


def _check_rule(grid: Grid, rule: Rule, tracker: Tracker, runs: Sequence[TrackedTrial]) -> None:
    name = contract.experiment_name(grid.study, grid.task)
    before = tracker.notes_of(grid.study, contract.TAG_STOPPING).get((name, contract.TAG_STOPPING))
    stopped = sum(run.status is Status.STOPPED_EARLY for run in runs)
    if stopped and before != rule.to_json():
        raise SeedbedError(
            f"study {grid.study}: {stopped} trials of task {grid.task} were stopped early by "
            "another rule, and cannot go on. Give the same rule as then, or the study another "
            "--name."
        )
