"""The scores themselves."""

from __future__ import annotations

import pyarrow as pa

from analysis import in_words, score_histogram, task_summary
from analysis.exhibits.exhibit import Finding, Subject, of_task
from analysis.exhibits.text import score_text, table, trials_text
from analysis.figures.score_histogram import BRICKS, draw_score_histogram
from analysis.scores import metric_title


@of_task("scores", title="All scores", question="How far do the scores lie apart?")
def all_scores(subject: Subject, task: str) -> Finding:
    """Show how the scores of a task are distributed."""
    scores = subject.scores(task)
    histogram = score_histogram.compute(scores.score)
    metric = metric_title(scores.metric)
    baseline = subject.baseline(task)
    summaries = task_summary.compute(subject.warehouse, subject.study)
    columns = {
        "trial_id": pa.string(),
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "dropout_seed": pa.int64(),
        "score": pa.float64(),
    }
    values = zip(*(getattr(scores, name).tolist() for name in columns), strict=True)
    trials = [dict(zip(columns, trial, strict=True)) for trial in values]
    return Finding(
        says=in_words.spread_of_scores(scores, [each for each in summaries if each.task == task]),
        n=trials_text(scores),
        over="trials: the standard deviation is the population's, of all of them",
        how="Each brick is a trial, stacked on those of about the same score.",
        source=subject.sql("trial_scores", task=task),
        data=table(columns, trials),
        draw=lambda: draw_score_histogram(
            histogram, title=f"{task}: all scores", score=metric, baseline=baseline
        ),
        marks={
            BRICKS: [
                f"WI {trial['wi_seed']}, DO {trial['do_seed']}: {score_text(trial['score'])}\n"
                f"trial {trial['trial_id']}"
                for trial in trials
            ]
        },
    )
