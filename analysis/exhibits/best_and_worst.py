"""Whether seeds differ: the paper's test, what it assumes, and what survives being corrected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from analysis import anova_assumptions, best_against_worst, best_seed, seed_scores, variance
from analysis.best_seed import LEVEL
from analysis.exhibits.by_task import of_each_task, require_spread
from analysis.exhibits.exhibit import NO_UNCERTAINTY, Finding, Subject, of_study, of_task
from analysis.exhibits.text import (
    count,
    deviation_text,
    known,
    p_text,
    score_text,
    table,
    trials_text,
)
from analysis.figures import draw_best_and_worst, draw_best_seed, draw_deviations
from analysis.reference import STUDY as PUBLISHED
from analysis.scores import metric_title
from analysis.seed_scores import FACTOR_TITLES, FACTORS
from analysis.significance import holm

if TYPE_CHECKING:
    from collections.abc import Callable

    from analysis.anova_assumptions import AnovaAssumptions
    from analysis.best_against_worst import BestAgainstWorst
    from analysis.best_seed import BestSeed
    from analysis.scores import TrialScores
    from analysis.seed_scores import Factor, SeedScores

_Answer = TypeVar("_Answer")

_ARE_RANKS = " The seeds of the published results are their ranks."


# ── Table 4 and Fig. 3 ───────────────────────────────────────────────────────────────────────────
@of_study(
    "table4",
    paper="Table 4",
    title="The best seed against the worst, by the paper's test",
    question="Do the best and the worst seed differ?",
)
def anova_of_best_and_worst(subject: Subject) -> Finding:
    """Show the analysis of variance between the best and the worst seed of each factor."""
    found = of_each_task(subject, _pairs)
    pairs = [(task, pair) for task, of_task in found.items() for pair in of_task]
    significant = sum(pair.p < LEVEL for _, pair in pairs)
    return Finding(
        says=(
            f"{significant} of {count(len(pairs), 'difference')} "
            f"{'has' if significant == 1 else 'have'} p < 0.05. These p-values are of two seeds "
            "chosen beforehand; the best and the worst are chosen after looking, from many."
            f"{found.unsaid}"
        ),
        n=count(found.trials, "trial"),
        over="the other factor's seeds, as if scores were independent, normal, of one variance",
        how=(
            "One-way analysis of variance between the scores of the seed with the best mean and "
            "those of the seed with the worst, for each task and factor."
            + (_ARE_RANKS if subject.study == PUBLISHED else "")
        ),
        source=subject.sql("complete_trials"),
        data=table(
            {
                "task": pa.string(),
                "factor": pa.string(),
                "best": pa.int64(),
                "worst": pa.int64(),
                "difference": pa.float64(),
                "f": pa.float64(),
                "df_within": pa.int64(),
                "p": pa.float64(),
            },
            [
                known({**vars(pair), "task": task, "difference": pair.difference})
                for task, pair in pairs
            ],
        ),
        rows=[
            {
                "task": task,
                "seeds": FACTOR_TITLES[pair.factor],
                "best": str(pair.best),
                "worst": str(pair.worst),
                "difference of means": deviation_text(pair.difference),
                "F": "∞" if math.isinf(pair.f) else f"{pair.f:.2f}",
                "p": p_text(pair.p),
            }
            for task, pair in pairs
        ],
    )


@of_task(
    "fig3",
    paper="Fig. 3",
    title="Scores of the best and the worst seeds",
    question="How do the best and the worst seed differ?",
)
def densities_of_best_and_worst(subject: Subject, task: str) -> Finding:
    """Show where the scores of the best and the worst seed of each factor lie."""
    scores = subject.scores(task)
    pairs = of_each_task(subject, _pairs, {task: scores})[task]
    densities = best_against_worst.densities(pairs)
    baseline = subject.baseline(task)
    metric = metric_title(scores.metric)
    named = [
        (pair.factor, which, seed, of_seed, density)
        for pair, of_pair in zip(pairs, densities, strict=True)
        for which, seed, of_seed, density in zip(
            ("best", "worst"),
            (pair.best, pair.worst),
            (pair.of_best, pair.of_worst),
            of_pair,
            strict=True,
        )
    ]
    return Finding(
        says=" ".join(
            f"{FACTOR_TITLES[pair.factor]} seed {pair.best} has a mean of "
            f"{score_text(float(pair.of_best.mean()))} and a lowest score of "
            f"{score_text(float(pair.of_best.min()))}, {FACTOR_TITLES[pair.factor]} seed "
            f"{pair.worst} a mean of {score_text(float(pair.of_worst.mean()))} and a highest of "
            f"{score_text(float(pair.of_worst.max()))}."
            for pair in pairs
        ),
        n=trials_text(scores),
        over=NO_UNCERTAINTY,
        how=(
            "Kernel density estimates (Gaussian, one width for all) of the scores of the seed with "
            "the best mean and of the one with the worst: WI solid, DO dashed. They reach beyond "
            "the lowest and the highest score, which no trial did: see the ticks."
            + (_ARE_RANKS if subject.study == PUBLISHED else "")
        ),
        source=subject.sql("trial_scores", task=task),
        data=table(
            {
                "factor": pa.string(),
                "which": pa.string(),
                "seed": pa.int64(),
                "score": pa.float64(),
                "density": pa.float64(),
            },
            [
                {"factor": factor, "which": which, "seed": seed, "score": at, "density": height}
                for factor, which, seed, _, density in named
                if density is not None
                for at, height in zip(density.at.tolist(), density.density.tolist(), strict=True)
            ],
        ),
        draw=lambda: draw_best_and_worst(
            pairs,
            densities,
            title=f"{task}: best and worst seeds",
            score=metric,
            baseline=baseline,
        ),
    )


def _pairs(scores: TrialScores) -> list[BestAgainstWorst]:
    return list(_of_each_factor(scores, best_against_worst.compute).values())


def _of_each_factor(
    scores: TrialScores, ask: Callable[[SeedScores], _Answer]
) -> dict[Factor, _Answer]:
    """Return the answer for each factor whose data carry one.

    Raises:
        ValueError: where no factor's do; it says why.
    """
    require_spread(scores)
    answers: dict[Factor, _Answer] = {}
    reasons: dict[str, None] = {}
    for factor in FACTORS:
        try:
            answers[factor] = ask(seed_scores.compute(scores, factor))
        except ValueError as reason:
            reasons[str(reason)] = None
    if not answers:
        raise ValueError("; ".join(reasons))
    return answers


# ── Fig. 8 ───────────────────────────────────────────────────────────────────────────────────────
@of_task(
    "fig8",
    paper="Fig. 8",
    title="How far a seed's trials lie apart",
    question="Do all seeds leave as much spread?",
)
def densities_of_deviations(subject: Subject, task: str) -> Finding:
    """Show where the standard deviations given each seed lie."""
    scores = subject.scores(task)
    deviation = of_each_task(subject, _deviation, {task: scores})[task]
    factors = (("wi", deviation.given_wi), ("do", deviation.given_do))
    return Finding(
        says=" ".join(
            f"Given a {name.upper()} seed it goes from {deviation_text(float(given.known.min()))} "
            f"to {deviation_text(float(given.known.max()))}, "
            f"{deviation_text(given.expected)} on average."
            for name, given in factors
            if given.known.size
        )
        + f" Over all trials it is {deviation_text(deviation.total)}.",
        n=trials_text(scores),
        over="seeds: one deviation for each, over the trials that share it",
        how=(
            "Kernel density estimates (Gaussian, Scott's rule) of the standard deviations of the "
            "trials that share a WI seed, and of those that share a DO seed; each is a tick below. "
            "Curves are cut at 0, below which no deviation is."
        ),
        source=subject.sql("trial_scores", task=task),
        data=table(
            {
                "factor": pa.string(),
                "seed": pa.int64(),
                "deviation": pa.float64(),
                "trials": pa.int64(),
            },
            [
                known({"factor": name, "seed": seed, "deviation": of_seed, "trials": trials})
                for name, given in factors
                for seed, of_seed, trials in zip(
                    given.seed.tolist(),
                    given.deviation.tolist(),
                    given.trials.tolist(),
                    strict=True,
                )
            ],
        ),
        draw=lambda: draw_deviations(
            deviation, title=f"{task}: spread given a seed", score=metric_title(scores.metric)
        ),
    )


def _deviation(scores: TrialScores) -> variance.ScoreDeviation:
    require_spread(scores)
    deviation = variance.compute(scores)
    if not deviation.given_wi.known.size + deviation.given_do.known.size:
        raise ValueError("no two trials share a seed")
    return deviation


# ── Appendix B ───────────────────────────────────────────────────────────────────────────────────
@of_study(
    "appendix-b",
    paper="App. B",
    title="What the paper's test assumes",
    question="Do the data meet the assumptions of an analysis of variance?",
)
def assumptions_of_anova(subject: Subject) -> Finding:
    """Show the assumptions of the analysis of variance, tested."""
    by_task = of_each_task(subject, _assumptions)
    found = [(task, assumption) for task, of_task in by_task.items() for assumption in of_task]
    broken = sum(each.normal is False or each.equal_variances is False for _, each in found)
    return Finding(
        says=(
            f"Of {count(len(found), 'comparison')} of seeds, {broken} "
            f"{'is' if broken == 1 else 'are'} of scores that are not normal or not of one "
            f"variance. The permutation tests assume neither.{by_task.unsaid}"
        ),
        n=count(by_task.trials, "trial"),
        over="the scores of each seed, over the other factor's seeds",
        how=(
            "Between all seeds of a factor. Independence is a matter of the design. Equal "
            "variances: Levene's test around the median. Normal scores: Shapiro and Wilk's test "
            "within each seed, p-values adjusted after Holm. That a test finds nothing is no "
            "proof, on few scores least of all."
        ),
        source=subject.sql("complete_trials"),
        data=table(
            {
                "task": pa.string(),
                "factor": pa.string(),
                "groups": pa.int64(),
                "shared": pa.bool_(),
                "levene": pa.float64(),
                "levene_p": pa.float64(),
                "variance_ratio": pa.float64(),
                "shapiro_p": pa.float64(),
                "not_normal": pa.int64(),
                "tested": pa.int64(),
                "verdict": pa.string(),
            },
            [known({**vars(each), "task": task, "verdict": each.verdict}) for task, each in found],
        ),
        rows=[
            {
                "task": task,
                "seeds": f"{each.groups} {FACTOR_TITLES[each.factor]}",
                "Levene p": p_text(each.levene_p),
                "Shapiro p": p_text(each.shapiro_p),
                "not normal": f"{each.not_normal} of {each.tested}",
                "verdict": each.verdict,
            }
            for task, each in found
        ],
    )


def _assumptions(scores: TrialScores) -> list[AnovaAssumptions]:
    return list(_of_each_factor(scores, anova_assumptions.compute).values())


# ── Beyond the paper ─────────────────────────────────────────────────────────────────────────────
@of_study(
    "best-seed",
    title="The best seed against the worst, corrected",
    question="Is the best seed truly better?",
)
def corrected_best_and_worst(subject: Subject) -> Finding:
    """Show the paper's test beside those that reckon with choosing after looking."""
    rng = subject.rng()
    scores = subject.scored_tasks()

    by_task = of_each_task(
        subject,
        lambda own: _of_each_factor(own, lambda seeds: best_seed.compute(seeds, rng)),
        scores,
    )
    found = {
        (task, factor): best
        for task, of_task in by_task.items()
        for factor, best in of_task.items()
    }
    adjusted: dict[tuple[str, Factor], float] = {}
    for factor in FACTORS:
        cells = [cell for cell in found if cell[1] == factor]
        p = holm([found[cell].range_p for cell in cells]).tolist()
        adjusted |= dict(zip(cells, p, strict=True))
    deviation = {task: float(scores[task].score.std()) for task in by_task}
    drawable = {cell: best for cell, best in found.items() if deviation[cell[0]] > 0}
    return Finding(
        says=_what_survives(found, adjusted) + by_task.unsaid,
        n=count(by_task.trials, "trial"),
        over=(
            "permutations of the scores within the other factor's seeds: "
            f"{next(iter(found.values())).permutations:,} for each test"
        ),
        how=(
            "Of many seeds that make no difference some seed is best and some worst, and they lie "
            "far apart. Range p: how often the best and the worst of seeds that make no difference "
            "lie as far apart; adjusted after Holm over the tasks. False alarms: in how many such "
            "cases the paper's test has p < 0.05. Held out: best and worst are chosen on half of "
            "the other factor's seeds and compared on the other half, over "
            f"{_splits(found)} random halves; superiority is the chance that a trial of the best "
            "beats one of the worst there. d: the chosen difference in standard deviations within "
            "the two."
        ),
        source=subject.sql("complete_trials"),
        data=table(
            _CORRECTED, [known(_corrected(*cell, found[cell], adjusted[cell])) for cell in found]
        ),
        rows=[
            {
                "task": task,
                "seeds": f"{best.seeds} {FACTOR_TITLES[factor]}",
                "paper's p": p_text(best.paper.p),
                "false alarms": f"{best.false_alarms:.0%}",
                "range p": p_text(best.range_p),
                "after Holm": p_text(adjusted[task, factor]),
                "Kruskal–Wallis p": p_text(best.kruskal_p),
                "d": score_text(best.cohens_d),
                "difference": deviation_text(best.paper.difference),
                "held out": _held_out(best, "difference"),
                "its p": _held_out(best, "difference_p"),
                "superiority": _held_out(best, "superiority"),
            }
            for (task, factor), best in found.items()
        ],
        draw=(
            (lambda: draw_best_seed(drawable, deviation, title="The lead of the best seed"))
            if drawable
            else None
        ),
    )


