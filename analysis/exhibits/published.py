"""The study's best beside the published results."""

from __future__ import annotations

import pyarrow as pa

from analysis import reference
from analysis.exhibits.exhibit import NO_UNCERTAINTY, Finding, Subject, of_study
from analysis.exhibits.text import DASH, count, score_text, table


@of_study(
    "table1",
    paper="Table 1",
    title="The best found against published results",
    question="How does the best of many seeds compare with what others published?",
)
def against_published(subject: Subject) -> Finding:
    """Show the best score of each task above those that the paper's Table 1 lists."""
    scores = subject.scored_tasks()
    comparable = [
        task
        for task, of_task in scores.items()
        if task in reference.published_tasks()
        and of_task.metric == reference.published_scores(task).metric
    ]
    rows: list[tuple[str, str, dict[str, float]]] = [
        ("best trial", subject.study, {task: float(s.score.max()) for task, s in scores.items()}),
        ("mean trial", subject.study, {task: float(s.score.mean()) for task, s in scores.items()}),
    ]
    if comparable:
        rows += [
            (each.model, each.source, {task: each.score[task] for task in comparable})
            for each in reference.published_models()
        ]
    return Finding(
        says=" ".join(_beside(task, rows) for task in scores),
        n=count(sum(map(len, scores.values())), "trial"),
        over=NO_UNCERTAINTY,
        how=(
            "The highest score of any trial on the validation set, the mean score of all trials "
            "that trained to their end, and the validation scores in Table 1 of the paper, for "
            "those tasks that it has, by the same metric. A best of many is chosen on the set it "
            "is measured on: published scores of one or few trials are not chosen as hard, and "
            "later models are other models."
        ),
        source=subject.sql("complete_trials"),
        data=table(
            {"model": pa.string(), "source": pa.string(), **dict.fromkeys(scores, pa.float64())},
            [{"model": model, "source": source, **of_task} for model, source, of_task in rows],
        ),
        rows=[
            {
                "model": model,
                "source": source,
                **{
                    task: score_text(of_task.get(task)) if task in of_task else DASH
                    for task in scores
                },
            }
            for model, source, of_task in rows
        ],
    )


def _beside(task: str, rows: list[tuple[str, str, dict[str, float]]]) -> str:
    """Say where the best of a task stands."""
    (_, _, best), (_, _, mean), *published = rows
    found = f"{task}: the best is {score_text(best[task])}, the mean {score_text(mean[task])}"
    beaten = [f"{m} ({s})" for m, s, of_task in published if of_task.get(task, 2) < best[task]]
    known = sum(task in of_task for _, _, of_task in published)
    if not known:
        return f"{found}; the paper has no such task."
    return f"{found}; the best is above {len(beaten)} of {known} published scores."
