"""Claims: no two drivers run a trial, and only the runs of dead ones are called abandoned."""

import json
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune import contract
from finetune.claims import Claim, Claims, Process
from finetune.contract import Status
from finetune.driver import run
from finetune.errors import SeedbedError
from finetune.events import Ended, Started, Step
from finetune.executors import Assignment, Report
from finetune.grid import Grid, Plan, plan
from finetune.study import Recipe, Trial
from finetune.study_file import parse_study
from finetune.tracking import Tracker

GRID = Grid(
    study="tiny",
    task="reviews",
    model="tiny-encoder",
    model_fingerprint="tiny",
    data_fingerprint="reviews",
    train_limit=None,
    validation_limit=None,
    recipe=Recipe(epochs=1),
    wi_seeds=tuple(range(1, 11)),
    do_seeds=tuple(range(1, 11)),
    dropout_seeds=None,
)
ELSEWHERE = Process("node-7", "another machine", 4711, "12345")
OWN = Process.own()


@given(chosen=st.sets(st.integers(0, 99)))
def test_a_claim_is_read_as_it_was_written(chosen: set[int]) -> None:
    planned = GRID.trials()
    trials = [planned[place] for place in chosen]
    claim = Claim.from_json(Claim.on(GRID, trials, OWN).to_json())
    assert claim.trials == {trial.id for trial in trials}
    assert claim.process == OWN


def test_a_claim_on_a_large_grid_fits_into_a_tag() -> None:
    grid = replace(GRID, wi_seeds=tuple(range(50)), do_seeds=tuple(range(100)))
    planned = grid.trials()
    for trials in (planned, planned[2::16], planned[1234:]):
        assert len(Claim.on(grid, trials, OWN).to_json()) < 5000


def test_a_process_of_this_machine_is_known_to_live_or_not() -> None:
    assert OWN.is_alive
    assert not replace(OWN, number=2**22 - 1).is_alive
    assert not replace(OWN, born="1").is_alive, "its number was given to another"
    assert ELSEWHERE.is_alive is None


@pytest.mark.parametrize(("silence", "holds"), [(0, True), (290, True), (310, False)])
def test_a_process_of_another_machine_lives_while_it_is_heard_of(
    silence: float, holds: bool
) -> None:
    claim = replace(Claim.on(GRID, [], ELSEWHERE), heard=time.time() - silence)
    assert claim.holds is holds


# ── Among drivers ────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def laid_out(tiny_encoder: Path) -> Plan:
    text = (
        f'study: tiny\nmodel: "{tiny_encoder}"\ntasks: [entailment]\nwi_seeds: 1-2\ndo_seeds: 1-2'
    )
    return plan(parse_study(text, "study.yaml"))


@pytest.fixture
def tracker(laid_out: Plan, new_store: Callable[[str], str]) -> Tracker:
    tracker = Tracker(new_store("store"))
    for grid in laid_out.grids:
        tracker.prepare(grid)
    return tracker


def claim_elsewhere(tracker: Tracker, laid_out: Plan, trials: list[Trial], **changes: Any) -> None:
    claim = replace(Claim.on(laid_out.grids[0], trials, ELSEWHERE), **changes)
    tracker.note("tiny/entailment", f"{contract.TAG_DRIVER}other", claim.to_json())


def claims_in(tracker: Tracker) -> list[Claim]:
    return [
        Claim.from_json(text) for text in tracker.notes_of("tiny", contract.TAG_DRIVER).values()
    ]


def test_a_trial_that_another_driver_runs_is_not_run_as_well(
    laid_out: Plan, tracker: Tracker
) -> None:
    trials = laid_out.trials()
    claim_elsewhere(tracker, laid_out, trials[:2])
    with pytest.raises(
        SeedbedError, match="1 of these trials is being run by process 4711 on node-7"
    ):
        Claims(laid_out, trials[1:], tracker).check()
    # Others of the same study may be.
    others = Claims(laid_out, trials[2:], tracker)
    others.check()
    with others.made():
        assert len(claims_in(tracker)) == 2
    assert [claim.process for claim in claims_in(tracker)] == [ELSEWHERE]


def test_of_two_that_begin_at_once_never_do_both_go_on(laid_out: Plan, tracker: Tracker) -> None:
    one, other = (Claims(laid_out, laid_out.trials(), tracker) for _ in range(2))
    one.check()
    other.check()
    with one.made(), pytest.raises(SeedbedError, match="are being run"), other.made():
        pytest.fail("both go on")


def test_the_claim_of_a_dead_driver_is_removed(laid_out: Plan, tracker: Tracker) -> None:
    claim_elsewhere(tracker, laid_out, laid_out.trials(), heard=time.time() - 1000)
    Claims(laid_out, laid_out.trials(), tracker).check()
    assert claims_in(tracker) == []


class Begins:
    """An executor that begins trials, and is told to end at once."""

    def run(self, assignments: Iterable[Assignment | None]) -> Generator[Report, None, None]:
        for assignment in assignments:
            assert assignment is not None
            yield Report(assignment.trial, Started({}, {}))
            yield Report(assignment.trial, Ended(Status.FINISHED))

    def stop(self) -> None:
        """Nobody stops it."""


def test_the_runs_of_dead_drivers_alone_are_closed_and_at_the_time_they_were_last_heard(
    laid_out: Plan, tracker: Tracker
) -> None:
    dead, alive, own, _ = laid_out.trials()
    heard = time.time() - 5000
    for trial in (dead, alive):
        tracker.record(trial, Started({}, {}, time=heard - 100))
        tracker.record(trial, Step(1, 0.5, time=heard))
    tracker.settle()
    claim_elsewhere(tracker, laid_out, [alive])
    # As a driver's, that was killed: it closes nothing.
    tracker._open.clear()

    list(run(laid_out, [own], Begins(), tracker))
    tracked = tracker.trials("tiny")
    assert tracked[alive.id].status is Status.RUNNING
    assert tracked[own.id].status is Status.FINISHED
    closed = tracked[dead.id]
    assert closed.status is Status.INTERRUPTED
    assert closed.error == "the driving process died"
    assert closed.seconds == pytest.approx(100, abs=0.01)


def test_a_driver_gives_signs_of_life(
    laid_out: Plan, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune import claims

    monkeypatch.setattr(claims, "_BEAT", 0.05)
    with Claims(laid_out, laid_out.trials(), tracker).made():
        (first,) = claims_in(tracker)
        limit = time.monotonic() + 20
        while claims_in(tracker)[0].heard == first.heard:
            assert time.monotonic() < limit
            time.sleep(0.05)
    assert json.loads(first.to_json())["process"] == asdict(OWN)
