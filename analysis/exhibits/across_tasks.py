"""Seeds that are good on all tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from analysis import good_seeds
from analysis.exhibits.exhibit import CannotSay, Finding, Subject, of_study
from analysis.exhibits.text import count, p_is, p_text, table
from analysis.figures import draw_seed_ranks
from analysis.reference import STUDY as PUBLISHED

if TYPE_CHECKING:
    from analysis.good_seeds import GoodSeeds


@of_study(
    "good-seeds",
    paper="§ 4.3",
    title="WI seeds across tasks",
    question="Are some weight initialisations good on all tasks?",
)
def ranks_across_tasks(subject: Subject) -> Finding:
    """Show the rank of each WI seed on each task, and whether the ranks agree."""
    if subject.study == PUBLISHED:
        raise CannotSay(
            "Which seed has which rank is not published, so that the ranks on one task cannot be "
            "held against those on another. The paper says that WI seed 12 is first on CoLA and "
            "RTE, second on MRPC and third on SST; that one of 15 seeds has such ranks by chance "
            "has a probability of 0.002."
        )
    try:
        found = good_seeds.compute(subject.scored_tasks(), "wi", subject.rng())
    except ValueError as reason:
        raise CannotSay(f"Nothing to say of seeds across tasks: {reason}.") from reason
    ranks = [
        {
            "WI seed": seed,
            "mean rank": mean,
            **dict(zip(found.tasks, of_seed, strict=True)),
        }
        for seed, mean, of_seed in zip(
            found.seed.tolist(), found.mean_rank.tolist(), found.rank.tolist(), strict=True
        )
    ]
    return Finding(
        says=_says(found),
        n=f"{count(len(found.seed), 'WI seed')} on {count(len(found.tasks), 'task')}"
        + (f"; {found.left_out:,} more were run on some tasks only" if found.left_out else ""),
        over=f"permutations of the ranks within each task, {found.permutations:,} of them",
        how=(
            "Rank by the mean score over DO seeds, 1 the best, equal means sharing theirs. "
            "Kendall's W is 1 where all tasks rank the seeds alike, and "
            f"{1 / len(found.tasks):.2f} on average where they have nothing to do with each other. "
            "The best seed was picked from all, and is held against the best that chance picks. "
            "Tasks with other numbers of classes share a seed's number, not its weights."
        ),
        source=subject.sql("complete_trials"),
        data=table(
            {
                "WI seed": pa.int64(),
                "mean rank": pa.float64(),
                **dict.fromkeys(found.tasks, pa.float64()),
            },
            ranks,
        ),
        rows=[
            {
                "WI seed": str(row["WI seed"]),
                **{task: f"{row[task]:g}" for task in found.tasks},
                "mean rank": f"{row['mean rank']:.2f}",
            }
            for row in ranks
        ],
        draw=lambda: draw_seed_ranks(found, title="Ranks of WI seeds on each task"),
    )


def _says(found: GoodSeeds) -> str:
    verdict = "more than chance" if found.concordance_p <= 0.05 else "no more than chance may"
    return (
        f"The tasks agree on the seeds {verdict}: Kendall's W is {found.concordance:.2f}, "
        f"{p_is(found.concordance_p)} (by Friedman's chi-squared, {p_text(found.friedman_p)}). "
        f"Best over all tasks is seed {found.seed[0]}, of mean rank {found.mean_rank[0]:.1f}; "
        f"the best of {len(found.seed)} seeds of no merit is as good with {p_is(found.best_p)}."
    )