_CORRECTED = {
    "task": pa.string(),
    "factor": pa.string(),
    "best": pa.int64(),
    "worst": pa.int64(),
    "seeds": pa.int64(),
    "other": pa.int64(),
    "difference": pa.float64(),
    "f": pa.float64(),
    "anova_p": pa.float64(),
    "false_alarms": pa.float64(),
    "range_p": pa.float64(),
    "range_p_holm": pa.float64(),
    "kruskal_h": pa.float64(),
    "kruskal_p": pa.float64(),
    "cohens_d": pa.float64(),
    "superiority": pa.float64(),
    "held_out_difference": pa.float64(),
    "held_out_difference_p": pa.float64(),
    "held_out_gain": pa.float64(),
    "held_out_gain_p": pa.float64(),
    "held_out_superiority": pa.float64(),
    "permutations": pa.int64(),
}


def _corrected(task: str, factor: Factor, best: BestSeed, adjusted: float) -> dict[str, Any]:
    """Return a row of the data."""
    held_out = {} if best.held_out is None else vars(best.held_out)
    return {
        **vars(best),
        **{f"held_out_{name}": value for name, value in held_out.items()},
        "task": task,
        "factor": factor,
        "best": best.paper.best,
        "worst": best.paper.worst,
        "difference": best.paper.difference,
        "f": best.paper.f,
        "anova_p": best.paper.p,
        "range_p_holm": adjusted,
    }


