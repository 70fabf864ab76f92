"""How fast the closed form of early stopping is, beside sampling as the paper does.

python benchmarks/early_stopping.py            a task of 625 trials, budgets of 1 to 30
python benchmarks/early_stopping.py --quick    the same with fewer of the settings sampled
python benchmarks/early_stopping.py --page docs/benchmarks.md   renews the section of the page

The closed form computes every setting that meets a budget exactly. Sampling takes far too long for
that: some settings, drawn at random, are sampled 50,000 times each, and their time is multiplied to
all of them. Both ways of sampling are timed: every setting by itself in a loop over draws, as the
paper describes it (fewer draws, multiplied); and Seedbed's `--method sample`, in arrays. On the
settings sampled the answers are compared: how many standard errors of the sample they lie apart.

The scores at the end are the paper's own, of RTE; the course to them is generated, since it was
never published.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# One core, for all ways alike; read by numpy when it is imported.
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"

import numpy as np  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from analysis import early_stopping  # noqa: E402
from analysis.early_stopping import EarlyStopping, evaluation_at  # noqa: E402
from analysis.finds import PAPERS_DRAWS, sampled_finds  # noqa: E402
from analysis.progress import Progress  # noqa: E402
from analysis.reference import published_scores  # noqa: E402
from benchmarks._measuring import add_page, machine, show, table  # noqa: E402

EXAMPLES, BASELINE = 277, 146 / 277
"""Of RTE's validation set, and the share of its more frequent label."""

POINTS, EPOCHS = 30, 3
LOOP_DRAWS = 1_000
"""Of the loop, for each setting sampled."""


def generated(rng: np.random.Generator) -> Progress:
    """Return trials that rise early or late from the baseline to the published scores."""
    scores = published_scores("rte")
    trials = len(scores)
    begin, takes = rng.uniform(0.05, 0.3, trials), rng.uniform(0.1, 0.3, trials)
    risen = np.clip((np.arange(POINTS + 1) / POINTS - begin[:, None]) / takes[:, None], 0, 1)
    score = BASELINE + (scores.score - BASELINE)[:, None] * risen
    score -= 0.02 * np.abs(rng.standard_normal(score.shape)) * (risen > 0)
    steps = np.arange(POINTS + 1) * 16
    return Progress(
        "generated", "rte", scores.metric, scores.trial_id, scores.wi_seed, scores.do_seed,
        steps, steps / steps[-1] * EPOCHS, int(steps[-1]), (score * EXAMPLES).round() / EXAMPLES,
    )  # fmt: skip


def seconds(work: Callable[[], object]) -> float:
    """Return what a call takes, in seconds of this process."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def loop(
    at_stop: np.ndarray, final: np.ndarray, t: int, p: int, rng: np.random.Generator, draws: int
) -> float:
    """Return the mean find of a setting, one draw after another."""
    found = 0.0
    for _ in range(draws):
        drawn = rng.choice(len(final), size=t, replace=False)
        best = drawn[np.argsort(-at_stop[drawn])[:p]]
        found += final[best].max()
    return found / draws


def main() -> None:
    """Time the ways and show them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer settings and rounds")
    parser.add_argument("--seed", type=int, default=0)
    add_page(parser)
    options = parser.parse_args()
    sampled, rounds = (5, 1) if options.quick else (40, 5)

    rng = np.random.default_rng(options.seed)
    progress = generated(rng)
    stopping = early_stopping.compute(progress)
    number = len(stopping.mean)
    exact = [seconds(lambda: early_stopping.compute(progress)) for _ in range(rounds)]
    distinct = Progress(
        **{**vars(progress), "score": progress.score + 1e-9 * rng.random(progress.score.shape)}
    )
    untied = [seconds(lambda: early_stopping.compute(distinct)) for _ in range(rounds)]

    # Settings that do stop, each as likely to be sampled; a loop of no trials is none.
    stops = np.flatnonzero((stopping.part < POINTS) & (stopping.continued > 0))
    chosen = rng.choice(stops, size=sampled, replace=False)
    in_loop, in_arrays, apart = _sample(progress, stopping, chosen, rng)
    closed = statistics.median(exact)
    rows = [
        [way, f"{taken:,.1f}", f"{taken / closed:,.0f}"]
        for way, taken in (
            ("closed form", closed),
            ("closed form, no two scores equal", statistics.median(untied)),
            (f"sampling {PAPERS_DRAWS:,} times, in arrays", statistics.mean(in_arrays) * number),
            (f"sampling {PAPERS_DRAWS:,} times, in a loop", statistics.mean(in_loop) * number),
        )
    ]
    section = f"""\
## Early stopping

{table(("way", "seconds for all settings", "time beside the closed form"), rows)}

- **Settings**: all {number:,} of {len(progress)} trials that meet a budget of 1 to 30 exactly, on
  one core.
- **Sampled**: {sampled} of them; times are their mean, multiplied. The loop drew {LOOP_DRAWS:,}
  times.
- **Agreement**: on them sample and closed form lie {np.abs(apart).max():.1f} standard errors apart
  at most, {np.sqrt(np.mean(np.square(apart))):.2f} in the root mean square.
- **Closed form**: median of {rounds} rounds, {min(exact):.1f} to {max(exact):.1f} s.
- **Script**: `benchmarks/early_stopping.py`.
- **Machine**: {machine("numpy", "scipy")}.
"""
    show(options.page, section)


def _sample(
    progress: Progress, stopping: EarlyStopping, chosen: np.ndarray, rng: np.random.Generator
) -> tuple[list[float], list[float], list[float]]:
    """Return seconds of loop and arrays for each setting, and standard errors between the means."""
    columns = evaluation_at(progress)
    in_loop, in_arrays, apart = [], [], []
    for setting in chosen:
        t, p = int(stopping.started[setting]), int(stopping.continued[setting])
        at_stop = progress.best[:, columns[stopping.part[setting]]]
        taken = seconds(lambda: loop(at_stop, progress.final, t, p, rng, LOOP_DRAWS))  # noqa: B023
        in_loop.append(taken * PAPERS_DRAWS / LOOP_DRAWS)
        begin = time.process_time()
        mean = sampled_finds(at_stop, progress.final, [(t, p)], rng).mean[t, p]
        in_arrays.append(time.process_time() - begin)
        error = stopping.deviation[setting] / np.sqrt(PAPERS_DRAWS)
        apart.append(float((mean - stopping.mean[setting]) / error))
    return in_loop, in_arrays, apart


if __name__ == "__main__":
    main()
