"""What a study will take: the counts are the study's own, and times and sizes are measured."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune.estimate import Estimate, Measured, TaskEstimate, estimate, measure
from finetune.events import Ended, Evaluation, Step
from finetune.executors import Assignment, InlineExecutor, Supplies
from finetune.pretrained import Pretrained
from finetune.tasks import Task

MEASURED = Measured(
    steps=100, evaluations=10, step_seconds=0.5, evaluation_seconds=2.0, load_seconds=7.0,
    model_bytes=1_000, state_bytes=3_000,
)  # fmt: skip


@pytest.fixture
def supplies(tiny_pretrained: Pretrained, reviews: Task) -> Supplies:
    return Supplies(tiny_pretrained, {"reviews": reviews})


def test_a_study_takes_its_trials_shared_among_workers_after_loading() -> None:
    task = TaskEstimate("mrpc", planned=16, left=12, measured=MEASURED)
    found = Estimate((task,), workers=4, keep_best=2)
    assert MEASURED.trial_seconds == 100 * 0.5 + 10 * 2
    assert found.seconds == 7 + 12 * 70 / 4
    assert (found.trials, found.steps) == (12, 1200)
    assert found.metrics == 1200 + 12 * 10 * 5
    assert found.model_bytes == 2 * 1_000
    assert found.state_bytes == 4 * 3_000


def test_more_workers_than_trials_take_as_long_as_the_longest_trial() -> None:
    longer = replace(MEASURED, steps=200)
    tasks = TaskEstimate("mrpc", 2, 1, MEASURED), TaskEstimate("rte", 2, 1, longer)
    assert Estimate(tasks, workers=8, keep_best=1).seconds == 2 * 7 + 120


def test_nothing_left_takes_no_time() -> None:
    found = Estimate((TaskEstimate("mrpc", 4, 0, MEASURED),), workers=2, keep_best=1)
    assert (found.seconds, found.steps, found.state_bytes, found.metrics) == (0, 0, 0, 0)


def test_the_counts_are_those_of_a_trial_that_is_run(supplies: Supplies, make_trial: Any) -> None:
    trial = make_trial()
    measured = measure(trial, supplies, "cpu", keep_best=True)
    reports = list(InlineExecutor(supplies).run([Assignment(trial)]))
    events = [report.event for report in reports]
    assert measured.steps == sum(isinstance(event, Step) for event in events)
    assert measured.evaluations == sum(isinstance(event, Evaluation) for event in events)
    assert measured.step_seconds > 0
    assert measured.evaluation_seconds > 0


def test_the_sizes_are_those_of_the_files(
    supplies: Supplies, make_trial: Any, tmp_path: Path
) -> None:
    trial = make_trial()
    state, model = tmp_path / "state.safetensors", tmp_path / "model"
    assignment = Assignment(trial, model=model, state=state, save_every=0.0)
    sizes = []
    for report in InlineExecutor(supplies).run([assignment]):
        if state.exists():
            sizes.append(state.stat().st_size)
        assert not isinstance(report.event, Ended) or report.event.error is None
    measured = measure(trial, supplies, "cpu", keep_best=True)
    header = 20_000  # names and shapes, beside the numbers
    assert measured.state_bytes <= max(sizes) <= measured.state_bytes + header
    written = (model / "model.safetensors").stat().st_size
    assert measured.model_bytes <= written <= measured.model_bytes + header


@pytest.mark.slow
def test_each_task_is_measured_by_as_many_workers_as_there_will_be(
    supplies: Supplies, make_trial: Any
) -> None:
    trials = [make_trial(wi_seed=seed) for seed in (1, 2, 3)]
    found = estimate(trials, trials[1:], supplies, ["cpu", "cpu"], keep_best=1)
    assert found.workers == 2
    (task,) = found.tasks
    assert (task.task, task.planned, task.left) == ("reviews", 3, 2)
    assert task.measured.steps == 10