def _what_survives(
    found: dict[tuple[str, Factor], BestSeed], adjusted: dict[tuple[str, Factor], float]
) -> str:
    by_the_paper = sum(best.paper.p < LEVEL for best in found.values())
    named = [
        f"{FACTOR_TITLES[factor]} on {task}" for (task, factor), p in adjusted.items() if p <= LEVEL
    ]
    alarms = [best.false_alarms for best in found.values()]
    remain = "none remains"
    if named:
        remain = f"{len(named)} {'remains' if len(named) == 1 else 'remain'}: {', '.join(named)}"
    return (
        f"By the paper's test {by_the_paper} of {count(len(found), 'difference')} between best and "
        f"worst {'is' if by_the_paper == 1 else 'are'} significant. Where seeds make no difference "
        f"at all, that test says so in {min(alarms):.0%} to {max(alarms):.0%} of cases, for best "
        f"and worst are chosen after looking. Corrected for that, and over the tasks, {remain}."
    )


def _splits(found: dict[tuple[str, Factor], BestSeed]) -> int:
    return max((best.held_out.splits for best in found.values() if best.held_out), default=0)


def _held_out(best: BestSeed, name: str) -> str:
    if best.held_out is None:
        return "–"
    value = float(getattr(best.held_out, name))
    return {"difference": deviation_text, "difference_p": p_text}.get(name, score_text)(value)
