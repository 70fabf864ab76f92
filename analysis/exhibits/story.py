"""All artefacts, in the order in which a report tells them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from analysis.exhibits import (
    across_tasks,
    best_and_worst,
    budgets,
    certainty,
    grid,
    published,
    scores,
    seeds,
    spread,
    stopping,
    trials,
)
from finetune.errors import SeedbedError

if TYPE_CHECKING:
    from analysis.exhibits.exhibit import Artefact


@dataclass(frozen=True)
class Chapter:
    """A part of the report.

    Attributes:
        name: one word, for links.
        question: what it answers.
        artefacts: what answers it, in the order of reading.
        in_short: those of them whose first words are its answer in short.
    """

    name: str
    question: str
    artefacts: tuple[Artefact, ...]
    in_short: tuple[Artefact, ...] = ()


STORY: Final = (
    Chapter("run", "What was run?", (seeds.tasks, trials.left_out)),
    Chapter(
        "spread",
        "How much do the seeds matter here?",
        (
            scores.all_scores,
            published.against_published,
            seeds.best_found,
            seeds.deviations,
            best_and_worst.densities_of_deviations,
            spread.components_of_scores,
            spread.diverged_trials,
            spread.components_of_divergence,
        ),
        in_short=(scores.all_scores,),
    ),
    Chapter(
        "seeds",
        "Which seeds are good?",
        (
            grid.seed_grid_map,
            best_and_worst.densities_of_best_and_worst,
            best_and_worst.anova_of_best_and_worst,
            best_and_worst.corrected_best_and_worst,
            best_and_worst.assumptions_of_anova,
            across_tasks.ranks_across_tasks,
        ),
        in_short=(best_and_worst.corrected_best_and_worst, across_tasks.ranks_across_tasks),
    ),
    Chapter(
        "budget",
        "How to spend the next budget?",
        (
            budgets.expected_best,
            certainty.uncertainty_of_the_curve,
            certainty.flattery,
            budgets.courses,
            stopping.rank_correlations,
            stopping.score_correlations,
            stopping.best_settings,
            stopping.error_reductions,
            stopping.rules,
            stopping.advice,
        ),
        in_short=(stopping.advice,),
    ),
)
"""What is asked of one study."""

COMPARISON: Final = Chapter(
    "comparison", "Which of two studies does better, at what budget?", (certainty.two_models,)
)
"""The chapter of several studies, after those of each."""

ARTEFACTS: Final = tuple(
    artefact for chapter in (*STORY, COMPARISON) for artefact in chapter.artefacts
)
"""Every artefact, in the order of the story."""


def find_artefact(name: str) -> Artefact:
    """Return the artefact of a name, or of what the paper calls it: `fig1`, `Fig. 1`, `figure 1`.

    Raises:
        SeedbedError: where there is none; it names those that come close.
    """
    names = {_plain(artefact.name): artefact for artefact in ARTEFACTS}
    names |= {_plain(artefact.paper): artefact for artefact in ARTEFACTS if artefact.paper}
    if found := names.get(_plain(name)):
        return found
    close = dict.fromkeys(names[each].name for each in get_close_matches(_plain(name), names))
    meant = f" Did you mean {' or '.join(close)}?" if close else ""
    raise SeedbedError(
        f"There is no table or figure {name!r}.{meant} `finetune show` lists them all."
    )


def _plain(name: str) -> str:
    """Return a name without what people write in more than one way."""
    words = re.sub(r"[^a-z0-9]", "", name.lower())
    return re.sub(r"^section|^sec(?=\d)", "", re.sub(r"^appendix", "app", words)).replace(
        "figure", "fig"
    )
