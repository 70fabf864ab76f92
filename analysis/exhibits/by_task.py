"""A question put to the scores of each task in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from analysis.exhibits.exhibit import CannotSay

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis.exhibits.exhibit import Subject
    from analysis.scores import TrialScores

_Answer = TypeVar("_Answer")


class Answers(dict[str, _Answer]):
    """The answer for each task whose data carry one.

    Attributes:
        trials: how many trials these tasks have.
        unsaid: a sentence for each task whose data carry none, with a blank before it.
    """

    trials: int = 0
    unsaid: str = ""


def of_each_task(
    subject: Subject,
    ask: Callable[[TrialScores], _Answer],
    scores: Mapping[str, TrialScores] | None = None,
) -> Answers[_Answer]:
    """Return the answer for each task whose data carry one.

    Args:
        subject: whose tasks.
        ask: answers for one task; raises a ValueError that says why where the data carry no answer.
        scores: by task, in place of those of all the subject's tasks that have any.

    Raises:
        CannotSay: where no task's data carry an answer; it says why, task by task.
    """
    answers: Answers[_Answer] = Answers()
    reasons = {}
    for task, of_task in (subject.scored_tasks() if scores is None else scores).items():
        try:
            answers[task] = ask(of_task)
            answers.trials += len(of_task)
        except ValueError as reason:
            reasons[task] = reason
    if not answers:
        raise CannotSay(" ".join(f"{task}: {reason}." for task, reason in reasons.items()))
    answers.unsaid = "".join(
        f" Nothing can be said of {task}: {reason}." for task, reason in reasons.items()
    )
    return answers


def require_spread(scores: TrialScores) -> None:
    """Check that there is something to explain.

    Raises:
        ValueError: where several trials all have the same score.
    """
    if len(scores) > 1 and len(set(scores.score.tolist())) == 1:
        raise ValueError("all its scores are the same")
