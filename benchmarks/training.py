"""How fast a trial is on a CPU, beside the Hugging Face Trainer on the same batches.

python benchmarks/training.py                             prints the table
python benchmarks/training.py --page docs/benchmarks.md   renews the section of the page as well

A round goes through all the ways of training in turn, so that whatever else the machine does meets
them alike; ratios are taken within a round, and the table shows their median and range over rounds.
A trial's time is that of its optimiser steps and of its evaluations, both measured on a sample
of the task and multiplied by how many a trial of the recipe has; loading is left out.

The Trainer needs accelerate, which the extra `dev` installs.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the program of this checkout, whichever is installed

from benchmarks._measuring import add_page, machine, show  # noqa: E402
from finetune.dropout import Dropout  # noqa: E402
from finetune.model import EncodedSplit, Model  # noqa: E402
from finetune.optimizer import build_optimizer  # noqa: E402
from finetune.pretrained import Pretrained, find_pretrained  # noqa: E402
from finetune.seeds import DropoutBits, data_order, subset  # noqa: E402
from finetune.study import Recipe  # noqa: E402
from finetune.tasks import find_task  # noqa: E402
from finetune.training import EVALUATION_BATCH, evaluate, optimizer_step  # noqa: E402

RECIPE = Recipe()
"""The paper's: 3 epochs of batches of 16, ten evaluations an epoch, at most 128 tokens."""

TASKS = ("mrpc", "rte", "cola")
OURS = "Seedbed"
FLOOR = "matrix products alone"


@dataclass(frozen=True)
class Workload:
    """What every way computes of a task.

    Attributes:
        training: as many batches as are stepped through, one after another; the first warms up.
        validation: a sample of the validation set.
        read: both splits whole: all that a trial's model would read.
        steps: optimiser steps of a whole trial.
        evaluated: examples evaluated in a whole trial, over all its evaluations.
    """

    training: EncodedSplit
    validation: EncodedSplit
    read: tuple[EncodedSplit, EncodedSplit]
    steps: int
    evaluated: int

    def batches(self) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
        """Yield the examples of each optimiser step."""
        size = RECIPE.batch_size
        for start in range(0, len(self.training), size):
            yield np.arange(start, start + size)

    def trial_seconds(self, step: float, example: float) -> float:
        """Return a whole trial's time from a step's and an evaluated example's, in seconds."""
        return self.steps * step + self.evaluated * example


@dataclass(frozen=True)
class Way:
    """A way to train: seconds of an optimiser step, and of evaluating an example.

    Attributes:
        name: as the table calls it.
        threads: CPU threads.
        measure: goes through the workload once.
    """

    name: str
    threads: int
    measure: Callable[[], tuple[float, float]]


