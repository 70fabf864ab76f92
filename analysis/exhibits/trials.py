"""What was run, and what of it cannot be compared."""

from __future__ import annotations

import pyarrow as pa

from analysis.exhibits.exhibit import NO_UNCERTAINTY, CannotSay, Finding, Subject, of_study
from analysis.exhibits.text import count, table
from analysis.scores import trial_scores


@of_study(
    "left-out",
    title="Trials without a score to compare",
    question="Which trials take no part in the numbers here, and why?",
)
def left_out(subject: Subject) -> Finding:
    """List the trials that no score counts."""
    rows = [
        {"task": task, "trial": trial.trial_id, "why": trial.reason}
        for task in subject.tasks
        for trial in trial_scores(
            subject.warehouse, subject.study, task, score=subject.score
        ).left_out
    ]
    if not rows:
        raise CannotSay("Every trial has a score: none is left out.")
    return Finding(
        says=(
            f"{count(len(rows), 'trial')} {'is' if len(rows) == 1 else 'are'} in the warehouse and "
            "in none of the scores here: only trials that trained to their end, diverged or not, "
            "can be compared."
        ),
        n=count(len(rows), "trial"),
        over=NO_UNCERTAINTY,
        source=subject.sql("incomplete_trials"),
        data=table(dict.fromkeys(("task", "trial", "why"), pa.string()), rows),
        rows=rows,
    )
