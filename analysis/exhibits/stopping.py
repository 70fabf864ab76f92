"""When to stop which trials: what can be seen early, the best settings, and rules compared."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis import correlation, early_stopping, progress, stopping_rules
from analysis.exhibits.exhibit import (
    NO_UNCERTAINTY,
    CannotSay,
    Finding,
    Subject,
    of_study,
    of_task,
)
from analysis.exhibits.text import DASH, count, epochs_unknown, known, score_text, table
from analysis.figures import (
    draw_best_settings,
    draw_correlation,
    draw_error_reduction,
    draw_stopping_rules,
)
from analysis.scores import metric_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.correlation import Kind
    from analysis.early_stopping import EarlyStopping, Recommendation
    from analysis.progress import Progress

_BUDGETS = range(1, 31)
"""In full trainings, as in the paper."""

_ADVISED_BUDGETS = (1, 2, 3, 5, 10, 15, 20, 30)

_FEWEST_TRIALS = 3


def _of(subject: Subject, task: str) -> Progress:
    """Return how far the task's trials had come.

    Raises:
        CannotSay: where there are too few trials, or they were evaluated at their end alone.
    """
    subject.scores(task, score="best")
    found = progress.compute(subject.warehouse, subject.study, task)
    if len(found.step) < 2:
        raise CannotSay(
            f"The trials of {task} have no more than one score each: nothing is known of their "
            "course."
        )
    if len(found) < _FEWEST_TRIALS:
        raise CannotSay(
            f"{count(len(found), 'trial')} of {task} can be laid beside each other, and it takes "
            f"{_FEWEST_TRIALS} to compare how they got on."
        )
    return found


@lru_cache(maxsize=8)
def _settings_of(subject: Subject, task: str) -> EarlyStopping:
    """Return what all settings find: for Figs. 6 and 7 and the advice, since it takes seconds."""
    return early_stopping.compute(_of(subject, task), budgets=_BUDGETS)


def _trials_text(found: Progress) -> str:
    aside = f"; {count(len(found.left_out), 'trial')} left out" if found.left_out else ""
    return f"{count(len(found), 'trial')}, {len(found.step)} evaluations each{aside}"


# ── What can be seen early ───────────────────────────────────────────────────────────────────────
_HIGH = 0.7
"""A correlation that captions call high."""


def _correlations(subject: Subject, task: str, kind: Kind) -> Finding:
    of_trials = _of(subject, task)
    if not np.isfinite(of_trials.epoch).all():
        raise CannotSay(epochs_unknown(task))
    found = correlation.compute(of_trials, kind=kind)
    first = found.first_epoch_above(_HIGH)
    name = "rank correlation" if kind == "spearman" else "Pearson correlation"
    says = (
        f"From epoch {first:.1f} of {found.epoch[-1]:.1f} on, the {name} of the best score so far "
        f"with the best at the end is {_HIGH:g} or more."
        if first is not None
        else f"The {name} with the best at the end does not stay at {_HIGH:g} or more before the "
        "end."
    )
    first_of_pair, second_of_pair = np.meshgrid(found.epoch, found.epoch, indexing="ij")
    values = found.correlation.ravel()
    return Finding(
        says=says,
        n=_trials_text(of_trials),
        over="none given: the correlations are over the trials shown, and describe these",
        how=(
            f"{name[0].upper()}{name[1:]}, over trials, between the best scores so far at each two "
            "evaluations; above, each with the last. Empty where all trials stood alike."
        ),
        source=subject.sql("progress", task=task),
        data=pa.table(
            {
                "epoch": first_of_pair.ravel(),
                "other_epoch": second_of_pair.ravel(),
                "correlation": pa.array(values, from_pandas=True),
                "trials": [found.trials] * len(values),
            }
        ),
        draw=lambda: draw_correlation(found, title=f"{task}: {name} over training"),
    )


@of_task(
    "fig5",
    paper="Fig. 5",
    title="The ranking over training",
    question="Can a trial's end be told from its beginning?",
)
def rank_correlations(subject: Subject, task: str) -> Finding:
    """Show Spearman's correlation between points of training."""
    return _correlations(subject, task, "spearman")