def main() -> None:
    """Measure and show."""
    arguments = _arguments()
    missing = [
        f"{what} is not at {place}: {advice}"
        for what, place, advice in (
            ("the model", arguments.model, "give the folder of an encoder with --model."),
            ("GLUE", arguments.glue, "give the folder that holds MRPC, RTE and CoLA with --glue."),
        )
        if not place.is_dir()
    ]
    if missing:
        print("Nothing was measured:", *missing, sep="\n")
        return
    pretrained = find_pretrained(str(arguments.model))
    rows: list[list[str]] = []
    for task in arguments.tasks:
        measured = _rows(task, pretrained, arguments)
        print(_table(measured), flush=True)
        rows += measured
    show(arguments.page, _section(pretrained, _table(rows), arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cached = Path.home() / ".cache" / "seedbed-tests" / "all-MiniLM-L6-v2"
    glue = ROOT.parent / "shared" / "glue"
    parser.add_argument("--model", type=Path, default=cached, help="folder of a BERT encoder")
    parser.add_argument("--glue", type=Path, default=glue, help="folder of GLUE's TSV files")
    parser.add_argument("--tasks", nargs="+", default=TASKS, help="tasks measured")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways")
    parser.add_argument("--steps", type=int, default=4, help="optimiser steps timed in a round")
    parser.add_argument("--examples", type=int, default=64, help="examples evaluated in a round")
    parser.add_argument(
        "--threads", nargs="+", type=int, choices=(1, 2), default=(1, 2), help="of the Trainer"
    )
    add_page(parser)
    return parser.parse_args()


def _rows(task: str, pretrained: Pretrained, arguments: argparse.Namespace) -> list[list[str]]:
    """Measure a task; return the rows of its table."""
    model = Model(pretrained, 2, torch.device("cpu"))
    workload = _workload(task, model, arguments)
    ways = [
        *_trainer_ways(pretrained, model, workload),
        Way(OURS, 1, lambda: _measure_seedbed(model, workload)),
        Way(FLOOR, 1, lambda: _measure_floor(model, workload)),
    ]
    ways = [way for way in ways if way.threads in (1, *arguments.threads)]
    rounds = [{(w.name, w.threads): _measure(w) for w in ways} for _ in range(arguments.rounds)]
    rows = []
    for way in ways:
        key = (way.name, way.threads)
        seconds = [workload.trial_seconds(*r[key]) for r in rounds]
        ratios = [
            s / workload.trial_seconds(*r[OURS, 1]) for s, r in zip(seconds, rounds, strict=True)
        ]
        rows.append(
            [
                task,
                way.name,
                str(way.threads),
                f"{1e3 * statistics.median(r[key][0] for r in rounds):.0f}",
                f"{1e3 * statistics.median(r[key][1] for r in rounds):.1f}",
                f"{statistics.median(seconds) / 60:.1f}",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        )
    return rows


def _workload(task: str, model: Model, arguments: argparse.Namespace) -> Workload:
    data = find_task(task, data_dir=arguments.glue).source.read()
    per_epoch = RECIPE.steps_per_epoch(len(data.train))
    sample = (arguments.steps + 1) * RECIPE.batch_size
    training = model.encode(data.train, RECIPE.max_length)
    validation = model.encode(data.validation, RECIPE.max_length)
    return Workload(
        training=_chosen(training, data_order(1, 0, len(training))[:sample]),
        validation=_chosen(validation, subset(len(validation), arguments.examples)),
        read=(training, validation),
        steps=RECIPE.epochs * per_epoch,
        evaluated=len(RECIPE.evaluation_steps(per_epoch)) * len(validation),
    )


def _chosen(split: EncodedSplit, examples: np.ndarray[Any, np.dtype[np.int64]]) -> EncodedSplit:
    return EncodedSplit(
        inputs={name: [column[i] for i in examples] for name, column in split.inputs.items()},
        padding=split.padding,
        padding_side=split.padding_side,
        labels=split.labels[torch.from_numpy(examples)],
    )


def _measure(way: Way) -> tuple[float, float]:
    threads = torch.get_num_threads()
    torch.set_num_threads(way.threads)
    try:
        return way.measure()
    finally:
        torch.set_num_threads(threads)


# ── Seedbed ──────────────────────────────────────────────────────────────────────────────────────
def _measure_seedbed(model: Model, workload: Workload) -> tuple[float, float]:
    model.reset(1, workload.read)
    optimizer = build_optimizer(model.module, RECIPE)
    ends = []
    for step, examples in enumerate(workload.batches(), start=1):
        dropout = Dropout(RECIPE.dropout, DropoutBits(1, step))
        optimizer_step(
            model, optimizer, workload.training, examples, RECIPE.learning_rate, dropout, RECIPE
        )
        ends.append(time.perf_counter())
    begin = time.perf_counter()
    evaluate(model, workload.validation, "accuracy", RECIPE, 0, 0.0)
    evaluated = time.perf_counter() - begin
    return (ends[-1] - ends[0]) / (len(ends) - 1), evaluated / len(workload.validation)


# ── The floor ────────────────────────────────────────────────────────────────────────────────────
def _measure_floor(model: Model, workload: Workload) -> tuple[float, float]:
    """Time the matrix products that the linear layers cannot do without, and nothing else."""
    ends = []
    lengths = workload.training.lengths
    for examples in workload.batches():
        for shape in _products(model, int(lengths[examples].sum()), len(examples)):
            _multiply(*shape, backward=True)
        ends.append(time.perf_counter())
    lengths = np.sort(workload.validation.lengths)
    begin = time.perf_counter()
    for start in range(0, len(lengths), EVALUATION_BATCH):
        together = lengths[start : start + EVALUATION_BATCH]
        for shape in _products(model, int(together.sum()), len(together)):
            _multiply(*shape, backward=False)
    evaluated = time.perf_counter() - begin
    return (ends[-1] - ends[0]) / (len(ends) - 1), evaluated / len(lengths)


def _products(model: Model, tokens: int, sequences: int) -> Iterator[tuple[int, int, int]]:
    """Yield rows, inputs and outputs of each linear layer's product in the packed way."""
    config = model.module.config
    hidden, inner = config.hidden_size, config.intermediate_size
    for layer in range(config.num_hidden_layers):
        # The last layer is computed for the first token of each sequence, which attends to all.
        computed = sequences if layer == config.num_hidden_layers - 1 else tokens
        yield from [(tokens, hidden, hidden)] * 2  # keys and values
        yield from [(computed, hidden, hidden)] * 2  # queries and the attention's output
        yield from [(computed, hidden, inner), (computed, inner, hidden)]


def _multiply(rows: int, inputs: int, outputs: int, *, backward: bool) -> None:
    values, weight = torch.ones(rows, inputs), torch.ones(outputs, inputs)
    gradient = torch.mm(values, weight.t())
    if backward:
        torch.mm(gradient, weight)
        torch.mm(gradient.t(), values)


# ── The Hugging Face Trainer ─────────────────────────────────────────────────────────────────────
_PADDINGS = {"Trainer, padded to 128": "max_length", "Trainer, padded to the batch": "longest"}


def _trainer_ways(pretrained: Pretrained, model: Model, workload: Workload) -> list[Way]:
    """Return the Trainer with its defaults: to 128 tokens as run_glue pads, or to the batch."""
    from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

    with _quiet():
        module = AutoModelForSequenceClassification.from_pretrained(
            pretrained.location, num_labels=2
        )
    weights = {name: value.clone() for name, value in module.state_dict().items()}

    def measure(padding: str) -> tuple[float, float]:
        module.load_state_dict(weights)
        collate = DataCollatorWithPadding(
            model.tokenizer, padding=padding, max_length=RECIPE.max_length
        )
        return _measure_trainer(module, collate, workload)

    return [
        Way(name, threads, partial(measure, padding))
        for name, padding in _PADDINGS.items()
        for threads in (1, 2)
    ]


def _measure_trainer(module: Any, collate: Any, workload: Workload) -> tuple[float, float]:
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    ends = []

    class Clock(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """Notes when each optimiser step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder, _quiet(), torch.random.fork_rng():
        trainer = Trainer(
            model=module,
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=RECIPE.batch_size,
                num_train_epochs=1,
                learning_rate=RECIPE.learning_rate,
                train_sampling_strategy="sequential",  # the same batches as all others
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=collate,
            train_dataset=_examples(workload.training),
            callbacks=[Clock()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        validation = _examples(workload.validation)
        begin = time.perf_counter()
        trainer.predict(validation)
        evaluated = time.perf_counter() - begin
    return (ends[-1] - ends[0]) / (len(ends) - 1), evaluated / len(validation)


def _examples(split: EncodedSplit) -> Any:
    """Return the examples as the Trainer takes them."""
    return [
        {**{name: column[i] for name, column in split.inputs.items()}, "labels": label}
        for i, label in enumerate(split.labels.tolist())
    ]


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        logging.enable_progress_bar()


# ── What is shown ────────────────────────────────────────────────────────────────────────────────
_HEAD = (
    "task",
    "way",
    "threads",
    "ms a step",
    "ms an evaluated example",
    "minutes a trial",
    "time beside Seedbed: median (range)",
)


def _table(rows: list[list[str]]) -> str:
    lines = [_HEAD, ["---"] * len(_HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _section(pretrained: Pretrained, table: str, arguments: argparse.Namespace) -> str:
    return f"""\
## Trials on a CPU

{table}

- **Model and recipe**: {pretrained.name}, fp32; batches of {RECIPE.batch_size},
  {RECIPE.epochs} epochs, at most {RECIPE.max_length} tokens, dropout {RECIPE.dropout:g},
  evaluated before the first step and then {RECIPE.evaluate}.
- **Measured**: {arguments.rounds} rounds, each of {arguments.steps} optimiser steps after one to
  warm up and of {arguments.examples} validation examples, random ones of the task. Times are
  medians over rounds; the range is over rounds too.
- **Extrapolated**: a trial is its number of steps times a step, and its number of evaluated
  examples times an example. Loading and tokenising are left out for all.
- **Seedbed**: the steps and evaluations of a trial as `finetune run` makes them, in one thread as
  in each of its workers: packed (`finetune.packed`), the table of wordpieces cut to the task's.
- **Matrix products alone**: those of the linear layers on the same real tokens, forward and
  backward, without attention, norms, dropout or optimiser: what no way could go below.
- **Trainer**: Hugging Face's with its defaults, evaluating in batches of 8 in the order of the
  task; padded to 128 tokens is what its program run_glue does by default.
- **Script**: `benchmarks/training.py`.
- **Machine**: {machine("torch", "transformers", "accelerate", "numpy")}.
"""


if __name__ == "__main__":
    main()
