"""What benchmarks of studies share: trials of the built-in encoder, and the machine in words."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from finetune.events import Ended, Started
from finetune.executors import Assignment, LocalExecutor, Report, Supplies
from finetune.grid import Plan, plan
from finetune.study_file import parse_study

STUDY = """
study: benchmark
model: embedded
tasks: [entailment]
wi_seeds: 1-{trials}
do_seeds: 1
keep_best: 0
recipe: {{epochs: {epochs}, learning_rate: 1.0e-3, max_length: 32, dropout: 0.1}}
"""


def study(trials: int, epochs: int) -> Plan:
    """Return a plan of trials of the built-in encoder on the built-in entailment task."""
    return plan(parse_study(STUDY.format(trials=trials, epochs=epochs), "the benchmark"))


def run(laid_out: Plan, workers: int, listen: Callable[[Report], object] | None = None) -> float:
    """Run the trials of a plan on so many CPU workers, each report told to `listen`.

    Returns:
        Seconds from the first trial's start to the last one's end, by the workers' clocks, so that
        loading is left out.
    """
    executor = LocalExecutor(Supplies(laid_out.pretrained, laid_out.tasks), ["cpu"] * workers)
    started, ended = [], []
    for report in executor.run([Assignment(trial) for trial in laid_out.trials()]):
        if listen is not None:
            listen(report)
        if isinstance(report.event, Started):
            started.append(report.event.time)
        if isinstance(report.event, Ended):
            assert report.event.error is None, report.event.error
            ended.append(report.event.time)
    return max(ended) - min(started)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write a median with the range that it is from."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Say what it was measured on, and how busy that was besides."""
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, Python "
        f"{platform.python_version()}; load average over the last five minutes, this included: "
        f"{os.getloadavg()[1]:.1f}"
    )