@of_task(
    "fig9",
    paper="Fig. 9",
    title="The scores over training",
    question="Can a trial's score be told from its beginning?",
)
def score_correlations(subject: Subject, task: str) -> Finding:
    """Show Pearson's correlation between points of training."""
    return _correlations(subject, task, "pearson")


# ── The best settings ────────────────────────────────────────────────────────────────────────────
_SETTINGS = {
    "task": pa.string(),
    "budget": pa.int64(),
    "started": pa.int64(),
    "continued": pa.int64(),
    "stopped_after": pa.float64(),
    "expected_best": pa.float64(),
    "deviation": pa.float64(),
    "expected_best_of_full_training": pa.float64(),
    "error_reduction": pa.float64(),
    "trials": pa.int64(),
}


def _best_settings(task: str, stopping: EarlyStopping) -> list[dict[str, object]]:
    return [
        known(
            {
                "task": task,
                "budget": budget,
                "started": int(stopping.started[best]),
                "continued": int(stopping.continued[best]),
                "stopped_after": stopping.part[best] / stopping.points,
                "expected_best": float(stopping.mean[best]),
                "deviation": float(stopping.deviation[best]),
                "expected_best_of_full_training": float(stopping.mean[full]),
                "error_reduction": float(reduction),
                "trials": stopping.trials,
            }
        )
        for budget, best, full, reduction in zip(
            stopping.budget.tolist(),
            stopping.best,
            stopping.full,
            stopping.error_reduction,
            strict=True,
        )
    ]


_FLATTERED = (
    "The best of some thousand settings was chosen for these very trials: what it is expected to "
    "save elsewhere is less."
)


_EXAMPLE = 20
"""The budget that captions take as an example, or less where there are few trials."""

_TRIALS_PER_EXAMPLE = 4


