"""Early stopping, live: what is stopped, what it costs, and that interruptions change neither."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.contract import Status
from finetune.early_stopping import (
    BestSeeds,
    BestTrials,
    EarlyStopping,
    Ladder,
    Rule,
    Rung,
    Stretch,
    successive_halving,
)
from finetune.errors import SeedbedError
from finetune.events import Ended, Evaluation, Event, Paused, Started, Step
from finetune.executors import Report
from finetune.study import Recipe, Trial

TOTAL = 40
"""Steps of a whole trial, which is evaluated after every fifth."""


def grid(wi_seeds: int, do_seeds: int) -> list[Trial]:
    setting = {
        "study": "tiny",
        "task": "reviews",
        "model": "tiny-encoder",
        "model_fingerprint": "tiny",
        "data_fingerprint": "reviews",
        "train_limit": None,
        "validation_limit": None,
        "recipe": Recipe(),
    }
    return [
        Trial(**setting, wi_seed=wi, do_seed=do, dropout_seed=do)  # type: ignore[arg-type]
        for wi in range(wi_seeds)
        for do in range(do_seeds)
    ]


@dataclass
class World:
    """Trials whose scores are known beforehand, trained by workers of random speed.

    Attributes:
        scores: of each trial, at its evaluations.
        rng: decides which worker goes on.
        ends: trials that end by themselves, at a step, and how.
        stands: the step that each trial has come to; this is what survives an interruption.
        over: how trials ended.
        trained: optimiser steps made in all.
    """

    scores: dict[Trial, list[float]]
    rng: Random
    ends: dict[Trial, tuple[int, Status]] = field(default_factory=dict)
    stands: dict[Trial, int] = field(default_factory=dict)
    over: dict[Trial, Status] = field(default_factory=dict)
    trained: int = 0

    def best(self, trial: Trial, until: int) -> dict[int, float]:
        reached = np.maximum.accumulate(self.scores[trial])
        return {5 * i: float(best) for i, best in enumerate(reached) if 5 * i <= until}

    def train(self, stretch: Stretch) -> Iterator[Event]:
        trial = stretch.trial
        at = self.stands.setdefault(trial, 0)
        yield Started({}, {}, at)
        for step, best in self.best(trial, at).items():
            yield Evaluation(step, 0.0, 0.0, {}, 0.0, best, False)
        end, status = self.ends.get(trial, (TOTAL, Status.FINISHED))
        while at < (end if stretch.until is None else min(stretch.until, end)):
            at += 1
            self.trained += 1
            yield Step(at, 0.5)
            self.stands[trial] = at
            if at % 5 == 0:
                yield Evaluation(at, 0.0, 0.0, {}, 0.0, self.best(trial, at)[at], False)
        if at == end:
            yield Ended(status)
        else:
            yield Ended(Status.STOPPED_EARLY) if stretch.is_last else Paused(at)

    def run(self, stretches: Iterable[Stretch | None], workers: int) -> Iterator[Report]:
        left, busy, is_over = iter(stretches), list[tuple[Trial, Iterator[Event]]](), False
        while True:
            while len(busy) < workers and not is_over:
                try:
                    upcoming = next(left)
                except StopIteration:
                    is_over = True
                    break
                if upcoming is None:
                    assert busy
                    break
                busy.append((upcoming.trial, self.train(upcoming)))
            if not busy:
                return
            place = self.rng.randrange(len(busy))
            trial, events = busy[place]
            event = next(events)
            if isinstance(event, Ended):
                self.over[trial] = event.status
            yield Report(trial, event)
            if isinstance(event, Ended | Paused):
                del busy[place]


def drive(
    world: World,
    trials: Sequence[Trial],
    rule: Rule,
    *,
    reports: int | None = None,
    workers: int = 3,
) -> None:
    """Train by a rule from where the world stands, to the end or for so many reports."""
    ladder = Ladder(trials, rule, TOTAL)
    ladder.begin(
        (trial, world.best(trial, world.stands.get(trial, 0)), world.stands.get(trial, 0))
        for trial in trials
        if trial in world.over
    )
    stopping = EarlyStopping({"reviews": ladder})
    for number, report in enumerate(world.run(stopping, workers)):
        stopping.add(report)
        if number == reports:
            return


def world_of(trials: Sequence[Trial], seed: int) -> World:
    rng = Random(seed)
    # Few values, so that there are equals.
    scores = {t: [rng.randrange(8) / 8 for _ in range(TOTAL // 5 + 1)] for t in trials}
    return World(scores, rng)


@given(
    seed=st.integers(0, 2**32),
    started=st.integers(1, 12),
    continued=st.integers(1, 12),
    step=st.integers(5, TOTAL - 1),
)
def test_the_best_go_on_and_the_cost_is_that_of_the_formula_to_the_step(
    seed: int, started: int, continued: int, step: int
) -> None:
    trials = grid(started, 1)
    world = world_of(trials, seed)
    continued = min(continued, started)
    share = Fraction(step, TOTAL)
    rule = Rule((Rung(share, BestTrials(continued)),))
    drive(world, trials, rule)

    formula = (started * share + continued * (1 - share)) * TOTAL
    assert world.trained == formula == rule.steps(trials, TOTAL)
    # Of equals the first of the plan is the better.
    ranked = sorted(trials, key=lambda t: (-max(world.best(t, step).values()), t.wi_seed))
    for place, trial in enumerate(ranked):
        status = Status.FINISHED if place < continued else Status.STOPPED_EARLY
        assert world.over[trial] is status
        assert world.stands[trial] == (TOTAL if place < continued else step)


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(0, 150), max_size=6))
def test_a_study_cut_off_anywhere_and_taken_up_again_stops_the_same_trials(
    seed: int, cuts: list[int]
) -> None:
    trials = grid(3, 3)
    rule = Rule((Rung(Fraction(1, 4), BestTrials(5)), Rung(Fraction(1, 2), BestTrials(2))))
    undisturbed, disturbed = world_of(trials, seed), world_of(trials, seed)
    drive(undisturbed, trials, rule)
    disturbed.rng = Random(seed + 1)
    for reports in cuts:
        drive(disturbed, trials, rule, reports=reports, workers=1 + reports % 3)
    drive(disturbed, trials, rule)
    assert disturbed.over == undisturbed.over
    assert disturbed.stands == undisturbed.stands


def test_what_ends_by_itself_before_it_is_ranked_takes_nobodys_place() -> None:
    trials = grid(5, 1)
    world = world_of(trials, 1)
    for rank, trial in enumerate(trials):
        world.scores[trial] = [1 - rank / 10] * 9
    world.ends = {trials[0]: (3, Status.DIVERGED), trials[1]: (7, Status.FAILED)}
    drive(world, trials, Rule((Rung(Fraction(1, 4), BestTrials(2)),)))
    assert [world.over[trial] for trial in trials] == [
        Status.DIVERGED,
        Status.FAILED,
        Status.FINISHED,
        Status.FINISHED,
        Status.STOPPED_EARLY,
    ]


def test_poor_seeds_are_dropped_whole() -> None:
    trials = grid(3, 3)
    world = world_of(trials, 1)
    # WI seed 1 is best on average, though the best trial of all is of WI seed 0 and DO seed 0.
    quality = [[0.9, 0.1, 0.1], [0.6, 0.7, 0.8], [0.2, 0.3, 0.4]]
    for trial in trials:
        world.scores[trial] = [quality[trial.wi_seed][trial.do_seed]] * 9
    rule = Rule((Rung(Fraction(1, 4), BestSeeds(2, 1)),))
    drive(world, trials, rule)
    # Means: WI 0.37, 0.70, 0.30; DO 0.57, 0.37, 0.43.
    finished = {(t.wi_seed, t.do_seed) for t in trials if world.over[t] is Status.FINISHED}
    assert finished == {(0, 0), (1, 0)}
    assert world.trained == rule.steps(trials, TOTAL) == 9 * 10 + 2 * 30


@pytest.mark.parametrize(
    ("started", "one_in", "field", "shares"),
    [
        (16, 2, [8, 4, 2, 1], ["1/16", "1/8", "1/4", "1/2"]),
        (27, 3, [9, 3, 1], ["1/27", "1/9", "1/3"]),
        (11, 2, [5, 2, 1], ["1/8", "1/4", "1/2"]),
        (2, 2, [1], ["1/2"]),
    ],
)
def test_successive_halving_gives_the_survivors_as_much_more(
    started: int, one_in: int, field: list[int], shares: list[str]
) -> None:
    rule = successive_halving(started, one_in)
    assert rule.counts(grid(started, 1)) == field
    assert [str(rung.at) for rung in rule.rungs] == shares
    assert all(b.at == a.at * one_in for a, b in pairwise(rule.rungs))


def test_successive_halving_trains_the_last_to_its_end() -> None:
    trials = grid(8, 1)
    world = world_of(trials, 3)
    rule = successive_halving(8)
    drive(world, trials, rule)
    assert sorted(world.stands.values()) == [5, 5, 5, 5, 10, 10, 20, 40]
    assert world.trained == rule.steps(trials, TOTAL) == 8 * 5 + 4 * 5 + 2 * 10 + 20


def test_without_rungs_all_are_trained_to_their_end() -> None:
    trials = grid(3, 1)
    world = world_of(trials, 3)
    drive(world, trials, Rule(()))
    assert set(world.over.values()) == {Status.FINISHED}
    assert world.trained == Rule(()).steps(trials, TOTAL) == 3 * TOTAL


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rule((Rung(Fraction(1), BestTrials(1)),)), "above 0 and below 1: found 1"),
        (
            lambda: Rule(
                (Rung(Fraction(1, 2), BestTrials(2)), Rung(Fraction(1, 4), BestTrials(1)))
            ),
            "must rise: found 0.5, 0.25",
        ),
        (lambda: successive_halving(2, 3), "start at least 3"),
    ],
)
def test_a_rule_that_cannot_be_is_said_so(make: Any, message: str) -> None:
    with pytest.raises(SeedbedError, match=message):
        make()


def test_a_step_of_a_share_is_the_first_whole_one_after_it_without_rounding() -> None:
    rung = Rung(Fraction("0.3"), BestTrials(1))
    assert [rung.step(total) for total in (690, 691, 10, 1)] == [207, 208, 3, 1]
