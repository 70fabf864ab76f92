"""Numbers as the texts of captions and tables, and rows as tables of data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.scores import TrialScores

DASH = "–"
"""Stands for what is not there."""


def score_text(score: float | None) -> str:
    """Return a score to three decimals, or a dash where there is none."""
    return DASH if score is None or math.isnan(score) else f"{score:.3f}"


def deviation_text(deviation: float) -> str:
    """Return a standard deviation to four decimals, or a dash where there is none."""
    return DASH if math.isnan(deviation) else f"{deviation:.4f}"


def p_text(p: float) -> str:
    """Return a p-value to three decimals, `< 0.001` below that, or a dash where there is none."""
    if math.isnan(p):
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_is(p: float) -> str:
    """Return a p-value as part of a sentence: `p = 0.046`, `p < 0.001`."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def plus_minus(mean: float, deviation: float) -> str:
    """Return a mean and its deviation, with the decimals that the deviation needs."""
    places = 3 if deviation >= 0.01 else 4
    return f"{mean:.{places}f} ± {deviation:.{places}f}"


def percent(share: float | None) -> str:
    """Return a share in whole percent, or a dash where there is none."""
    return DASH if share is None or math.isnan(share) else f"{share:.0%}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 trial`, `2,100 trials`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def trials_text(scores: TrialScores) -> str:
    """Return how many trials there are, of which grid: `20 trials, 5 WI × 4 DO seeds`."""
    wi, do = (len(set(seeds.tolist())) for seeds in (scores.wi_seed, scores.do_seed))
    return f"{count(len(scores), 'trial')}, {wi} WI × {do} DO seeds"


def epochs_unknown(task: str) -> str:
    """Return why evaluations of another trainer cannot be shown over the epochs, and the remedy."""
    return (
        f"The evaluations of {task} do not say in which epoch they were made: import them with a "
        "column epoch, or with `--value steps_per_epoch=…`."
    )


def known(values: Mapping[str, object]) -> dict[str, object]:
    """Return the values of a row of data, None in place of NaN: what is not known is null."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in values.items()
    }


def table(schema: Mapping[str, pa.DataType], rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Return rows as a table of these columns; what a row has besides is left out."""
    return pa.Table.from_pylist(rows, schema=pa.schema(list(schema.items())))
