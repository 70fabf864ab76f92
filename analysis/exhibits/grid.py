"""The grid of scores, as the paper shows it: each pair of seeds a cell."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from analysis import seed_grid
from analysis.exhibits.exhibit import NO_UNCERTAINTY, Finding, Subject, of_task
from analysis.exhibits.text import count, score_text, table, trials_text
from analysis.figures import draw_seed_grid
from analysis.figures.seed_grid import CELLS
from analysis.scores import metric_title

if TYPE_CHECKING:
    from analysis.scores import TrialScores


@of_task(
    "fig2", paper="Fig. 2", title="Every pair of seeds", question="How did each pair of seeds do?"
)
def seed_grid_map(subject: Subject, task: str) -> Finding:
    """Show the scores by WI and DO seed."""
    scores = subject.scores(task)
    shown = seed_grid.compute(scores)
    metric = metric_title(scores.metric)
    baseline = subject.baseline(task)
    rows, columns = shown.score.shape
    schema = {
        "wi_seed": pa.int64(),
        "do_seed": pa.int64(),
        "wi_rank": pa.int64(),
        "do_rank": pa.int64(),
        "score": pa.float64(),
        "trials": pa.int64(),
    }
    return Finding(
        says=_extremes(shown),
        n=trials_text(scores),
        over=NO_UNCERTAINTY,
        how=_reading(shown),
        source=subject.sql("trial_scores", task=task),
        data=table(
            schema,
            [
                {
                    "wi_seed": int(shown.wi_seed[row]),
                    "do_seed": int(shown.do_seed[column]),
                    "wi_rank": row + 1,
                    "do_rank": columns - column,
                    "score": float(shown.score[row, column]) if shown.trials[row, column] else None,
                    "trials": int(shown.trials[row, column]),
                }
                for row in range(rows)
                for column in range(columns)
            ],
        ),
        draw=lambda: draw_seed_grid(
            shown, title=f"{task}: scores by seed", score=metric, baseline=baseline
        ),
        marks={CELLS: _cells_in_words(shown, scores)},
    )


def _cells_in_words(grid: seed_grid.SeedGrid, scores: TrialScores) -> list[str]:
    """Return of each cell, by rows, its seeds, its score and its trials."""
    trials = defaultdict[tuple[int, int], list[str]](list)
    for wi, do, trial in zip(
        scores.wi_seed.tolist(), scores.do_seed.tolist(), scores.trial_id.tolist(), strict=True
    ):
        trials[wi, do].append(trial)
    texts = []
    for row, wi in enumerate(grid.wi_seed.tolist()):
        for column, do in enumerate(grid.do_seed.tolist()):
            ids = trials[wi, do]
            what = (
                f"{score_text(grid.score[row, column])}\ntrial {', '.join(ids)}"
                if ids
                else "no complete trial"
            )
            texts.append(f"WI {wi}, DO {do}: {what}")
    return texts


def _extremes(grid: seed_grid.SeedGrid) -> str:
    row, column = grid.best
    if np.nanmin(grid.score) == np.nanmax(grid.score):
        said = [f"All scores are {score_text(grid.score[row, column])}."]
    else:
        said = _highest_and_means(grid)
    if grid.holes:
        said.append(f"Empty for want of a complete trial: {count(grid.holes, 'cell')}.")
    return " ".join(said)


def _highest_and_means(grid: seed_grid.SeedGrid) -> list[str]:
    row, column = grid.best
    said = [
        f"The highest is WI {grid.wi_seed[row]} with DO {grid.do_seed[column]}, "
        f"{score_text(grid.score[row, column])}."
    ]
    if _has_means(grid):
        said.append(
            f"The means go from {score_text(grid.wi_mean[-1])} (WI {grid.wi_seed[-1]}) to "
            f"{score_text(grid.wi_mean[0])} (WI {grid.wi_seed[0]}), and from "
            f"{score_text(grid.do_mean[0])} (DO {grid.do_seed[0]}) to "
            f"{score_text(grid.do_mean[-1])} (DO {grid.do_seed[-1]})."
        )
    return said


def _reading(grid: seed_grid.SeedGrid) -> str:
    several = int(grid.trials.max())
    cell = (
        "the score of the trial"
        if several == 1
        else f"the mean score of up to {several} trials, one a dropout seed,"
    )
    order = (
        " Rows and columns are sorted by their means, which the dots show: the best WI seed on "
        "top, the best DO seed at the right. Some seed always comes first; whether it is better "
        "than the others is asked below."
        if _has_means(grid)
        else ""
    )
    return (
        f"Each cell is {cell} with that weight-initialisation (WI) and data-order (DO) seed. "
        f"Framed: the highest.{order}"
    )


def _has_means(grid: seed_grid.SeedGrid) -> bool:
    """Whether rows and columns are means of several cells, and not the scores over again."""
    return min(len(grid.wi_seed), len(grid.do_seed)) > 1