@of_task(
    "fig6",
    paper="Fig. 6",
    title="Start many, stop early, continue some",
    question="How many trials to start and to continue, and when to stop the others?",
)
def best_settings(subject: Subject, task: str) -> Finding:
    """Show the best early-stopping setting of each budget from 1 to 30 trainings."""
    of_trials = _of(subject, task)
    stopping = _settings_of(subject, task)
    example = max(1, min(_EXAMPLE, len(of_trials) // _TRIALS_PER_EXAMPLE)) - 1
    best = stopping.best[example]
    budget = int(stopping.budget[example])
    if stopping.part[best] == stopping.points:
        says = f"For the cost of {count(budget, 'training')} it is best to stop none."
    else:
        says = (
            f"For the cost of {count(budget, 'training')} it is best here to start "
            f"{stopping.started[best]}, and after {stopping.part[best] / stopping.points:.0%} of "
            f"the training to continue the best {stopping.continued[best]}: "
            f"{score_text(stopping.mean[best])} are expected, in place of "
            f"{score_text(stopping.mean[stopping.full[example]])} from training {budget} to their "
            "end."
        )
    return Finding(
        says=says,
        n=f"{_trials_text(of_trials)}; {count(len(stopping.mean), 'setting')}",
        over=stopping.over,
        how=(
            "Of all settings that cost the budget exactly, that with the highest expected best "
            f"score. {_FLATTERED}"
        ),
        source=subject.sql("progress", task=task),
        data=table(_SETTINGS, _best_settings(task, stopping)),
        draw=lambda: draw_best_settings(stopping, title=f"{task}: the best setting"),
    )


@of_study(
    "fig7",
    paper="Fig. 7",
    title="What stopping early saves",
    question="How much better is it than training all to the end?",
)
def error_reductions(subject: Subject) -> Finding:
    """Show by what share the best setting of each budget reduces the error, task by task."""
    found: dict[str, EarlyStopping] = {}
    reasons = []
    for task in subject.tasks:
        try:
            found[task] = _settings_of(subject, task)
        except CannotSay as reason:
            reasons.append(str(reason))
    if not found:
        raise CannotSay(" ".join(reasons))
    sentences = []
    for task, stopping in found.items():
        share = stopping.error_reduction
        if not np.isfinite(share).any():
            sentences.append(f"{task}: full training leaves no error to reduce.")
            continue
        low, high = np.nanmin(share), np.nanmax(share)
        last = stopping.budget[-1]
        sentences.append(f"{task}: by {low:.1%} to {high:.1%} at budgets of 1 to {last}.")
    trials = sum(stopping.trials for stopping in found.values())
    return Finding(
        says=" ".join(["Error reduced beside full training of the same cost.", *sentences]),
        n=f"{count(trials, 'trial')} of {count(len(found), 'task')}",
        over="draws of t trials of each task, without replacement, and orders of equal scores",
        how=(
            "The error is 1 less the expected best score; what is shown is the share of it that "
            f"the best setting saves. {_FLATTERED} For that reason no interval is shown: "
            "resampled, the same trials flatter the same choice again. “Stopping rules at equal "
            "cost” has intervals, of plans that are kept as they are."
        ),
        source=subject.sql("progress", task=next(iter(found))),
        data=table(
            _SETTINGS,
            [row for task, stopping in found.items() for row in _best_settings(task, stopping)],
        ),
        draw=lambda: draw_error_reduction(found, title="Error saved by stopping early"),
    )


# ── The recommendation ───────────────────────────────────────────────────────────────────────────
@of_task(
    "advice",
    paper="§ 5",
    title="How to spend a budget",
    question="Start how many, continue how many, stop when?",
)
def advice(subject: Subject, task: str) -> Finding:
    """Recommend how to spend budgets from 1 to 30 trainings."""
    trials = len(subject.scores(task, score="best"))
    of_trials = progress.compute(subject.warehouse, subject.study, task)
    # Trials that show nothing of their course get the paper's advice.
    shows = len(of_trials) >= _FEWEST_TRIALS and len(of_trials.step) > 1
    stopping = _settings_of(subject, task) if shows else None
    found = early_stopping.recommend_each(_ADVISED_BUDGETS, of_trials, stopping=stopping)
    learnt = [each for each in found if not each.is_papers]
    example = learnt[-1] if learnt else found[-1]
    whose = (
        f"Learnt from {count(len(of_trials), 'trial')} of this task"
        if learnt
        else f"The {count(trials, 'trial')} of this task cannot teach when to stop, so this is the "
        "paper's advice"
    )
    then = (
        f"start {example.start}, stop after {_stop_text(example)}, continue the best "
        f"{example.continue_best}"
        if example.stop < 1
        else "train all to their end"
    )
    saved = (
        f" That reduces the error by {example.error_reduction:.1%} in expectation."
        if example.error_reduction is not None and np.isfinite(example.error_reduction)
        else ""
    )
    schema = {
        "budget": pa.int64(),
        "start": pa.int64(),
        "continue_best": pa.int64(),
        "stop": pa.float64(),
        "stop_epoch": pa.float64(),
        "cost_epochs": pa.float64(),
        "expected": pa.float64(),
        "expected_full": pa.float64(),
        "error_reduction": pa.float64(),
        "trials": pa.int64(),
    }
    return Finding(
        says=f"{whose}: for the cost of {count(example.budget, 'training')}, {then}.{saved}",
        n=count(len(of_trials) if learnt else trials, "trial"),
        over=learnt[-1].over if learnt else NO_UNCERTAINTY,
        how=(
            "Trials are ranked by their best score so far. Learnt from the trials here where there "
            "are four times more of them than the budget: no setting then starts more than a "
            "quarter of what is known. Else the advice of the paper's Section 5: continue about "
            "half the budget, stop the others after 20 to 30 % of the training."
        ),
        source=subject.sql("progress", task=task),
        data=table(schema, [known(vars(each)) for each in found]),
        rows=[_advice_row(each) for each in found],
    )


def _advice_row(each: Recommendation) -> dict[str, str]:
    reduction = each.error_reduction
    is_known = reduction is not None and np.isfinite(reduction)
    return {
        "budget": count(each.budget, "training"),
        "start": f"{each.start:,}",
        "stop after": _stop_cell(each),
        "continue": f"{each.continue_best:,}",
        "expected best": score_text(each.expected),
        "of full training": score_text(each.expected_full),
        "error saved": f"{reduction:.1%}" if is_known else DASH,
        "from": "the paper" if each.is_papers else "these trials",
    }


def _stop_text(each: Recommendation) -> str:
    """Return after what to stop; trials of another trainer may not say how long an epoch is."""
    if np.isfinite(each.stop_epoch):
        return f"epoch {each.stop_epoch:.1f}"
    return f"{each.stop:.0%} of the training"


def _stop_cell(each: Recommendation) -> str:
    if each.stop == 1:
        return DASH
    share = f"{each.stop:.0%}"
    return f"{_stop_text(each)} ({share})" if np.isfinite(each.stop_epoch) else share


# ── Rules compared ───────────────────────────────────────────────────────────────────────────────
_COMPARED_BUDGET = 20
"""In full trainings: the paper's own example. Less where there are few trials."""

_TRIALS_PER_TRAINING = 5


@of_task(
    "stopping-rules",
    title="Stopping rules at equal cost",
    question="Which way of stopping finds the best for the same cost?",
)
def rules(subject: Subject, task: str) -> Finding:
    """Compare stopping rules with full training at equal cost."""
    of_trials = _of(subject, task)
    budget = min(_COMPARED_BUDGET, len(of_trials) // _TRIALS_PER_TRAINING)
    if budget < 2:
        raise CannotSay(
            f"{count(len(of_trials), 'trial')} of {task} are too few to compare what budgets of "
            "two trainings and more would find."
        )
    found = stopping_rules.compute(
        of_trials, budget, subject.rng(), stopping=_settings_of(subject, task)
    )
    metric = metric_title(of_trials.metric)
    surely = [outcome for outcome in found.outcomes[1:] if outcome.low > 0]
    worse = [outcome for outcome in found.outcomes[1:] if outcome.high < 0]
    names = ", ".join(outcome.plan.rule for outcome in surely)
    says = (
        f"For the cost of {count(budget, 'training')}, {names} "
        f"{'finds' if len(surely) == 1 else 'find'} more than full training, beyond its interval."
        if surely
        else f"For the cost of {count(budget, 'training')} no rule gains over full training beyond "
        "its interval."
    )
    if worse:
        says += f" Worse than full training: {', '.join(each.plan.rule for each in worse)}."
    if found.left_out:
        left = "; ".join(f"{rule}: {why}" for rule, why in found.left_out.items())
        says += f" Not compared: {left}."
    schema = {
        "rule": pa.string(),
        "plan": pa.string(),
        "cost": pa.float64(),
        "expected_best": pa.float64(),
        "gain": pa.float64(),
        "gain_low": pa.float64(),
        "gain_high": pa.float64(),
    }
    return Finding(
        says=says,
        n=f"{_trials_text(of_trials)}; {count(found.draws, 'simulation')} of each rule",
        over=(
            f"{found.over}, resampled ({found.units} at the least): {found.confidence:.0%} "
            "intervals of the gain, each plan as it is"
        ),
        how=(
            "Each rule spends the budget, or as near below it as whole trials allow; the expected "
            "best score it finds is compared. The plan of “t/f/p, learnt here” was chosen for "
            "these trials, and its gain is flattered by it; the others were not. Seed-wise "
            "stopping predicts a trial by the means of its two seeds when stopping."
        ),
        source=subject.sql("progress", task=task),
        data=table(schema, _rule_data(found)),
        draw=lambda: draw_stopping_rules(
            found, title=f"{task}: for the cost of {count(budget, 'training')}", score=metric
        ),
    )


def _rule_data(found: stopping_rules.StoppingRules) -> Sequence[dict[str, object]]:
    return [
        known(
            {
                "rule": outcome.plan.rule,
                "plan": outcome.plan.in_words,
                "cost": outcome.plan.cost,
                "expected_best": outcome.mean,
                "gain": outcome.gain,
                "gain_low": outcome.low,
                "gain_high": outcome.high,
            }
        )
        for outcome in found.outcomes
    ]
