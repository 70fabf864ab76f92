"""What benchmarks share: trials of the built-in encoder, tables, and the page that shows them."""

import argparse
import os
import platform
import re
import statistics
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from finetune.errors import SeedbedError
from finetune.events import Ended, Started
from finetune.executors import Assignment, LocalExecutor, Report, Supplies
from finetune.files import replacing_file
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


def add_page(parser: argparse.ArgumentParser) -> None:
    """Add the option that all benchmarks have."""
    parser.add_argument(
        "--page", type=Path, help="page to renew this benchmark's section of, docs/benchmarks.md"
    )


def show(page: Path | None, section: str) -> None:
    """Print a section, and put it in a page in the place of the one with the same heading.

    Args:
        page: a file in Markdown, whose sections open with `## `; None for none.
        section: its heading, an empty line, and its text.

    Raises:
        SeedbedError: where the page has no such section.
    """
    print(f"\n{section}", flush=True)
    if page is None:
        return
    heading = section.partition("\n")[0]
    text = page.read_text(encoding="utf-8")
    old = re.search(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if old is None:
        raise SeedbedError(f"{page} has no section “{heading}” to renew: write its heading there.")
    follows = "" if old.end() == len(text) else "\n"
    with replacing_file(page) as beside:
        beside.write_text(text[: old.start()] + section + follows + text[old.end() :], "utf-8")


def machine(*packages: str) -> str:
    """Say what it was measured on, with which versions, and how busy the machine was besides."""
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return (
        f"{name}, {os.cpu_count()} cores, {platform.system()}, {platform.machine()}; Python\n"
        f"  {platform.python_version()}, {versions}; load average over the last five minutes,\n"
        f"  this included: {os.getloadavg()[1]:.1f}"
    )
